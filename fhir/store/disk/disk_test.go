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
	storetest.Run(t, func(t *testing.T, extract storetest.Extract) *storetest.Harness {
		dir := t.TempDir()
		open := func() *disk.Store {
			s, err := disk.Open(dir, disk.Options{Extract: extract})
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
