package disk

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"hutong/fhir"
	"hutong/fhir/store/disk/access"
	"hutong/fhir/store/disk/dated"
	"hutong/fhir/store/disk/layout"
	"hutong/fhir/store/disk/stream"
)

// spot is a place and the class of the resource there.
type spot = stream.Spot

// listStream reads one posting list, of one value, from the tree.
type listStream struct {
	x      *exec
	it     *pebble.Iterator
	prefix []byte // 'X', list and value
	key    []byte
	cur    spot
	on     bool  // stands on cur
	read   int64 // postings and, as that many steps, seeks
}

// openList opens the list of a value, in memory if it is read often.
func (x *exec) openList(listValue []byte) (stream.Stream, error) {
	v, err := x.packed(listValue, nil)
	if err != nil {
		return nil, err
	}
	if v != nil {
		return v.Stream(x.spend), nil
	}
	prefix := append([]byte{'X'}, listValue...)
	it, err := x.tree.Iter(prefix, layout.After(prefix))
	if err != nil {
		return nil, err
	}
	return &listStream{x: x, it: it, prefix: prefix}, nil
}

// near is how many postings are stepped over before the tree is asked: a seek
// costs about as much as that many steps.
const near = 6

// short is how many postings of a range are read before its values are looked up,
// which takes as long.
const short = 64

func (l *listStream) Seek(p layout.Place) (bool, error) {
	for range near {
		if !l.on || l.cur.Place.Compare(p) >= 0 {
			break
		}
		if ok, err := l.Next(); !ok || err != nil {
			return false, err
		}
	}
	if l.on && l.cur.Place.Compare(p) >= 0 {
		return true, nil
	}
	l.read += near
	l.key = layout.AppendPlace(append(l.key[:0], l.prefix...), p)
	return l.settle(l.it.SeekGE(l.key))
}

func (l *listStream) Next() (bool, error) { return l.settle(l.it.Next()) }

// settle skips postings that are newer than the snapshot and those of longer
// values that start with the same bytes.
func (l *listStream) settle(ok bool) (bool, error) {
	for ; ok; ok = l.it.Next() {
		l.read++
		if err := l.x.spend(costPosting); err != nil {
			return false, err
		}
		key := l.it.Key()
		if len(key) != len(l.prefix)+layout.PlaceLen {
			continue
		}
		class, in, err := l.x.holds(l.it)
		if err != nil {
			return false, err
		}
		if in {
			l.cur, l.on = spot{Place: layout.PlaceOf(key), Class: class}, true
			return true, nil
		}
	}
	if err := l.it.Error(); err != nil {
		return false, ioError(err)
	}
	return false, nil
}

func (l *listStream) Place() layout.Place { return l.cur.Place }

func (l *listStream) Class() uint32 { return l.cur.Class }

func (l *listStream) Close() error {
	l.x.hot.Used(l.prefix[1:], l.read)
	return l.x.tree.Done(l.it)
}

// lists gives the lists and values of a range that holds few of them; of more
// than MaxLists some are missing.
func (x *exec) lists(r *access.Range) (lists [][]byte, err error) {
	if r.Fixed {
		return [][]byte{r.Lo}, nil
	}
	if r.Lists == nil {
		r.Lists, err = x.values(r, x.s.s.opts.MaxLists+1)
	}
	return r.Lists, err
}

// holds reports whether the posting that it stands on was made by the
// snapshot's time, and the class there.
func (x *exec) holds(it *pebble.Iterator) (class uint32, in bool, err error) {
	v, err := it.ValueAndErr()
	if err != nil {
		return 0, false, ioError(err)
	}
	from, class := layout.PostedOf(v)
	return class, from <= x.s.t, nil
}

