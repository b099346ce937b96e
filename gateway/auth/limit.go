package auth

import (
	"container/list"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limiterSize bounds the memory that strangers can make the limiter take.
const limiterSize = 10_000

// limiter keeps a token bucket for each of the last names seen.
type limiter struct {
	rate  rate.Limit
	burst int
	now   func() time.Time

	mu     sync.Mutex
	byName map[string]*list.Element // of *bucket
	recent *list.List               // front: seen last
}

type bucket struct {
	name string
	*rate.Limiter
}

func newLimiter(perSecond float64, burst int, now func() time.Time) *limiter {
	return &limiter{
		rate: rate.Limit(perSecond), burst: burst, now: now,
		byName: map[string]*list.Element{}, recent: list.New(),
	}
}

// allow takes one token of the name's bucket, or says how long until there is
// one.
func (l *limiter) allow(name string) (wait time.Duration, ok bool) {
	b, now := l.bucket(name), l.now()
	r := b.ReserveN(now, 1)
	wait = r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait, wait == 0
}

func (l *limiter) bucket(name string) *bucket {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.byName[name]; ok {
		l.recent.MoveToFront(e)
		return e.Value.(*bucket)
	}
	b := &bucket{name, rate.NewLimiter(l.rate, l.burst)}
	l.byName[name] = l.recent.PushFront(b)
	if l.recent.Len() > limiterSize {
		last := l.recent.Remove(l.recent.Back()).(*bucket)
		delete(l.byName, last.name)
	}
	return b
}
