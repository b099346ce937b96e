package limit

import (
	"fmt"
	"testing"
	"time"
)

func TestAllow(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	l := New(0.5, 2, func() time.Time { return now })
	for i, want := range []bool{true, true, false, false} {
		if _, ok := l.Allow("a"); ok != want {
			t.Errorf("request %d: %v", i, ok)
		}
	}
	if wait, _ := l.Allow("a"); wait != 2*time.Second {
		t.Errorf("wait %s", wait)
	}
	if _, ok := l.Allow("b"); !ok {
		t.Error("one name's requests throttle another's")
	}
	now = now.Add(2 * time.Second)
	if _, ok := l.Allow("a"); !ok {
		t.Error("still throttled when the wait is over")
	}
}

func TestStrangersTakeBoundedMemory(t *testing.T) {
	t.Parallel()
	l := New(1, 1, time.Now)
	for i := range size + 500 {
		l.Allow(fmt.Sprint(i))
	}
	if len(l.byName) != size || l.recent.Len() != size {
		t.Errorf("%d names, %d in order", len(l.byName), l.recent.Len())
	}
}
