// Package stream gives places in order, from memory and from other streams.
package stream

import (
	"slices"

	"hutong/fhir/store/disk/layout"
)

// Stream gives places in order, each once: newest first, then by row id.
type Stream interface {
	// Seek goes to the first place not before p; Next to the following one.
	// Both tell whether there is one. p never goes back.
	Seek(p layout.Place) (bool, error)
	Next() (bool, error)
	Place() layout.Place
	Class() uint32 // of the resource there, 0 if it is not known: see layout.Class
	Close() error
}

// Spot is a place and the class of the resource there, 0 if it is not known.
type Spot struct {
	layout.Place
	Class uint32
}

// Compare orders spots by their places.
func (p Spot) Compare(q Spot) int { return p.Place.Compare(q.Place) }

// Mem is a Stream of places in memory, sorted.
type Mem struct {
	Places []Spot
	at     int
}

// Seek is that of Stream.
func (m *Mem) Seek(p layout.Place) (bool, error) {
	n, _ := slices.BinarySearchFunc(m.Places[m.at:], p, func(a Spot, b layout.Place) int { return a.Place.Compare(b) })
	m.at += n
	return m.at < len(m.Places), nil
}

// Next is that of Stream.
func (m *Mem) Next() (bool, error) { m.at++; return m.at < len(m.Places), nil }

// Place is that of Stream.
func (m *Mem) Place() layout.Place { return m.Places[m.at].Place }

// Class is that of Stream.
func (m *Mem) Class() uint32 { return m.Places[m.at].Class }

// Close is that of Stream.
func (m *Mem) Close() error { return nil }

// union merges streams and gives each place once. It serves few streams;
// many are read into memory instead.
type union struct {
	in  []Stream
	on  []bool
	cur int
}

// Union merges streams; of one it is that.
func Union(in []Stream) Stream {
	if len(in) == 1 {
		return in[0]
	}
	return &union{in: in, on: make([]bool, len(in))}
}

func (u *union) Seek(p layout.Place) (bool, error) {
	for i, s := range u.in {
		ok, err := s.Seek(p)
		if err != nil {
			return false, err
		}
		u.on[i] = ok
	}
	return u.pick(), nil
}

func (u *union) Next() (bool, error) {
	last := u.Place()
	for i, s := range u.in {
		if !u.on[i] || s.Place() != last {
			continue
		}
		ok, err := s.Next()
		if err != nil {
			return false, err
		}
		u.on[i] = ok
	}
	return u.pick(), nil
}

// pick finds the first of the inputs' places.
func (u *union) pick() bool {
	u.cur = -1
	for i, s := range u.in {
		if u.on[i] && (u.cur < 0 || s.Place().Compare(u.in[u.cur].Place()) < 0) {
			u.cur = i
		}
	}
	return u.cur >= 0
}

func (u *union) Place() layout.Place { return u.in[u.cur].Place() }

func (u *union) Class() uint32 { return u.in[u.cur].Class() }

func (u *union) Close() error { return CloseAll(u.in) }

// CloseAll closes streams and gives the first error.
func CloseAll(in []Stream) error {
	var first error
	for _, s := range in {
		if err := s.Close(); first == nil {
			first = err
		}
	}
	return first
}
