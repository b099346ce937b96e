package mpi_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/fhir/store/disk"
	"hutong/mpi"
	"hutong/profiles"
)

// hospital is the source side of a test: Patients with versions.
type hospital struct {
	mu       sync.Mutex
	patients map[fhir.Key]fhir.Resource
}

func (h *hospital) read(_ context.Context, k fhir.Key) (fhir.Resource, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, ok := h.patients[k]
	switch {
	case !ok:
		return r, fhir.E(fhir.NotFound)
	case r.Deleted():
		return r, fhir.E(fhir.Gone)
	}
	return r, nil
}

// put stores a new version of a Patient and gives its number.
func (h *hospital) put(custodian, id string, body map[string]any) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := fhir.Key{Type: "Patient", ID: id}
	v := h.patients[k].VersionID + 1
	r := fhir.Resource{Version: fhir.Version{Key: k, VersionID: v, Method: fhir.Deleted, LastUpdated: time.Date(2026, 5, 1, 8, 0, int(v), 0, time.UTC)}}
	if body != nil {
		body["resourceType"], body["id"] = "Patient", id
		raw, err := json.Marshal(body)
		if err != nil {
			panic(err)
		}
		r.Method, r.Body.Raw, r.Facts.Custodian = fhir.Updated, raw, custodian
	}
	h.patients[k] = r
	return v
}

type bench struct {
	t     testing.TB
	h     *hospital
	space store.Space
	x     *mpi.Index
	tick  atomic.Int64 // the clock moves on, over restarts too
}

var today = time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC)

func newSpace(t testing.TB, fs vfs.FS, dir string) store.Space {
	t.Helper()
	s, err := disk.Open(dir, disk.Options{VFS: fs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.Space("mpi")
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{t: t, h: &hospital{patients: map[fhir.Key]fhir.Resource{}}, space: newSpace(t, vfs.NewMem(), "mpi")}
	b.open()
	return b
}

// open starts an Index on what the space holds, as a restart does.
func (b *bench) open() {
	b.t.Helper()
	x, err := mpi.Open(b.t.Context(), mpi.Config{Space: b.space, Read: b.h.read, Scratch: b.t.TempDir(), Now: func() time.Time { return today.Add(time.Duration(b.tick.Add(1)) * time.Millisecond) }})
	if err != nil {
		b.t.Fatal(err)
	}
	// Posting lists are in memory, as in a server of its own; the tests of other
	// packages, which do not warm, ask the Space.
	if err := x.Warm(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	b.x = x
}

// feed stores and takes in a Patient; a nil body deletes it.
func (b *bench) feed(custodian, id string, body map[string]any) {
	b.t.Helper()
	v := b.h.put(custodian, id, body)
	if err := b.x.Feed(b.t.Context(), key(id), v); err != nil {
		b.t.Fatalf("feed %s: %v", id, err)
	}
}

func (b *bench) members(id string) string {
	b.t.Helper()
	ks, err := b.x.Members(b.t.Context(), key(id))
	if err != nil {
		b.t.Fatal(err)
	}
	return names(ks)
}

func (b *bench) want(id, members string) {
	b.t.Helper()
	if got := b.members(id); got != members {
		b.t.Errorf("members of %s: got %s, want %s", id, got, members)
	}
}

func (b *bench) queue(s mpi.Status) []*mpi.Task {
	b.t.Helper()
	p, err := b.x.Queue(b.t.Context(), s, "", 100)
	if err != nil {
		b.t.Fatal(err)
	}
	return p.Tasks
}

// only gives the one open task.
func (b *bench) only() *mpi.Task {
	b.t.Helper()
	q := b.queue(mpi.StatusOpen)
	if len(q) != 1 {
		b.t.Fatalf("open tasks: got %d, want 1", len(q))
	}
	return q[0]
}

func (b *bench) decide(task string, a mpi.Answer) *mpi.Entry {
	b.t.Helper()
	e, err := b.x.Decide(b.t.Context(), task, a, "steward.qi", "核对户口簿")
	if err != nil {
		b.t.Fatal(err)
	}
	return e
}

func (b *bench) undo(journal string) *mpi.Entry {
	b.t.Helper()
	e, err := b.x.Undo(b.t.Context(), journal, "steward.ye", "弄错了")
	if err != nil {
		b.t.Fatal(err)
	}
	return e
}

func key(id string) fhir.Key { return fhir.Key{Type: "Patient", ID: id} }

func names(ks []fhir.Key) string {
	var out []string
	for _, k := range ks {
		out = append(out, k.ID)
	}
	return strings.Join(out, " ")
}

// mk makes a Patient: mk("张伟", "1980-05-01", "male", ids...).
func mk(name, birth, sex string, ids ...map[string]any) map[string]any {
	p := map[string]any{"name": []any{map[string]any{"text": name}}, "birthDate": birth, "gender": sex}
	if len(ids) > 0 {
		p["identifier"] = ids
	}
	return p
}

func id(system, value string) map[string]any { return map[string]any{"system": system, "value": value} }

func citizen(v string) map[string]any { return id(profiles.CitizenID, v) }

func with(p map[string]any, k string, v any) map[string]any {
	p[k] = v
	return p
}

func phone(p map[string]any, v string) map[string]any {
	return with(p, "telecom", []any{map[string]any{"system": "phone", "value": v}})
}

// gb makes a valid citizen id from its first 17 digits.
func gb(first17 string) string {
	sum := 0
	for i, w := range []int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
		sum += int(first17[i]-'0') * w
	}
	return first17 + string("10X98765432"[sum%11])
}
