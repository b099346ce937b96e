package mpi

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/fhir/store/disk"
	"hutong/testdata/people"
)

// crowd is a region of seeded people as a source of Patients.
type crowd struct {
	bodies map[string][]byte
	owners map[string]string
	ids    []string
}

func newCrowd(seed uint64, n int) *crowd {
	c := &crowd{bodies: map[string][]byte{}, owners: map[string]string{}}
	people.Generate(seed, n, func(r people.Record) bool {
		id := fmt.Sprintf("p%d", len(c.ids))
		c.ids = append(c.ids, id)
		c.bodies[id], c.owners[id] = r.Patient(), fmt.Sprint("hospital-", r.Hospital)
		return true
	})
	return c
}

func (c *crowd) read(_ context.Context, k fhir.Key) (fhir.Resource, error) {
	body, ok := c.bodies[k.ID]
	if !ok {
		return fhir.Resource{}, fhir.E(fhir.NotFound)
	}
	r := fhir.Resource{Version: fhir.Version{Key: k, VersionID: 1, Method: fhir.Updated, LastUpdated: people.Today}}
	r.Body.Raw, r.Facts.Custodian = body, c.owners[k.ID]
	return r, nil
}

func (c *crowd) open(t *testing.T, s store.Space) *Index {
	t.Helper()
	x, err := Open(t.Context(), Config{Space: s, Read: c.read, Log: zerolog.Nop(), Scratch: t.TempDir(), Now: func() time.Time { return people.Today }})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// feed takes records in, eight at once.
func (c *crowd) feed(t *testing.T, x *Index, ids []string, version uint64) {
	t.Helper()
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(8)
	for _, id := range ids {
		g.Go(func() error { return x.Feed(ctx, keyOf(id), version) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// TestListsInMemoryAreThoseOfTheSpace: an index with its lists in memory, filled
// beside feeds or by a restart, meets the same candidates and gives the same
// answers as one that asks the Space.
func TestListsInMemoryAreThoseOfTheSpace(t *testing.T) {
	t.Parallel()
	c := newCrowd(2, 900)
	d, err := disk.Open("mpi", disk.Options{VFS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	space := d.Space("mpi")
	live := c.open(t, space)
	half := len(c.ids) / 2
	c.feed(t, live, c.ids[:half], 1)
	warmed := make(chan error, 1)
	go func() { warmed <- live.Warm(t.Context()) }()
	c.feed(t, live, c.ids[half:], 1)
	// Some records come to say what others say.
	for i := 0; i < len(c.ids); i += 5 {
		c.bodies[c.ids[i]] = c.bodies[c.ids[(i+1)%len(c.ids)]]
	}
	for i := 0; i < len(c.ids); i += 5 {
		if err := live.Feed(t.Context(), keyOf(c.ids[i]), 2); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-warmed; err != nil {
		t.Fatal(err)
	}
	restarted := c.open(t, space)
	if err := restarted.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	plain := c.open(t, space)
	for name, x := range map[string]*Index{"filled beside feeds": live, "restarted": restarted} {
		if held := x.Shelved(); held.Records != len(c.ids) {
			t.Errorf("%s: %d records of %d", name, held.Records, len(c.ids))
		}
		sameCandidates(t, name, c, x, plain)
		sameAnswers(t, name, c, x, plain)
	}
}

func sameCandidates(t *testing.T, name string, c *crowd, x, plain *Index) {
	t.Helper()
	met := 0
	for _, id := range c.ids {
		r, err := plain.row(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		want, err := plain.candidates(t.Context(), r.keys)
		if err != nil {
			t.Fatal(err)
		}
		got, err := x.candidates(t.Context(), r.keys)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if got[i].n == 0 {
				t.Fatalf("%s: the lists in memory are not asked", name)
			}
			got[i].n = 0
		}
		byID := func(a, b candidate) int { return strings.Compare(a.id, b.id) }
		slices.SortFunc(got, byID)
		slices.SortFunc(want, byID)
		if !slices.Equal(got, want) {
			t.Fatalf("%s: %s meets %v, in the Space %v", name, id, got, want)
		}
		met += len(got)
	}
	if met < 2*len(c.ids) {
		t.Errorf("%s: %d meetings of %d records: the test shows nothing", name, met, len(c.ids))
	}
}

func sameAnswers(t *testing.T, name string, c *crowd, x, plain *Index) {
	t.Helper()
	for i := 0; i < len(c.ids); i += 9 {
		want, err := plain.Match(t.Context(), c.bodies[c.ids[i]], MatchOptions{})
		if err != nil {
			continue // too little is known to look for anybody
		}
		got, err := x.Match(t.Context(), c.bodies[c.ids[i]], MatchOptions{})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %s: %v, %v, by the Space %v", name, c.ids[i], got, err, want)
		}
	}
}

// TestWithoutScratch: where the scratch file cannot be, rows are read from the store,
// and no answer differs.
func TestWithoutScratch(t *testing.T) {
	t.Parallel()
	c := newCrowd(4, 200)
	d, err := disk.Open("mpi", disk.Options{VFS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	space := d.Space("mpi")
	plain := c.open(t, space)
	c.feed(t, plain, c.ids, 1)
	for _, scratch := range []string{"", "/dev/null/nowhere"} {
		x, err := Open(t.Context(), Config{Space: space, Read: c.read, Log: zerolog.Nop(), Scratch: scratch, Now: func() time.Time { return people.Today }})
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Warm(t.Context()); err != nil {
			t.Fatalf("%q: %v", scratch, err)
		}
		sameCandidates(t, scratch, c, x, plain)
		sameAnswers(t, scratch, c, x, plain)
	}
}

// TestWarmBesideOtherProcesses: where others write to the Space, lists in memory
// would miss what they write; there are none.
func TestWarmBesideOtherProcesses(t *testing.T) {
	t.Parallel()
	c := newCrowd(3, 5)
	d, err := disk.Open("mpi", disk.Options{VFS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	x, err := Open(t.Context(), Config{Space: d.Space("mpi"), Read: c.read, CacheFor: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	c.feed(t, x, c.ids, 1)
	if err := x.Warm(t.Context()); err != nil || x.Shelved().Records != 0 {
		t.Errorf("holds %+v (%v)", x.Shelved(), err)
	}
}
