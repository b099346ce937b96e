// Package ledger says which index rows a resource must have, from its versions
// alone. fsck holds the stored rows against it, and an index build writes what
// it says; the committer arrives at the same rows one version at a time. It
// does no I/O.
package ledger

import (
	"encoding/binary"
	"slices"

	"hutong/fhir"
	"hutong/fhir/store/disk/layout"
)

// Posting is one row that must stand: a current one (To is 0) or one that the
// commit To superseded.
type Posting struct {
	ListValue []byte
	Place     layout.Place
	From      fhir.T
	// AtMost tells that From is the oldest version that is kept, and that the
	// row may hold an earlier time.
	AtMost bool
	To     fhir.T
	Class  uint32 // see layout.Class
}

// Holds reports whether a stored row's time and class are right. A row without
// a class that it should have is of the first format, whose times do not tell
// when the class began. Times up to the horizon are all alike: nobody reads as
// of them.
func (p *Posting) Holds(from fhir.T, class uint32, horizon fhir.T) bool {
	if from == 0 || class == 0 && p.Class != 0 {
		return from > 0
	}
	return class == p.Class && (max(from, horizon) == max(p.From, horizon) || p.AtMost && from < p.From)
}

// Key is the key of the row.
func (p *Posting) Key(b []byte) []byte {
	if p.To == 0 {
		return layout.PostingKey(b, p.ListValue, p.Place)
	}
	return layout.UndoKey(b, p.ListValue, p.Place, p.To)
}

// Value is the content of the row.
func (p *Posting) Value() []byte { return layout.AppendPosted(nil, p.From, p.Class) }

// Chain follows one resource from its oldest kept version to its newest.
type Chain struct {
	open    map[string]Posting
	place   layout.Place
	class   uint32
	live    bool
	started bool
}

// Reset prepares the chain for another resource.
func (c *Chain) Reset() {
	clear(c.open)
	*c = Chain{open: c.open}
	if c.open == nil {
		c.open = map[string]Posting{}
	}
}

// Add takes the next version: its row, its postings (none of a deletion) and
// the number of the list of lastUpdated. undone hears of each row that the
// version supersedes.
func (c *Chain) Add(rid layout.RID, row *layout.Row, p *layout.Postings, updated uint32, undone func(*Posting) error) error {
	place := layout.Place{Ord: row.Ord(), RID: rid}
	class := p.ClassAt(rid)
	stay := c.live && !row.Deleted() && place == c.place && class == c.class
	stamp := layout.AppendInt(binary.BigEndian.AppendUint32(nil, updated), row.LastUpdated.UnixMilli())
	for lv, old := range c.open {
		if stay && p.Has(old.ListValue) {
			continue
		}
		delete(c.open, lv)
		old.To = row.T
		if err := undone(&old); err != nil {
			return err
		}
	}
	first := !c.started && row.VersionID > 1
	c.started, c.live, c.place, c.class = true, !row.Deleted(), place, class
	if row.Deleted() {
		return nil
	}
	for _, lv := range p.Keys() {
		c.put(lv, place, row.T, first)
	}
	c.put(stamp, place, row.T, false)
	return nil
}

func (c *Chain) put(lv []byte, place layout.Place, from fhir.T, atMost bool) {
	if _, there := c.open[string(lv)]; !there {
		c.open[string(lv)] = Posting{ListValue: slices.Clone(lv), Place: place, From: from, AtMost: atMost, Class: c.class}
	}
}

// Current calls visit with each row that stands now.
func (c *Chain) Current(visit func(*Posting) error) error {
	for _, p := range c.open {
		if err := visit(&p); err != nil {
			return err
		}
	}
	return nil
}
