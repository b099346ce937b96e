// Package codec takes FHIR JSON in and gives it out without loss. Parse makes
// a tape: one flat array of nodes that point into the sender's bytes, so that
// syntax, validation, search extraction, reference rewriting, storage and
// typed access (google/fhir protos) all work from one parse.
package codec

import (
	"sync"

	"hutong/fhir"
)

// Kind is the kind of a JSON value.
type Kind uint8

// The kinds.
const (
	Object Kind = iota
	Array
	String  // a string without escapes: its bytes are its text
	Escaped // a string with escapes: use Text or Bytes
	Number
	True
	False
	Null
)

// Node is one JSON value. Offsets are bytes of Doc.Src. A container is
// followed by its members; Next is the index after its subtree.
type Node struct {
	KeyStart, KeyEnd uint32 // the member's name without quotes; equal where the parent is an array
	Start, End       uint32 // the value; strings without quotes
	Next             uint32
	Kind             Kind
}

// Doc is the tape of one JSON text. Node 0 is the root; as a result, 0 means
// "absent". A Doc is read-only after Parse and then safe for concurrent use.
type Doc struct {
	Src   []byte // without a byte order mark; never written to, must not change while the Doc lives
	Nodes []Node

	escapedKeys bool     // some member name holds an escape
	spaced      bool     // there is white space between tokens
	order       []uint32 // scratch of the duplicate check
}

// Limits bound what a parse may cost.
type Limits struct {
	MaxBytes int // of the text; more is TooLarge
	MaxDepth int // of nested objects and arrays; more is Structure
	MaxNodes int // JSON values; more is TooLarge
}

// DefaultLimits are those of the REST interface: 32 MiB, 64 levels, two
// million values (a Synthea bundle of 629 KB has 30 thousand).
func DefaultLimits() Limits {
	return Limits{MaxBytes: 32 << 20, MaxDepth: 64, MaxNodes: 2_000_000}
}

// Parse reads one JSON text, strictly by RFC 8259. Beyond the grammar it
// refuses invalid UTF-8, lone surrogates and duplicate member names; a leading
// UTF-8 byte order mark is skipped. Numbers keep their digits. An error is a
// *fhir.Error of kind Structure that names line, column and the path so far,
// or of kind TooLarge. The Doc keeps src.
func Parse(src []byte, lim Limits) (*Doc, error) {
	d := &Doc{Nodes: make([]Node, 0, len(src)/24+8)}
	if err := d.Parse(src, lim); err != nil {
		return nil, err
	}
	return d, nil
}

// Parse is the function Parse into a Doc that is used again: it allocates
// nothing once the Doc has grown. After an error the Doc is empty.
func (d *Doc) Parse(src []byte, lim Limits) error {
	d.Reset()
	err := parse(d, src, lim)
	if err != nil {
		d.Reset()
		return err
	}
	return nil
}

// Reset lets go of the text and keeps the memory of the tape.
func (d *Doc) Reset() {
	*d = Doc{Nodes: d.Nodes[:0], order: d.order[:0]}
}

// maxPooledNodes keeps one giant bundle from pinning its memory for ever.
const maxPooledNodes = 1 << 17

// Pool hands out Docs for reuse. The zero value is ready.
type Pool struct{ docs sync.Pool }

// Parse is the function Parse with a Doc of the pool. Give the Doc back with
// Put when nothing refers to it any more.
func (p *Pool) Parse(src []byte, lim Limits) (*Doc, error) {
	d, _ := p.docs.Get().(*Doc)
	if d == nil {
		d = new(Doc)
	}
	if err := d.Parse(src, lim); err != nil {
		p.Put(d)
		return nil, err
	}
	return d, nil
}

// Put takes a Doc back; nil is allowed.
func (p *Pool) Put(d *Doc) {
	if d == nil || cap(d.Nodes) > maxPooledNodes {
		return
	}
	d.Reset()
	p.docs.Put(d)
}

// IsString reports whether a node of the kind is a string.
func (k Kind) IsString() bool { return k == String || k == Escaped }

// ResourceType gives the resourceType of the object i; "" if it has none.
func (d *Doc) ResourceType(i uint32) fhir.Type {
	c := d.Child(i, "resourceType")
	if c == 0 || !d.Nodes[c].Kind.IsString() {
		return ""
	}
	return fhir.Type(d.Text(c))
}
