package batch

import "runtime"

// column is some numbers of each record, in the order of the records.
type column struct {
	values []uint32
	ends   []uint32 // of each record in values
}

func (c *column) of(i int) []uint32 {
	if i == 0 {
		return c.values[:c.ends[0]]
	}
	return c.values[c.ends[i-1]:c.ends[i]]
}

// end says that the values of a record are complete.
func (c *column) end() { c.ends = append(c.ends, uint32(len(c.values))) }

// prune drops what makes no key: the parts that only one record has, and in a
// large file the ends of values. What is left may be rare all the same.
func (c *column) prune(wide bool) {
	m := newMarks(len(c.values))
	for _, p := range c.values {
		m.add(p)
	}
	keep := func(p uint32) bool { return (wide || p&cut == 0) && !m.rare(p) }
	size := 0
	for _, p := range c.values {
		if keep(p) {
			size++
		}
	}
	values, from := make([]uint32, 0, size), uint32(0)
	for i, to := range c.ends {
		for _, p := range c.values[from:to] {
			if keep(p) {
				values = append(values, p)
			}
		}
		c.ends[i], from = uint32(len(values)), to
	}
	c.values = values
}

// marks tells of parts by their hash whether they came twice.
type marks struct {
	once, twice []uint64
	shift       int
}

// newMarks makes room for n parts, of which few should share a place.
func newMarks(n int) *marks {
	size := max(10, bitsFor(n)+2)
	return &marks{make([]uint64, 1<<size/64), make([]uint64, 1<<size/64), 32 - min(size, 32)}
}

func (m *marks) spot(p uint32) (word int, bit uint64) {
	h := p * 2654435769 >> m.shift
	return int(h / 64), 1 << (h % 64)
}

func (m *marks) add(p uint32) {
	w, b := m.spot(p)
	m.twice[w] |= m.once[w] & b
	m.once[w] |= b
}

func (m *marks) rare(p uint32) bool {
	w, b := m.spot(p)
	return m.twice[w]&b == 0
}

// prune drops the parts of a file that make no key, class by class.
func (f *File) prune() {
	wide := f.Len() <= wideUpTo
	side(int(classes), runtime.GOMAXPROCS(0), func(c int) { f.parts[c].prune(wide) })
}
