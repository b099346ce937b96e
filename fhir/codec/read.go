package codec

import (
	"bytes"
	"iter"
)

// Child gives the member of object i with the name, 0 if there is none or i
// is not an object.
func (d *Doc) Child(i uint32, key string) uint32 {
	n := &d.Nodes[i]
	if n.Kind != Object {
		return 0
	}
	for c := i + 1; c < n.Next; c = d.Nodes[c].Next {
		if string(d.Key(c)) == key {
			return c
		}
	}
	return 0
}

// Raw gives the bytes of the value as they stand in the text; strings without
// quotes and with their escapes.
func (d *Doc) Raw(i uint32) []byte { n := &d.Nodes[i]; return d.Src[n.Start:n.End] }

// Key gives the member name of node i, unescaped; empty for elements of arrays.
func (d *Doc) Key(i uint32) []byte { n := &d.Nodes[i]; return d.key(n.KeyStart, n.KeyEnd) }

func (d *Doc) key(start, end uint32) []byte {
	k := d.Src[start:end]
	if d.escapedKeys && bytes.IndexByte(k, '\\') >= 0 {
		return appendUnescaped(nil, k)
	}
	return k
}

// Text gives the unescaped text of a string; of other values the raw bytes.
func (d *Doc) Text(i uint32) string { return string(d.Bytes(i)) }

// Bytes is Text without a copy where the string has no escapes. The caller
// must not write to it.
func (d *Doc) Bytes(i uint32) []byte {
	if d.Nodes[i].Kind != Escaped {
		return d.Raw(i)
	}
	raw := d.Raw(i)
	return appendUnescaped(make([]byte, 0, len(raw)), raw)
}

// ChildText gives the text of a string member, "" if there is none.
func (d *Doc) ChildText(i uint32, key string) string {
	c := d.Child(i, key)
	if c == 0 || !d.Nodes[c].Kind.IsString() {
		return ""
	}
	return d.Text(c)
}

// Children gives the members of an object or the elements of an array in
// order; nothing for other kinds.
func (d *Doc) Children(i uint32) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		end := d.Nodes[i].Next
		for c := i + 1; c < end; c = d.Nodes[c].Next {
			if !yield(c) {
				return
			}
		}
	}
}

// Len gives the number of members or elements.
func (d *Doc) Len(i uint32) int {
	n, end := 0, d.Nodes[i].Next
	for c := i + 1; c < end; c = d.Nodes[c].Next {
		n++
	}
	return n
}
