package hot

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sort"

	"hutong/fhir"
	"hutong/fhir/store/disk/layout"
	"hutong/fhir/store/disk/stream"
)

// row is a posting: its order and class, its rid. A class too large for 16 bits
// is left out, which costs a look at the facts row.
type row struct {
	head uint64 // ord << 16 | class
	rid  layout.RID
}

func pack(p layout.Place, class uint32) row {
	if class > 1<<16-1 {
		class = 0
	}
	return row{uint64(p.Ord)<<16 | uint64(class), p.RID}
}

func (r row) class() uint32 { return uint32(r.head & (1<<16 - 1)) }

func (r row) place() layout.Place { return layout.Place{Ord: layout.Ord(r.head >> 16), RID: r.rid} }

func (r row) spot() stream.Spot { return stream.Spot{Place: r.place(), Class: r.class()} }

// compare orders rows by place.
func (r row) compare(o row) int {
	if c := cmp.Compare(r.head>>16, o.head>>16); c != 0 {
		return c
	}
	return cmp.Compare(r.rid, o.rid)
}

// period is a posting of a list of dates with its value, [lo,hi) in microseconds.
type period struct {
	row
	lo, hi int64
}

// change is a posting that commit at made, or ended.
type change struct {
	row
	lo, hi int64
	at     fhir.T
	end    bool
}

// state is a list at one moment. It never changes.
type state struct {
	dated bool // a whole list of dates, with their values
	since fhir.T
	rows  []row    // by place; of a list of dates those whose class tells the value
	odd   []period // by place; of a list of dates the others
	kinds []Kind
}

// Kind says how many of the rows have a class.
type Kind struct {
	Class uint32
	N     int
	Span  int64 // of a list of dates: the length of the value in microseconds, which begins at the place's moment
}

// list is a state and the changes since. Those are told from the moment on at
// which the list begins to be read from the tree; then it is ready.
type list struct {
	state
	key     string
	changes []change // in order of their commits; what one ended before what it made
	bytes   int64
	used    int64
	ready   bool
	dead    bool
}

func (l *list) id() uint32 { return binary.BigEndian.Uint32([]byte(l.key)) }

// View is a list at the moment of a reading. It is safe for concurrent use.
type View struct {
	state
	gone  []row    // rows of the state that had ended
	extra []period // what was made since
}

// resolve finds what changes up to t did to the state: of each place the first
// says whether the state has it, the last whether it is there.
func (v *View) resolve(changes []change, t fhir.T) {
	n, _ := slices.BinarySearchFunc(changes, t+1, func(c change, t fhir.T) int { return cmp.Compare(c.at, t) })
	if n == 0 {
		return
	}
	changes = slices.Clone(changes[:n])
	slices.SortStableFunc(changes, func(a, b change) int { return a.compare(b.row) })
	for i := 0; i < n; {
		j := i + 1
		for j < n && changes[j].compare(changes[i].row) == 0 {
			j++
		}
		if first := &changes[i]; first.end {
			v.gone = append(v.gone, first.row)
		}
		if last := &changes[j-1]; !last.end {
			v.extra = append(v.extra, period{last.row, last.lo, last.hi})
		}
		i = j
	}
}

// folded is the state with what changed.
func (v *View) folded() state {
	spans := make(map[uint32]int64, len(v.kinds))
	for _, k := range v.kinds {
		spans[k.Class] = k.Span
	}
	made := state{dated: v.dated}
	for _, p := range v.extra {
		made.put(p, spans[p.class()])
	}
	next := state{dated: v.dated}
	next.rows = merge(v.rows, v.gone, made.rows, func(r row) row { return r })
	next.odd = merge(v.odd, v.gone, made.odd, func(p period) row { return p.row })
	next.finish(spans)
	return next
}

// merge gives what is of base and not gone, and what was made, by place.
func merge[T any](base []T, gone []row, made []T, of func(T) row) []T {
	out := make([]T, 0, len(base)+len(made))
	left := skip{gone: gone}
	for _, b := range base {
		r := of(b)
		if left.has(r) {
			continue
		}
		for ; len(made) > 0 && of(made[0]).compare(r) < 0; made = made[1:] {
			out = append(out, made[0])
		}
		out = append(out, b)
	}
	return append(out, made...)
}

// put takes in a posting by what its class tells, whose span is given.
func (s *state) put(p period, span int64) {
	if s.dated && !told(p, span) {
		s.odd = append(s.odd, p)
	} else {
		s.rows = append(s.rows, p.row)
	}
}

// finish sorts what is not sorted, and counts the classes.
func (s *state) finish(spans map[uint32]int64) {
	if !slices.IsSortedFunc(s.rows, row.compare) {
		slices.SortFunc(s.rows, row.compare)
	}
	slices.SortFunc(s.odd, func(a, b period) int { return a.compare(b.row) })
	counts := map[uint32]int{}
	for i := 0; i < len(s.rows); {
		j, class := i+1, s.rows[i].class()
		for j < len(s.rows) && s.rows[j].class() == class {
			j++
		}
		counts[class] += j - i
		i = j
	}
	for class, n := range counts {
		s.kinds = append(s.kinds, Kind{Class: class, N: n, Span: spans[class]})
	}
}

// twice reports whether a place stands twice, against what was promised.
func (s *state) twice() bool {
	odd := s.odd
	for i, r := range s.rows {
		for len(odd) > 0 && odd[0].compare(r) < 0 {
			odd = odd[1:]
		}
		if i > 0 && r.compare(s.rows[i-1]) == 0 || len(odd) > 0 && odd[0].compare(r) == 0 {
			return true
		}
	}
	for i := 1; i < len(s.odd); i++ {
		if s.odd[i].compare(s.odd[i-1].row) == 0 {
			return true
		}
	}
	return false
}

