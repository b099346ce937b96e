package bulk

import (
	"cmp"

	"hutong/fhir/store"
)

// Kinds sort pairs by the kind that a key begins with.
type Kinds map[string]*Sorter

// NewKinds makes Sorters with their runs in dir.
func NewKinds(dir string, kinds ...string) Kinds {
	out := Kinds{}
	for _, k := range kinds {
		out[k] = NewSorter(dir)
	}
	return out
}

// Parts give all pairs.
func (k Kinds) Parts() (out []store.Part) {
	for _, s := range k {
		out = append(out, s.Each)
	}
	return out
}

// Writer adds pairs, for one goroutine. The first error stays, and Flush tells it.
type Writer struct {
	in  map[string]*Adder
	err error
}

// Writer makes one.
func (k Kinds) Writer() *Writer {
	w := &Writer{in: map[string]*Adder{}}
	for kind, s := range k {
		w.in[kind] = s.Adder()
	}
	return w
}

// Add takes a pair in: its key is kind and rest.
func (w *Writer) Add(kind, rest string, value []byte) {
	w.err = cmp.Or(w.err, w.in[kind].Add([]byte(kind+rest), value))
}

// Err is the first error.
func (w *Writer) Err() error { return w.err }

// Flush writes what waits.
func (w *Writer) Flush() error {
	for _, a := range w.in {
		w.err = cmp.Or(w.err, a.Flush())
	}
	return w.err
}
