package disk_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/fhir/store/disk"
	"hutong/fhir/store/storetest"
)

// TestUpgrade: a store of the first format is brought to the newest when it is
// opened, and then answers as one that was written by this engine.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	dir, w := t.TempDir(), storetest.NewWorld()
	open := func() *disk.Store {
		s, err := disk.Open(dir, disk.Options{Extract: w.Extract})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	put := func(src string) fhir.T {
		op, err := w.Op(fhir.Updated, src)
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Commit(t.Context(), store.Tx{Ops: []store.Op{op}})
		if err != nil {
			t.Fatal(err)
		}
		return r.T
	}
	for p := range 10 {
		put(fmt.Sprintf(`{"resourceType":"Patient","id":"p%d"}`, p))
		for o := range 5 {
			put(fmt.Sprintf(`{"resourceType":"Observation","id":"o%d-%d","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p%d"}}`, p, o, p))
		}
	}
	early := put(`{"resourceType":"Observation","id":"o1-1","status":"final","code":{"text":"y"},"subject":{"reference":"Patient/p2"}}`)
	put(`{"resourceType":"Observation","id":"o3-3","status":"final","code":{"text":"y"},"subject":{"reference":"Patient/p2"}}`)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	asFirstFormat(t, dir)
	s = open()
	defer func() { s.Close() }()
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := s.Snapshot(t.Context(), early); !errors.Is(err, fhir.E(fhir.Gone)) {
		t.Errorf("a moment before the upgrade: %v, want Gone", err)
	}
	put(`{"resourceType":"Observation","id":"late","status":"final","code":{"text":"y"},"subject":{"reference":"Patient/p2"}}`)
	snap, err := s.Snapshot(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	page, err := snap.Search(t.Context(), &search.Query{Type: "Observation", Count: 50, Total: true, Restriction: compartmentOf("p2")})
	if err != nil || page.Total != 8 {
		t.Errorf("%d in the compartment, want 8: %v", page.Total, err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func compartmentOf(id string) search.Restriction {
	return search.Restriction{Decided: true, Permit: []search.Rule{{Patients: []fhir.Key{{Type: "Patient", ID: id}}}}}
}

// asFirstFormat takes from a closed store what format 1 did not have.
func asFirstFormat(t *testing.T, dir string) {
	t.Helper()
	db, err := pebble.Open(dir, raw())
	if err != nil {
		t.Fatal(err)
	}
	homes := map[string]bool{}
	b := db.NewBatch()
	scan(t, db, 'n', func(key, val []byte) {
		if bytes.HasSuffix(val, []byte("\x00@patient")) {
			homes[string(key[1:])] = true
		}
	})
	for _, prefix := range []byte("XY") {
		scan(t, db, prefix, func(key, val []byte) {
			if homes[string(key[1:5])] {
				_ = b.Delete(key, nil)
				return
			}
			from, _ := binary.Uvarint(val)
			_ = b.Set(key, binary.AppendUvarint(nil, from), nil)
		})
	}
	_ = b.Set([]byte("Mformat"), []byte{1}, nil)
	if err := errors.Join(b.Commit(pebble.Sync), db.Close()); err != nil {
		t.Fatal(err)
	}
	if len(homes) != 2 {
		t.Fatalf("%d lists of compartments", len(homes))
	}
}

func scan(t *testing.T, db *pebble.DB, prefix byte, visit func(key, val []byte)) {
	t.Helper()
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}})
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		visit(bytes.Clone(it.Key()), bytes.Clone(it.Value()))
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
}
