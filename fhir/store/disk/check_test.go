package disk_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"hutong/fhir/store/disk"
	"hutong/fhir/store/storetest"
)

// TestCheckFinds: a store that was tampered with does not pass.
func TestCheckFinds(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]string{"X": "posting", "I": "id row", "F": "row", "B": "body", "G": "version", "L": "log", "Y": "superseded", "H": "by type"} {
		t.Run(prefix, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			w := storetest.NewWorld()
			s, err := disk.Open(dir, disk.Options{Extract: w.Extract})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 6 {
				if err := write(t.Context(), w, s, fmt.Sprintf("p%d", i%3)); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(s.Check(t.Context()), s.Close(), dropFirst(dir, prefix)); err != nil {
				t.Fatal(err)
			}
			if s, err = disk.Open(dir, disk.Options{Extract: w.Extract}); err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("a row %s is missing, and Check says %v", prefix, err)
			}
		})
	}
}

// TestCheckFindsPhantoms: rows that no version accounts for do not pass.
func TestCheckFindsPhantoms(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]string{"X": "belongs to no live resource", "Y": "superseded postings stand", "G": "rows of versions stand"} {
		t.Run(prefix, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			w := storetest.NewWorld()
			s, err := disk.Open(dir, disk.Options{Extract: w.Extract})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 6 {
				if err := write(t.Context(), w, s, fmt.Sprintf("p%d", i%3)); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(s.Close(), copyFirst(dir, prefix)); err != nil {
				t.Fatal(err)
			}
			if s, err = disk.Open(dir, disk.Options{Extract: w.Extract}); err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("a row %s too many, and Check says %v", prefix, err)
			}
		})
	}
}

// copyFirst writes the first row that starts with prefix again, for a resource
// that does not exist.
func copyFirst(dir, prefix string) error {
	db, err := pebble.Open(dir, raw())
	if err != nil {
		return err
	}
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte(prefix)})
	if err != nil {
		return errors.Join(err, db.Close())
	}
	it.First()
	key, val := bytes.Clone(it.Key()), bytes.Clone(it.Value())
	if prefix == "G" {
		key[8]++ // the resource's number
	} else {
		key[len(key)-1]++
	}
	return errors.Join(it.Close(), db.Set(key, val, pebble.Sync), db.Close())
}

// dropFirst deletes the first row that starts with prefix.
func dropFirst(dir, prefix string) error {
	db, err := pebble.Open(dir, raw())
	if err != nil {
		return err
	}
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte(prefix)})
	if err != nil {
		return errors.Join(err, db.Close())
	}
	it.First()
	key := bytes.Clone(it.Key())
	return errors.Join(it.Close(), db.Delete(key, pebble.Sync), db.Close())
}