// told reports whether the value of a date is what its place and the span of
// its class say.
func told(p period, span int64) bool {
	at := p.place().Ord.Moment() * 1000
	return span > 0 && p.lo == at && p.hi == at+span
}

// skip tells which rows are gone; it is asked in the order of places.
type skip struct {
	gone []row
}

func (s *skip) has(r row) bool {
	for len(s.gone) > 0 {
		switch c := s.gone[0].compare(r); {
		case c == 0:
			return true
		case c > 0:
			return false
		}
		s.gone = s.gone[1:]
	}
	return false
}

// Len is the number of postings.
func (v *View) Len() int { return len(v.rows) + len(v.odd) - len(v.gone) + len(v.extra) }

// Kinds gives the classes of the postings and how many have each, added up to
// Len; not of a list of dates.
func (v *View) Kinds(visit func(class uint32, n int) (more bool)) {
	for _, k := range v.kinds {
		if !visit(k.Class, k.N) {
			return
		}
	}
	for _, r := range v.gone {
		if !visit(r.class(), -1) {
			return
		}
	}
	for _, p := range v.extra {
		if !visit(p.class(), 1) {
			return
		}
	}
}

// Stream gives the postings in order. spend is told of those that it visits.
func (v *View) Stream(spend func(postings int64) error) stream.Stream {
	st := stream.Stream(&packed{rows: v.rows, gone: skip{v.gone}, spend: spend})
	if len(v.extra) == 0 {
		return st
	}
	places := make([]stream.Spot, len(v.extra))
	for i, p := range v.extra {
		places[i] = p.spot()
	}
	return stream.Union([]stream.Stream{st, &stream.Mem{Places: places}})
}

// Dates visits the postings of a list of dates with their values, those told by
// their classes first, each part in order. bounds tells between which moments
// those values begin that are asked for, given the longest span: others are
// passed over where that costs nothing. spend is told of those that it visits.
func (v *View) Dates(bounds func(span int64) (from, to int64), spend func(postings int64) error, visit func(at stream.Spot, lo, hi int64) error) error {
	spans, longest := []int64{0}, int64(0) // by class
	for _, k := range v.kinds {
		if n := int(k.Class) + 1 - len(spans); n > 0 {
			spans = append(spans, make([]int64, n)...)
		}
		spans[k.Class], longest = k.Span, max(longest, k.Span)
	}
	rows := v.between(bounds(longest))
	if err := spend(int64(len(rows) + len(v.odd) + len(v.extra))); err != nil {
		return err
	}
	gone := skip{v.gone}
	for _, r := range rows {
		if len(gone.gone) > 0 && gone.has(r) {
			continue
		}
		at := r.spot()
		lo := at.Ord.Moment() * 1000
		if err := visit(at, lo, lo+spans[at.Class]); err != nil {
			return err
		}
	}
	gone = skip{v.gone}
	for _, p := range v.odd {
		if !gone.has(p.row) {
			if err := visit(p.spot(), p.lo, p.hi); err != nil {
				return err
			}
		}
	}
	for _, p := range v.extra {
		if err := visit(p.spot(), p.lo, p.hi); err != nil {
			return err
		}
	}
	return nil
}

// between gives the rows whose moments are in [from,to] microseconds; the latest
// come first.
func (v *View) between(from, to int64) []row {
	moment := func(r row) int64 { return r.place().Ord.Moment() * 1000 }
	lo := sort.Search(len(v.rows), func(i int) bool { return moment(v.rows[i]) <= to })
	hi := sort.Search(len(v.rows), func(i int) bool { return moment(v.rows[i]) < from })
	return v.rows[lo:max(lo, hi)]
}

// packed is the stream of rows that are not gone.
type packed struct {
	rows  []row // from the current one on
	gone  skip
	spend func(int64) error
	n     int64
}

// Seek is that of stream.Stream: by steps that double, since most leaps are short.
func (s *packed) Seek(p layout.Place) (bool, error) {
	want := pack(p, 0)
	hi := 1
	for hi < len(s.rows) && s.rows[hi].compare(want) < 0 {
		hi *= 2
	}
	lo := hi / 2
	if lo <= 1 {
		lo = 0
	}
	hi = min(hi+1, len(s.rows))
	n, _ := slices.BinarySearchFunc(s.rows[min(lo, hi):hi], want, row.compare)
	s.rows = s.rows[min(lo, hi)+n:]
	return s.settle()
}

// Next is that of stream.Stream.
func (s *packed) Next() (bool, error) {
	s.rows = s.rows[1:]
	return s.settle()
}

// lap is how many postings are paid for at once.
const lap = 256

func (s *packed) settle() (bool, error) {
	if s.n++; s.n >= lap {
		if err := s.spend(s.n); err != nil {
			return false, err
		}
		s.n = 0
	}
	for len(s.rows) > 0 && len(s.gone.gone) > 0 && s.gone.has(s.rows[0]) {
		s.rows = s.rows[1:]
	}
	return len(s.rows) > 0, nil
}

// Place is that of stream.Stream.
func (s *packed) Place() layout.Place { return s.rows[0].place() }

// Class is that of stream.Stream.
func (s *packed) Class() uint32 { return s.rows[0].class() }

// Close is that of stream.Stream.
func (s *packed) Close() error { return s.spend(s.n) }
