package mpi_test

import (
	"testing"
	"time"

	"hutong/mpi"
)

// TestAnotherNodeSeesLinksSoon: an index that other processes write beside
// reads again what is older than CacheFor, and knows what others took in.
func TestAnotherNodeSeesLinksSoon(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const age = 50 * time.Millisecond
	other, err := mpi.Open(t.Context(), mpi.Config{Space: b.space, Read: b.h.read, CacheFor: age})
	if err != nil {
		t.Fatal(err)
	}
	seen := func() string {
		t.Helper()
		ks, err := other.Members(t.Context(), key("a"))
		if err != nil {
			t.Fatal(err)
		}
		return names(ks)
	}
	b.feed("org-muni", "a", mk("张伟", "1980-05-01", "male", citizen(wei)))
	if got := seen(); got != "a" {
		t.Fatalf("members %s", got)
	}
	b.feed("org-dist", "b", mk("张伟", "1980-05-01", "male", citizen(wei)))
	time.Sleep(2 * age)
	if got := seen(); got != "a b" {
		t.Errorf("after %v the other node sees %s", 2*age, got)
	}
	for version, want := range map[uint64]bool{1: true, 2: false} {
		if taken, err := other.Taken(t.Context(), key("b"), version); err != nil || taken != want {
			t.Errorf("version %d taken: %v, %v", version, taken, err)
		}
	}
}
