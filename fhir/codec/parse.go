package codec

import (
	"bytes"
	"math"
	"slices"
)

// parser fills one tape by recursive descent; depth is bounded by the limits.
type parser struct {
	doc   *Doc
	b     []byte
	lim   Limits
	depth int
}

func parse(d *Doc, src []byte, lim Limits) error {
	if len(src) > lim.MaxBytes || len(src) > math.MaxUint32-8 {
		return tooLarge("the body has %d bytes, the limit is %d", len(src), lim.MaxBytes)
	}
	d.Src = bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))
	p := parser{doc: d, b: d.Src, lim: lim}
	i, err := p.value(p.space(0), 0, 0)
	if err != nil {
		return err
	}
	if i = p.space(i); i != len(p.b) {
		return p.fail(i, "there is text after the end of the JSON value")
	}
	return nil
}

// space gives the offset of the next token at or after i.
func (p *parser) space(i int) int {
	b := p.b
	if i >= len(b) || b[i] > ' ' {
		return i
	}
	start := i
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	if i > start {
		p.doc.spaced = true
	}
	return i
}

// value reads the value at i, whose member name is b[ks:ke], and gives the
// offset after it. The node is on the tape, open (Next 0), before its content
// is read, so that the open nodes are the path of an error.
func (p *parser) value(i int, ks, ke uint32) (int, error) {
	at := len(p.doc.Nodes)
	if at >= p.lim.MaxNodes {
		return 0, tooLarge("the body has more than %d JSON values", p.lim.MaxNodes)
	}
	p.doc.Nodes = append(p.doc.Nodes, Node{KeyStart: ks, KeyEnd: ke, Start: uint32(i)})
	if i >= len(p.b) {
		return 0, p.fail(i, "the text ends where a value must stand")
	}
	switch c := p.b[i]; c {
	case '"':
		return p.text(at, i+1)
	case '{', '[':
		return p.container(at, i, c)
	case 't':
		return p.word(at, i, "true", True)
	case 'f':
		return p.word(at, i, "false", False)
	case 'n':
		return p.word(at, i, "null", Null)
	}
	end := number(p.b, i)
	if end == 0 {
		return 0, p.fail(i, "here must stand a JSON value")
	}
	p.close(at, end, Number)
	return end, nil
}

// close completes the node at: its value ends before the offset end.
func (p *parser) close(at, end int, k Kind) {
	n := &p.doc.Nodes[at]
	n.End, n.Kind, n.Next = uint32(end), k, uint32(len(p.doc.Nodes))
}

func (p *parser) text(at, i int) (int, error) {
	end, escaped, fault := scanString(p.b, i)
	if fault != "" {
		return 0, p.fail(end, fault)
	}
	k := String
	if escaped {
		k = Escaped
	}
	p.doc.Nodes[at].Start = uint32(i)
	p.close(at, end, k)
	return end + 1, nil
}

func (p *parser) word(at, i int, word string, k Kind) (int, error) {
	end := i + len(word)
	if end > len(p.b) || string(p.b[i:end]) != word {
		return 0, p.fail(i, "here must stand a JSON value")
	}
	p.close(at, end, k)
	return end, nil
}

func (p *parser) container(at, i int, open byte) (end int, err error) {
	if p.depth++; p.depth > p.lim.MaxDepth {
		return 0, p.fail(i, "nested deeper than the limit")
	}
	kind := Array
	if open == '{' {
		kind = Object
		end, err = p.members(at, p.space(i+1))
	} else {
		end, err = p.elements(p.space(i + 1))
	}
	if err != nil {
		return 0, err
	}
	p.depth--
	p.close(at, end, kind)
	return end, nil
}

func (p *parser) elements(i int) (int, error) {
	if i < len(p.b) && p.b[i] == ']' {
		return i + 1, nil
	}
	for {
		var err error
		if i, err = p.value(i, 0, 0); err != nil {
			return 0, err
		}
		if i = p.space(i); i >= len(p.b) {
			return 0, p.fail(i, "the text ends within an array")
		}
		switch p.b[i] {
		case ',':
			i = p.space(i + 1)
		case ']':
			return i + 1, nil
		default:
			return 0, p.fail(i, "here must stand ',' or ']'")
		}
	}
}

