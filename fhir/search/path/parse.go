package path

import (
	"fmt"
	"strconv"
	"strings"
)

// op is the kind of a syntax node.
type op uint8

const (
	opUnion op = iota + 1
	opAnd
	opOr
	opEqual
	opUnequal
	opIs     // name = type
	opAs     // name = type; also .as(T) and .ofType(T)
	opMember // name; args[0] = focus, nil for the context
	opCall   // name; args[0] = focus, then the arguments
	opIndex  // number
	opString // name = the text
	opBool   // name = true or false
	opThis
	opResource // %resource
)

// syntax is a node of the syntax tree.
type syntax struct {
	op     op
	name   string
	number int
	args   []*syntax
}

// maxDepth bounds the nesting of an expression.
const maxDepth = 40

type parser struct {
	tokens []token
	at     int
	depth  int
}

// parse reads the subset of FHIRPath that search parameters use: members,
// unions, as, is, and, or, =, !=, indexes, literals and calls.
func parse(expression string) (*syntax, error) {
	tokens, err := scan(expression)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	n, err := p.binary(0)
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != end {
		return nil, fmt.Errorf("%q was not expected at %d", t.text, t.at)
	}
	return n, nil
}

// levels lists the operators by rising precedence.
var levels = []map[string]op{{"or": opOr}, {"and": opAnd}, {"=": opEqual, "!=": opUnequal}, {"|": opUnion}}

func (p *parser) binary(level int) (*syntax, error) {
	if level == len(levels) {
		return p.typed()
	}
	left, err := p.binary(level + 1)
	if err != nil {
		return nil, err
	}
	for {
		o, ok := levels[level][p.peek().text]
		if !ok || p.peek().kind == text {
			return left, nil
		}
		p.at++
		right, err := p.binary(level + 1)
		if err != nil {
			return nil, err
		}
		left = &syntax{op: o, args: []*syntax{left, right}}
	}
}

// typed reads "operand is Type" and "operand as Type".
func (p *parser) typed() (*syntax, error) {
	n, err := p.operand()
	if err != nil {
		return nil, err
	}
	for {
		o := opIs
		switch t := p.peek(); {
		case t.kind == word && t.text == "as":
			o = opAs
		case t.kind != word || t.text != "is":
			return n, nil
		}
		p.at++
		name, err := p.want(word)
		if err != nil {
			return nil, err
		}
		n = &syntax{op: o, name: name, args: []*syntax{n}}
	}
}

// operand reads a term with the members, calls and indexes behind it.
func (p *parser) operand() (*syntax, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	defer func() { p.depth-- }()
	n, err := p.term()
	for err == nil {
		switch {
		case p.skip("."):
			n, err = p.member(n)
		case p.skip("["):
			n, err = p.index(n)
		default:
			return n, nil
		}
	}
	return nil, err
}

func (p *parser) term() (*syntax, error) {
	t := p.peek()
	switch {
	case t.kind == text:
		p.at++
		return &syntax{op: opString, name: t.text}, nil
	case t.kind == word && (t.text == "true" || t.text == "false"):
		p.at++
		return &syntax{op: opBool, name: t.text}, nil
	case t.kind == word:
		return p.member(nil)
	case p.skip("$this"):
		return &syntax{op: opThis}, nil
	case p.skip("%resource"):
		return &syntax{op: opResource}, nil
	case p.skip("("):
		n, err := p.binary(0)
		if err == nil && !p.skip(")") {
			err = fmt.Errorf(") is missing at %d", p.peek().at)
		}
		return n, err
	}
	return nil, fmt.Errorf("%q was not expected at %d", t.text, t.at)
}

func (p *parser) member(focus *syntax) (*syntax, error) {
	name, err := p.want(word)
	if err != nil {
		return nil, err
	}
	if !p.skip("(") {
		return &syntax{op: opMember, name: name, args: []*syntax{focus}}, nil
	}
	n := &syntax{op: opCall, name: name, args: []*syntax{focus}}
	for !p.skip(")") {
		if len(n.args) > 1 && !p.skip(",") {
			return nil, fmt.Errorf(", or ) is missing at %d", p.peek().at)
		}
		arg, err := p.binary(0)
		if err != nil {
			return nil, err
		}
		n.args = append(n.args, arg)
	}
	return n, nil
}

func (p *parser) index(focus *syntax) (*syntax, error) {
	s, err := p.want(digits)
	if err != nil {
		return nil, err
	}
	i, err := strconv.Atoi(s)
	if err != nil || !p.skip("]") {
		return nil, fmt.Errorf("%q is no index", s)
	}
	return &syntax{op: opIndex, number: i, args: []*syntax{focus}}, nil
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) skip(symbol string) bool {
	if t := p.peek(); t.kind != sign || t.text != symbol {
		return false
	}
	p.at++
	return true
}

func (p *parser) want(k tokenKind) (string, error) {
	t := p.peek()
	if t.kind != k {
		return "", fmt.Errorf("%q was not expected at %d", t.text, t.at)
	}
	p.at++
	return t.text, nil
}

// String writes n back, fully parenthesised: equal trees have equal strings.
func (n *syntax) String() string {
	if n == nil {
		return "$this"
	}
	var args []string
	for _, a := range n.args {
		args = append(args, a.String())
	}
	return fmt.Sprintf("%d %q %d(%s)", n.op, n.name, n.number, strings.Join(args, ","))
}
