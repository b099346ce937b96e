// Package head is what leads a stored row of the index: all but its block keys and
// the record itself.
package head

import (
	"encoding/binary"
	"encoding/json"
	"time"

	"hutong/mpi/link"
	"hutong/mpi/source"
)

// Head tells of a source Patient which version the index knows, and what became of it.
type Head struct {
	Rev       uint64        `json:"n"` // grows with every write of the row
	Version   uint64        `json:"v"` // of the source Patient
	Person    string        `json:"p"`
	Origin    string        `json:"o,omitempty"` // the first person it was given
	Custodian string        `json:"c,omitempty"`
	Inactive  bool          `json:"i,omitempty"`
	Deleted   bool          `json:"d,omitempty"`
	Updated   time.Time     `json:"u"` // lastUpdated of Version
	Links     []source.Link `json:"l,omitempty"`
	Life      link.Life     `json:"f,omitzero"`
}

// version leads a head in binary form. Rows of before begin with the brace
// of JSON, and are read as such until they are written again.
const version = 1

// flags of a head; extra says that links and life follow as JSON, which few
// records have.
const (
	inactive = 1 << iota
	deleted
	extra
)

type more struct {
	Links []source.Link `json:"l,omitempty"`
	Life  link.Life     `json:"f,omitzero"`
}

// Encode writes version, flags, revision, version of the Patient, time in
// microseconds, person, origin, custodian, and the rest as JSON if there is any.
func (h *Head) Encode() []byte {
	b := []byte{version, 0}
	b = binary.AppendUvarint(b, h.Rev)
	b = binary.AppendUvarint(b, h.Version)
	b = binary.AppendVarint(b, h.Updated.UnixMicro())
	for _, s := range []string{h.Person, h.Origin, h.Custodian} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	if h.Inactive {
		b[1] |= inactive
	}
	if h.Deleted {
		b[1] |= deleted
	}
	if len(h.Links) > 0 || h.Life != (link.Life{}) {
		b[1] |= extra
		rest, _ := json.Marshal(more{h.Links, h.Life}) // texts, numbers and booleans always marshal
		b = append(b, rest...)
	}
	return b
}

// Decode reads what Encode wrote, or JSON.
func (h *Head) Decode(b []byte) bool {
	if len(b) < 2 || b[0] != version {
		return json.Unmarshal(b, h) == nil
	}
	flags, ok := b[1], true
	b = b[2:]
	num := func() uint64 {
		n, w := binary.Uvarint(b)
		if w <= 0 {
			ok = false
			return 0
		}
		b = b[w:]
		return n
	}
	h.Rev, h.Version = num(), num()
	at, w := binary.Varint(b)
	if !ok || w <= 0 {
		return false
	}
	b = b[w:]
	h.Updated = time.UnixMicro(at).UTC()
	for _, s := range []*string{&h.Person, &h.Origin, &h.Custodian} {
		text, rest, ok := Counted(b, 1)
		if !ok {
			return false
		}
		*s, b = string(text), rest
	}
	h.Inactive, h.Deleted = flags&inactive != 0, flags&deleted != 0
	if flags&extra == 0 {
		return true
	}
	var m more
	err := json.Unmarshal(b, &m)
	h.Links, h.Life = m.Links, m.Life
	return err == nil
}

// RevisionOf reads no more of a head than its revision.
func RevisionOf(head []byte) (uint64, bool) {
	if len(head) > 2 && head[0] == version {
		n, w := binary.Uvarint(head[2:])
		return n, w > 0
	}
	var h Head
	ok := h.Decode(head)
	return h.Rev, ok
}

// Counted splits off a run of n*size bytes led by its count n.
func Counted(b []byte, size int) (run, rest []byte, ok bool) {
	n, w := binary.Uvarint(b)
	if w <= 0 || n > uint64(len(b)-w)/uint64(size) {
		return nil, nil, false
	}
	end := w + int(n)*size
	return b[w:end], b[end:], true
}