// members reads the members of the object at, from the offset i.
func (p *parser) members(at, i int) (int, error) {
	if i < len(p.b) && p.b[i] == '}' {
		return i + 1, nil
	}
	names := nameSet{object: at}
	for {
		ks, ke, next, err := p.name(i, &names)
		if err != nil {
			return 0, err
		}
		if i, err = p.value(next, ks, ke); err != nil {
			return 0, err
		}
		if i = p.space(i); i >= len(p.b) {
			return 0, p.fail(i, "the text ends within an object")
		}
		switch p.b[i] {
		case ',':
			i = p.space(i + 1)
		case '}':
			return i + 1, p.checkMany(&names, i)
		default:
			return 0, p.fail(i, "here must stand ',' or '}'")
		}
	}
}

// name reads a member name and its colon; next is where the value stands.
func (p *parser) name(i int, names *nameSet) (ks, ke uint32, next int, err error) {
	if i >= len(p.b) || p.b[i] != '"' {
		return 0, 0, 0, p.fail(i, "here must stand a member name in double quotes")
	}
	end, escaped, fault := scanString(p.b, i+1)
	if fault != "" {
		return 0, 0, 0, p.fail(end, fault)
	}
	if escaped {
		p.doc.escapedKeys = true
	}
	ks, ke = uint32(i+1), uint32(end)
	if p.repeated(names, ks, ke) {
		return 0, 0, 0, p.fail(i, "the member "+displayName(p.doc.key(ks, ke))+" is given twice")
	}
	if i = p.space(end + 1); i >= len(p.b) || p.b[i] != ':' {
		return 0, 0, 0, p.fail(i, "here must stand ':'")
	}
	return ks, ke, p.space(i + 1), nil
}

// nameSet finds duplicate names of one object without memory of its own: up
// to manyNames, names whose 6-bit hash was seen are compared with their elder
// siblings; beyond that one sort at the end decides, so that a hostile object
// costs O(n log n).
type nameSet struct {
	object int
	count  int
	seen   uint64
}

const manyNames = 32

func (p *parser) repeated(s *nameSet, ks, ke uint32) bool {
	if s.count++; s.count > manyNames {
		return false
	}
	k := p.doc.key(ks, ke)
	bit := uint64(1) << hash6(k)
	if s.seen&bit == 0 {
		s.seen |= bit
		return false
	}
	for c := s.object + 1; c < len(p.doc.Nodes); c = int(p.doc.Nodes[c].Next) {
		if n := &p.doc.Nodes[c]; bytes.Equal(p.doc.key(n.KeyStart, n.KeyEnd), k) {
			return true
		}
	}
	return false
}

// hash6 tells FHIR element names apart well enough: their length and ends.
func hash6(k []byte) uint {
	if len(k) == 0 {
		return 0
	}
	return (uint(len(k))*7 + uint(k[0])*31 + uint(k[len(k)-1])*17 + uint(k[len(k)/2])) & 63
}

// checkMany is the check of an object of more than manyNames members.
func (p *parser) checkMany(s *nameSet, end int) error {
	if s.count <= manyNames {
		return nil
	}
	d := p.doc
	order := d.order[:0]
	for c := s.object + 1; c < len(d.Nodes); c = int(d.Nodes[c].Next) {
		order = append(order, uint32(c))
	}
	d.order = order
	slices.SortFunc(order, func(a, b uint32) int { return bytes.Compare(d.Key(a), d.Key(b)) })
	for j := 1; j < len(order); j++ {
		if k := d.Key(order[j]); bytes.Equal(d.Key(order[j-1]), k) {
			return p.fail(end, "the member "+displayName(k)+" is given twice")
		}
	}
	return nil
}
