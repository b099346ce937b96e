package disk_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"hutong/fhir"
	"hutong/fhir/store/disk"
	"hutong/fhir/store/storetest"
)

// TestDamage flips a byte in every table file, where bodies lie (their keys sort
// first): reads that meet it fail by an error, in the goroutine that reads, and
// the store takes no more writes.
func TestDamage(t *testing.T) {
	t.Parallel()
	dir, w := t.TempDir(), storetest.NewWorld()
	s, err := disk.Open(dir, disk.Options{Extract: w.Extract})
	if err != nil {
		t.Fatal(err)
	}
	const patients = 300
	for i := range patients {
		if err := write(t.Context(), w, s, fmt.Sprintf("p%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	flush(t, dir)
	flip(t, dir)
	s, err = disk.Open(dir, disk.Options{Extract: w.Extract})
	if err != nil {
		return // the damage lies where opening reads: refused, which is right
	}
	defer s.Close()
	snap, err := s.Snapshot(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	failed := 0
	for i := range patients {
		if _, err := snap.Get(t.Context(), fhir.Key{Type: "Patient", ID: fmt.Sprintf("p%d", i)}); err != nil {
			failed++
		}
	}
	if failed == 0 {
		t.Fatal("no read met the damage")
	}
	if err := write(t.Context(), w, s, "after"); !errors.Is(err, fhir.E(fhir.Busy)) {
		t.Errorf("a write to a damaged store: %v, want Busy", err)
	}
}

// flush moves what lies in the log of a closed store into tables.
func flush(t *testing.T, dir string) {
	t.Helper()
	db, err := pebble.Open(dir, raw())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Flush(), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func flip(t *testing.T, dir string) {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("no table files: %v", err)
	}
	for _, name := range tables {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/8] ^= 1
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
