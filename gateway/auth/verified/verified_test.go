package verified_test

import (
	"fmt"
	"testing"

	"hutong/gateway/auth/verified"
)

// TestCache: what is used stays, what is not goes, and the limit holds.
func TestCache(t *testing.T) {
	t.Parallel()
	c := verified.New[int](100)
	c.Put("used", 1)
	for i := range 1000 {
		c.Put(fmt.Sprintf("t%d", i), i)
		if v, ok := c.Get("used"); !ok || v != 1 {
			t.Fatalf("forgotten after %d others", i)
		}
	}
	kept := 0
	for i := range 1000 {
		if v, ok := c.Get(fmt.Sprintf("t%d", i)); ok {
			if kept++; v != i {
				t.Errorf("t%d is %d", i, v)
			}
		}
	}
	if kept < 40 || kept > 100 {
		t.Errorf("%d are kept", kept)
	}
	if _, ok := c.Get("never"); ok {
		t.Error("a token that never came is known")
	}
}
