// Package tally counts postings in one loop over adjacent keys, and keeps the
// first places of them: a total and a page from lists that do not come in the
// order of the page, in memory that the page bounds.
package tally

import (
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"hutong/fhir"
	"hutong/fhir/store/disk/hot"
	"hutong/fhir/store/disk/judge"
	"hutong/fhir/store/disk/layout"
	"hutong/fhir/store/disk/stream"
)

// Range is a range of current postings whose places differ.
type Range struct {
	Lo, Hi []byte                  // of keys
	Len    int                     // of a key; 0 takes all lengths
	Match  func(value []byte) bool // of what stands behind the list; nil takes all
}

// Tally counts what held at T and what the caller may see. It is not safe for
// concurrent use.
type Tally struct {
	T     fhir.T
	Judge *judge.Judge
	Ask   func(stream.Spot) (bool, error) // decides where the judge cannot
	Spend func(postings int64) error

	Keep  int         // the first places to keep, beside those that share the last one's order; 0 keeps none
	After *layout.Ord // keeps no place before this order, and all that share it

	Total int
	kept  []stream.Spot
	full  bool
	worst layout.Ord // of the kept, once it is full
	room  int        // the kept are cut back when there are as many
}

// lap is how many postings are paid for at once.
const lap = 512

// Count visits the postings of r. it may stand anywhere and have any bounds.
func (t *Tally) Count(it *pebble.Iterator, r *Range) error {
	it.SetBounds(r.Lo, r.Hi)
	n := int64(0)
	for ok := it.First(); ok; ok = it.Next() {
		if n++; n == lap {
			if err := t.Spend(n); err != nil {
				return err
			}
			n = 0
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		from, class := layout.PostedOf(v)
		key := it.Key()
		if from > t.T || r.Len != 0 && len(key) != r.Len || r.Match != nil && !r.Match(key[layout.PostingHead:len(key)-layout.PlaceLen]) {
			continue
		}
		if err := t.take(class, key); err != nil {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return err
	}
	return t.Spend(n)
}

// take counts a posting whose place no other has.
func (t *Tally) take(class uint32, key []byte) error {
	if t.Keep == 0 && t.Judge.All() {
		t.Total++
		return nil
	}
	return t.Add(stream.Spot{Place: layout.PlaceOf(key), Class: class})
}

// Add counts a place that no posting of the ranges had, if it is visible.
func (t *Tally) Add(p stream.Spot) error {
	v, err := t.Judge.Of(p.Class, p.Place)
	seen := v == judge.Yes
	if err == nil && v == judge.Maybe {
		seen, err = t.Ask(p)
	}
	if err != nil || !seen {
		return err
	}
	t.Total++
	if t.Keep == 0 || t.full && p.Ord > t.worst || t.After != nil && p.Ord < *t.After {
		return nil
	}
	t.kept = append(t.kept, p)
	if len(t.kept) >= max(t.room, minRoom) {
		t.cut()
		t.room = 2 * len(t.kept)
	}
	return nil
}

// minRoom is the least number of kept places before they are cut back.
const minRoom = 1024

// cut keeps the first places only.
func (t *Tally) cut() {
	slices.SortFunc(t.kept, stream.Spot.Compare)
	n := t.Keep // the last of which has the worst order
	for i := 0; t.After != nil && i < len(t.kept) && t.kept[i].Ord == *t.After; i++ {
		n++
	}
	if n == 0 || n > len(t.kept) {
		return
	}
	t.full, t.worst = true, t.kept[n-1].Ord
	for n < len(t.kept) && t.kept[n].Ord == t.worst {
		n++
	}
	t.kept = t.kept[:n]
}

// Packed counts a list that is held in memory: by its classes where they settle
// who sees it, so that only the places of the page are looked at.
func (t *Tally) Packed(v *hot.View) error {
	total, settled, err := t.classes(v)
	if err != nil {
		return err
	}
	if settled {
		t.Total += total
		if err := t.Spend(int64(v.Len())); err != nil || t.Keep == 0 {
			return err
		}
	}
	spend := t.Spend
	if settled {
		spend = func(int64) error { return nil } // was paid
	}
	st, from := v.Stream(spend), layout.Place{}
	if settled && t.After != nil {
		from.Ord = *t.After
	}
	ok, err := st.Seek(from)
	for behind := 0; ok && err == nil; ok, err = st.Next() {
		p := stream.Spot{Place: st.Place(), Class: st.Class()}
		if !settled {
			if err = t.Add(p); err != nil {
				break
			}
			continue
		}
		if behind >= t.Keep && p.Ord > t.kept[len(t.kept)-1].Ord {
			break
		}
		if v, _, jerr := t.Judge.Settled(p.Class); jerr != nil || v != judge.Yes {
			err = jerr
			continue
		}
		if t.kept = append(t.kept, p); t.After == nil || p.Ord > *t.After {
			behind++
		}
	}
	if cerr := st.Close(); err == nil {
		err = cerr
	}
	return err
}

// Settles reports whether Packed need not look at the rows of a list.
func (t *Tally) Settles(v *hot.View) (bool, error) {
	_, ok, err := t.classes(v)
	return ok, err
}

// classes adds up what the classes of a list settle; ok is false if they do not
// settle all.
func (t *Tally) classes(v *hot.View) (total int, ok bool, err error) {
	ok = true
	v.Kinds(func(class uint32, n int) bool {
		var verdict judge.Verdict
		if verdict, ok, err = t.Judge.Settled(class); verdict == judge.Yes {
			total += n
		}
		return ok && err == nil
	})
	return total, ok, err
}

// Dates counts those postings of a list of dates that match, whose values begin
// within the bounds (see hot.View.Dates).
func (t *Tally) Dates(v *hot.View, bounds func(span int64) (from, to int64), match func(lo, hi int64) bool) error {
	count := t.Keep == 0 && t.Judge.All()
	return v.Dates(bounds, t.Spend, func(at stream.Spot, lo, hi int64) error {
		switch {
		case !match(lo, hi):
			return nil
		case count:
			t.Total++
			return nil
		}
		return t.Add(at)
	})
}

// First gives the kept places in order: at least Keep of them behind After, if
// there are as many.
func (t *Tally) First() []stream.Spot {
	t.cut()
	return t.kept
}

// Has reports whether the posting of that key is among those that it sees and
// that held at T.
func (t *Tally) Has(it *pebble.Iterator, key []byte) (bool, error) {
	it.SetBounds(key, append(key[:len(key):len(key)], 0))
	if !it.First() {
		return false, it.Error()
	}
	v, err := it.ValueAndErr()
	from, _ := layout.PostedOf(v)
	return err == nil && from <= t.T, err
}