// open makes the stream of an access. It reads into memory what does not come
// in order, at most limit places; enough is false if there are more.
func (x *exec) open(a *access.Access, limit int) (st stream.Stream, enough bool, err error) {
	if a.Listed {
		return &stream.Mem{Places: a.Places}, true, nil
	}
	var in []stream.Stream
	mem := &stream.Mem{}
	enough = true
	if a.Ordered {
		in, err = x.openDates(a.Ranges, &mem.Places)
	}
	for i := range a.Ranges {
		r := &a.Ranges[i]
		if !a.Ordered {
			var opened []stream.Stream
			opened, enough, err = x.openRange(r, mem, x.s.s.opts.MaxLists-len(in), limit)
			in = append(in, opened...)
		}
		if err == nil && enough {
			err = x.collectUndo(r, &mem.Places)
		}
		if err != nil || !enough {
			return nil, false, join(err, stream.CloseAll(in))
		}
	}
	slices.SortFunc(mem.Places, spot.Compare)
	mem.Places = slices.CompactFunc(mem.Places, func(a, b spot) bool { return a.Place == b.Place })
	if len(mem.Places) > 0 || len(in) == 0 {
		in = append(in, mem)
	}
	return stream.Union(in), true, nil
}

// openRange opens what stands in order in a range, if its lists are no more than
// room; the rest comes into mem.
func (x *exec) openRange(r *access.Range, mem *stream.Mem, room, limit int) (in []stream.Stream, enough bool, err error) {
	if had := len(mem.Places); r.Points && r.Lists == nil && !x.s.s.long.Has(r.Lo) { // most are short: one seek reads them
		if enough, err = x.collect(r, &mem.Places, had+short); enough || err != nil {
			return nil, enough, err
		}
		mem.Places = mem.Places[:had]
		x.s.s.long.Add(r.Lo)
	}
	var lists [][]byte
	if r.Fixed || r.Points {
		if lists, err = x.lists(r); err != nil {
			return nil, false, err
		}
	}
	if (r.Fixed || r.Points) && len(lists) <= room {
		for _, lv := range lists {
			l, err := x.openList(lv)
			if err != nil {
				return in, false, err
			}
			in = append(in, l)
		}
		return in, true, nil
	}
	enough, err = x.collect(r, &mem.Places, limit)
	return nil, enough, err
}

// openDates opens the ranges of a date by which the default order goes. What stands
// there in another order comes into out.
func (x *exec) openDates(rs []access.Range, out *[]spot) ([]stream.Stream, error) {
	vs := make([]dated.Values, len(rs))
	for i, r := range rs {
		vs[i] = dated.Values{Lo: r.Lo, Hi: r.Hi, Match: r.Match}
	}
	src := dated.Source{Iter: x.tree.Iter, Done: x.tree.Done, Holds: x.holds, Spend: x.spend}
	return dated.Open(src, vs, func(i int, hi []byte) error {
		open := rs[i]
		open.Hi = hi
		_, err := x.collect(&open, out, maxRead)
		return err
	})
}

// values lists the distinct list values of a range that match, at most limit,
// by skipping from one to the next.
func (x *exec) values(r *access.Range, limit int) (out [][]byte, err error) {
	it, err := x.tree.Iter(append([]byte{'X'}, r.Lo...), append([]byte{'X'}, r.Hi...))
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok && len(out) < limit; {
		if err = x.spend(costPosting); err != nil {
			break
		}
		key := it.Key()
		lv := bytes.Clone(key[1 : len(key)-layout.PlaceLen])
		if r.Match == nil || r.Match(lv[4:]) {
			out = append(out, lv)
		}
		last := layout.AppendPlace(append([]byte{'X'}, lv...), layout.Place{Ord: 1<<48 - 1, RID: 1<<64 - 1})
		if ok = it.SeekGE(last); ok && bytes.Equal(it.Key(), last) {
			ok = it.Next()
		}
	}
	return out, join(err, x.tree.Done(it))
}

// collect reads the current postings of a range into memory, at most limit;
// enough is false if there are more.
func (x *exec) collect(r *access.Range, out *[]spot, limit int) (enough bool, err error) {
	enough = true
	err = x.current(r, func(_ []byte, p spot) bool {
		if enough = len(*out) < limit; enough {
			*out = append(*out, p)
		}
		return enough
	})
	return enough, err
}

func (x *exec) collectUndo(r *access.Range, out *[]spot) error {
	return x.undone(r, func(_ []byte, p spot) bool {
		*out = append(*out, p)
		return true
	})
}

// postings visits every posting of a range that held at the snapshot's time;
// some may come twice.
func (x *exec) postings(r *access.Range, visit func(value []byte, p spot) bool) error {
	return join(x.current(r, visit), x.undone(r, visit))
}

