package codec

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf8"

	"hutong/fhir"
)

// fail makes the error of a fault at an offset. The expression is the chain
// of open nodes; the text never repeats a value of the sender.
func (p *parser) fail(offset int, fault string) error {
	line, column := position(p.b, min(offset, len(p.b)))
	e := fhir.Errorf(fhir.Structure, "line %d, column %d: %s", line, column, fault)
	e.Issues[0].Code = "structure"
	return e.At(p.openPath())
}

func tooLarge(format string, args ...any) error {
	e := fhir.Errorf(fhir.TooLarge, "%s", fmt.Sprintf(format, args...))
	e.Issues[0].Code = "too-long"
	return e
}

// position gives line and column, from 1, columns in characters.
func position(b []byte, offset int) (line, column int) {
	before := b[:offset]
	lineStart := bytes.LastIndexByte(before, '\n') + 1
	return 1 + bytes.Count(before, []byte{'\n'}), 1 + utf8.RuneCount(before[lineStart:])
}

// openPath is Path for a tape that is not complete: it follows the open
// nodes, each of which is the last child of its parent.
func (p *parser) openPath() string {
	nodes := p.doc.Nodes
	var b pathBuilder
	for i := 0; i < len(nodes) && nodes[i].Next == 0 && int(nodes[i].Start) < len(p.b); {
		kind, last, count := p.b[nodes[i].Start], 0, 0
		for c := i + 1; c < len(nodes); c = int(nodes[c].Next) {
			last = c
			count++
			if i == 0 && kind == '{' {
				b.root(p.doc, uint32(c))
			}
			if nodes[c].Next == 0 {
				break
			}
		}
		if last == 0 || nodes[last].Next != 0 {
			break
		}
		if kind == '[' {
			b.index(count - 1)
		} else {
			b.member(p.doc.Key(uint32(last)))
		}
		i = last
	}
	return string(b)
}

// Path gives the FHIRPath of node i from the root: Patient.name[0].given[1].
// Members that begin with '_' take the name of their primitive. Choice
// elements keep their JSON name (valueQuantity): the tape knows no types.
func (d *Doc) Path(i uint32) string {
	var b pathBuilder
	b.root(d, d.Child(0, "resourceType"))
	for at := uint32(0); at < i; {
		list, n := d.Nodes[at].Kind == Array, 0
		c := at + 1
		for d.Nodes[c].Next <= i {
			c = d.Nodes[c].Next
			n++
		}
		if list {
			b.index(n)
		} else {
			b.member(d.Key(c))
		}
		at = c
	}
	return string(b)
}

// pathBuilder writes a FHIRPath.
type pathBuilder []byte

// root begins the path with the type if node c is a resourceType.
func (b *pathBuilder) root(d *Doc, c uint32) {
	if c != 0 && string(d.Key(c)) == "resourceType" && d.Nodes[c].Kind == String && d.Nodes[c].Next != 0 {
		*b = append(*b, displayName(d.Raw(c))...)
	}
}

func (b *pathBuilder) member(key []byte) {
	if len(key) > 1 && key[0] == '_' {
		key = key[1:]
	}
	if len(*b) > 0 {
		*b = append(*b, '.')
	}
	*b = append(*b, displayName(key)...)
}

func (b *pathBuilder) index(n int) {
	*b = append(*b, '[')
	*b = strconv.AppendInt(*b, int64(n), 10)
	*b = append(*b, ']')
}

// displayName gives a name fit for an error text: what is not a plain element
// name could be anything, a patient's data too, and is shown as '?'.
func displayName(key []byte) string {
	if len(key) == 0 || len(key) > 64 {
		return "?"
	}
	for _, c := range key {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_') {
			return "?"
		}
	}
	return string(key)
}
