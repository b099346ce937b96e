package disk_test

import (
	"context"
	"testing"

	"hutong/fhir/store"
	"hutong/fhir/store/disk"
	"hutong/fhir/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	run(t, disk.Options{})
}

// TestTightLimits takes the ways that a search takes only where there is much.
func TestTightLimits(t *testing.T) {
	t.Parallel()
	run(t, disk.Options{MaxJoin: 1, MaxLists: 1, MaxSort: 1, Searches: 1, CacheBytes: 1 << 20, MemTableBytes: 256 << 10, HotAfter: 1})
}

func run(t *testing.T, o disk.Options) {
	storetest.Run(t, func(t *testing.T, extract storetest.Extract) *storetest.Harness {
		dir := t.TempDir()
		open := func() *disk.Store {
			o := o
			o.Extract = extract
			s, err := disk.Open(dir, o)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		s := open()
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		h := &storetest.Harness{Store: s}
		h.Check = func(ctx context.Context) error { return s.Check(ctx) }
		h.Reopen = func() store.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open()
			return s
		}
		return h
	})
}