// current visits the current postings of a range, until visit returns false.
func (x *exec) current(r *access.Range, visit func(value []byte, p spot) bool) error {
	it, err := x.tree.Iter(append([]byte{'X'}, r.Lo...), append([]byte{'X'}, r.Hi...))
	if err != nil {
		return err
	}
	return x.visit(it, layout.PostingHead, r, visit)
}

// undone visits the postings of a range that held at the snapshot's time and
// were superseded since. They are few: only what changed after t. It runs
// after current, or after the streams were opened: what left the current
// postings meanwhile is here.
func (x *exec) undone(r *access.Range, visit func(value []byte, p spot) bool) error {
	if fhir.T(x.s.s.lastUndo.Load()) <= x.s.t {
		return nil
	}
	lo := append([]byte{'Y'}, r.Lo[:4]...)
	it, err := x.tree.Fresh(binary.BigEndian.AppendUint64(bytes.Clone(lo), uint64(x.s.t)+1), layout.After(lo))
	if err != nil {
		return err
	}
	return x.visit(it, layout.UndoHead, r, visit)
}

// visit goes over the postings of an iterator, which it closes: those in the
// range that were made by the snapshot's time.
func (x *exec) visit(it *pebble.Iterator, head int, r *access.Range, visit func(value []byte, p spot) bool) (err error) {
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		if err = x.spend(costPosting); err != nil {
			break
		}
		key := it.Key()
		value := key[head : len(key)-layout.PlaceLen]
		if !r.Contains(value) {
			continue
		}
		class, in, herr := x.holds(it)
		if err = herr; in && !visit(value, spot{Place: layout.PlaceOf(key), Class: class}) {
			break
		}
	}
	return join(err, x.tree.Done(it))
}

// count counts the postings of an access, at most limit: what the planner
// chooses by.
func (x *exec) count(a *access.Access, limit int) (n int, err error) {
	if a.Listed {
		return len(a.Places), nil
	}
	for i := range a.Ranges {
		r := &a.Ranges[i]
		if held, ok, err := x.known(r); ok || err != nil {
			if n += held; err != nil {
				return 0, err
			}
			continue
		}
		it, err := x.tree.Iter(append([]byte{'X'}, r.Lo...), append([]byte{'X'}, r.Hi...))
		if err != nil {
			return 0, err
		}
		for ok := it.First(); ok && n < limit; ok = it.Next() {
			n++
		}
		if err := x.tree.Done(it); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// choose finds the rarest part: it counts their postings in two rounds, and
// weighs by their bytes those that are too many to count. nil means that no
// part can drive.
func (x *exec) choose(parts []part) (*part, error) {
	var can []*part
	others := 0 // that are opened beside the driver, or not
	for i := range parts {
		switch q := &parts[i]; {
		case q.done:
		case q.a != nil && !q.a.Negate:
			can = append(can, q)
		default:
			others++
		}
	}
	if len(can) == 1 && others == 0 {
		can[0].count = uncounted // there is nothing to weigh it against
		return can[0], nil
	}
	for _, limit := range []int{64, 1024} {
		best, err := rarest(can, func(q *part) (int, error) { return x.count(q.a, limit) })
		if best == nil || err != nil || best.count < limit {
			return best, err
		}
	}
	return rarest(can, func(q *part) (int, error) { return x.weigh(q.a) })
}

// rarest counts the parts and gives the one with the least.
func rarest(parts []*part, count func(*part) (int, error)) (best *part, err error) {
	for _, q := range parts {
		if q.count, err = count(q); err != nil {
			return nil, err
		}
		if best == nil || q.count < best.count {
			best = q
		}
	}
	return best, nil
}

// postingBytes is what a posting takes in a table, about.
const postingBytes = 8

// weigh estimates the postings of an access by the tables that they take.
func (x *exec) weigh(a *access.Access) (int, error) {
	if a.Listed {
		return len(a.Places), nil
	}
	sum := int64(0)
	for i := range a.Ranges {
		r := &a.Ranges[i]
		held, ok, err := x.known(r)
		n := int64(held)
		if !ok && err == nil {
			n, err = x.estimate(r.Lo, r.Hi)
		}
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return max(1024, int(sum)), nil
}
