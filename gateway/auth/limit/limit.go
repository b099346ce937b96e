// Package limit bounds how often each of many names may do something.
package limit

import (
	"container/list"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// size bounds the memory that strangers can make a Limiter take.
const size = 10_000

// Limiter keeps a token bucket for each of the last 10,000 names seen. Safe for
// concurrent use.
type Limiter struct {
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

// New makes buckets that gain perSecond tokens a second and hold burst.
func New(perSecond float64, burst int, now func() time.Time) *Limiter {
	return &Limiter{
		rate: rate.Limit(perSecond), burst: burst, now: now,
		byName: map[string]*list.Element{}, recent: list.New(),
	}
}

// Allow takes one token of the name's bucket, or says how long until there is
// one.
func (l *Limiter) Allow(name string) (wait time.Duration, ok bool) {
	b, now := l.bucket(name), l.now()
	r := b.ReserveN(now, 1)
	wait = r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait, wait == 0
}

func (l *Limiter) bucket(name string) *bucket {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.byName[name]; ok {
		l.recent.MoveToFront(e)
		return e.Value.(*bucket)
	}
	b := &bucket{name, rate.NewLimiter(l.rate, l.burst)}
	l.byName[name] = l.recent.PushFront(b)
	if l.recent.Len() > size {
		last := l.recent.Remove(l.recent.Back()).(*bucket)
		delete(l.byName, last.name)
	}
	return b
}
