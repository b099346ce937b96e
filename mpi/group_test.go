package mpi_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/mpi"
)

// counted counts how often a space is written.
type counted struct {
	store.Space
	applies atomic.Int64
}

func (c *counted) Apply(ctx context.Context, writes []store.Write) error {
	c.applies.Add(1)
	return c.Space.Apply(ctx, writes)
}

// strangers are records of people who have nothing in common, and with them one
// person's at two hospitals.
func (b *bench) strangers(n int) (versions []fhir.Version) {
	put := func(org, id, name, birth string, number map[string]any) {
		versions = append(versions, fhir.Version{Key: key(id), VersionID: b.h.put(org, id, mk(name, birth, "male", number))})
	}
	for i := range n {
		birth := fmt.Sprintf("19%02d-%02d-%02d", 40+i, 1+i%12, 1+i%28)
		name := string([]rune{rune('\u4e00' + 97*i), rune('\u5e00' + 89*i)})
		put("org-muni", fmt.Sprintf("s%02d", i), name, birth, citizen(gb(fmt.Sprintf("%06d%s001", 110101+1000*i, birth[:4]+birth[5:7]+birth[8:]))))
	}
	for _, org := range []string{"org-muni", "org-dist"} {
		put(org, "wei-"+org, "张伟", "1980-05-01", citizen(wei))
	}
	return versions
}

// TestGroupsAreWrittenAtOnce: strangers cost one write together, whoever hears
// of them again none, and one person's records are linked though they came in
// one group; also where another linker was first with some.
func TestGroupsAreWrittenAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	space := &counted{Space: b.space}
	b.space = space
	b.open()
	versions := b.strangers(20)
	b.x.Committed(t.Context(), versions)
	if n := space.applies.Load(); n != 2 {
		t.Errorf("%d writes, want one for the strangers and one for the record that links", n)
	}
	if s := b.x.Stats(); s.Feeds != 22 || s.Links != 1 {
		t.Errorf("stats %+v", s)
	}
	b.want("wei-org-dist", "wei-org-dist wei-org-muni")
	b.check()

	other := newBench(t)
	other.h = b.h
	other.open()
	late, err := mpi.Open(t.Context(), mpi.Config{Space: other.space, Read: b.h.read, CacheFor: 1})
	if err != nil {
		t.Fatal(err)
	}
	other.x.Committed(t.Context(), versions[:5])
	late.Committed(t.Context(), versions)
	if s := late.Stats(); s.Feeds != 17 || s.Unchanged != 5 || s.Retries == 0 {
		t.Errorf("stats of the later linker %+v", s)
	}
	other.open()
	other.want("wei-org-dist", "wei-org-dist wei-org-muni")
	other.check()
}
