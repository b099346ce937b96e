package disk_test

import (
	"context"
	"testing"

	"hutong/fhir/store"
	"hutong/fhir/store/disk"
	"hutong/fhir/store/storetest"
)

// TestCrash is its own child process: see storetest.Crash.
func TestCrash(t *testing.T) {
	storetest.Crash(t, func(dir string, extract storetest.Extract) (store.Store, func(context.Context) error, error) {
		s, err := disk.Open(dir, disk.Options{Extract: extract})
		if err != nil {
			return nil, nil, err
		}
		return s, s.Check, nil
	})
}
