// Package path compiles the FHIRPath expressions of search parameters into
// routes through a resource's JSON, and merges the routes of all parameters of
// a type into a trie, so that one walk finds the values of all of them.
package path

import (
	"fmt"
	"slices"
	"strings"

	"hutong/fhir"
	"hutong/fhir/definition"
)

// Expr is an expression compiled for one context type. Immutable.
type Expr struct {
	branches []branch
	truth    condition // set for a boolean expression, which has no branches
}

// branch is one way from the context to values of one type.
type branch struct {
	steps  []step
	typ    string // data type, path of a backbone element, resource type or "Resource"
	system string // that a code implies
}

// step is a member to descend to, or a test of where one stands.
type step struct {
	key      string // JSON member; "" for a test
	test     condition
	testID   string // equal tests have equal ids
	position int    // for an index: the position in the array; -1 otherwise
	root     bool   // go (back) to the resource
	list     bool   // the member repeats
}

// Parsed is an expression that has been read, to be compiled for one or more
// types.
type Parsed struct {
	text string
	tree *syntax
}

// Parse reads an expression.
func Parse(expression string) (*Parsed, error) {
	n, err := parse(expression)
	if err != nil {
		return nil, fmt.Errorf("expression %q: %w", expression, err)
	}
	return &Parsed{expression, n}, nil
}

// Compile compiles the expression for a context: the resource type whose
// search parameter it is, or the path of the structure that a component's
// expression is relative to. Parts of a union that begin with another resource
// type are left out.
func (p *Parsed) Compile(defs *definition.Set, resource, context string) (*Expr, error) {
	c := &compiler{defs: defs, resource: resource, context: context}
	e, err := c.compile(p.tree)
	if err != nil {
		return nil, fmt.Errorf("expression %q for %s: %w", p.text, context, err)
	}
	return e, nil
}

// Compile is Parse and Compile in one.
func Compile(defs *definition.Set, expression, resource, context string) (*Expr, error) {
	p, err := Parse(expression)
	if err != nil {
		return nil, err
	}
	return p.Compile(defs, resource, context)
}

// Types lists the types of the values that the expression can give.
func (e *Expr) Types() []string {
	if e.truth != nil {
		return []string{"boolean"}
	}
	var types []string
	for _, b := range e.branches {
		if !slices.Contains(types, b.typ) {
			types = append(types, b.typ)
		}
	}
	return types
}

type compiler struct {
	defs              *definition.Set
	resource, context string
}

func (c *compiler) compile(n *syntax) (*Expr, error) {
	focus := []branch{{typ: c.context}}
	if isTruth(n) {
		truth, err := c.condition(n, focus)
		return &Expr{truth: truth}, err
	}
	branches, err := c.lower(n, focus)
	if err == nil && len(branches) == 0 {
		err = fmt.Errorf("nothing in %s can match", c.context)
	}
	return &Expr{branches: branches}, err
}

// isTruth reports whether the expression gives a truth value rather than nodes.
func isTruth(n *syntax) bool {
	switch n.op {
	case opAnd, opOr, opEqual, opUnequal, opIs:
		return true
	case opCall:
		return n.name == "exists" || n.name == "empty" || n.name == "not"
	}
	return false
}

// lower gives the branches that n leads to from focus.
func (c *compiler) lower(n *syntax, focus []branch) ([]branch, error) {
	switch n.op {
	case opThis:
		return focus, nil
	case opResource:
		if c.context == c.resource {
			return focus, nil
		}
		return []branch{{steps: []step{{root: true, position: -1}}, typ: c.resource}}, nil
	case opUnion:
		return c.union(n, focus)
	case opAs, opIndex, opCall:
		from, err := c.focus(n, focus)
		if err != nil {
			return nil, err
		}
		return c.apply(n, from)
	case opMember:
		return c.lowerMember(n, focus)
	}
	return nil, fmt.Errorf("a value is expected where a truth or a literal stands")
}

func (c *compiler) focus(n *syntax, focus []branch) ([]branch, error) {
	if n.args[0] == nil {
		return focus, nil
	}
	return c.lower(n.args[0], focus)
}

func (c *compiler) apply(n *syntax, from []branch) ([]branch, error) {
	switch {
	case n.op == opAs:
		return ofType(from, n.name), nil
	case n.op == opIndex:
		return at(from, n.number)
	}
	return c.call(n, from)
}

func (c *compiler) union(n *syntax, focus []branch) ([]branch, error) {
	left, err := c.lower(n.args[0], focus)
	if err != nil {
		return nil, err
	}
	right, err := c.lower(n.args[1], focus)
	if len(left)+len(right) > maxBranches {
		return nil, fmt.Errorf("a union leads to more than %d places", maxBranches)
	}
	return append(slices.Clip(left), right...), err
}

// lowerMember handles a type name at the head of a path, and members.
func (c *compiler) lowerMember(n *syntax, focus []branch) ([]branch, error) {
	if n.args[0] == nil && n.name[0] <= 'Z' {
		switch {
		case n.name == c.context || n.name == "Resource" || n.name == "DomainResource":
			return focus, nil
		case c.defs.IsType(fhir.Type(n.name)):
			return nil, nil
		}
		return nil, fmt.Errorf("there is no type %s", n.name)
	}
	from, err := c.focus(n, focus)
	if err != nil || len(from) == 0 {
		return nil, err
	}
	return c.member(from, n.name)
}

// member descends from each branch; at least one must have the member.
func (c *compiler) member(from []branch, name string) ([]branch, error) {
	var to []branch
	for _, b := range from {
		s := c.defs.Structure(b.typ)
		if s == nil {
			continue
		}
		if e := s.Element(name); e != nil {
			to = append(to, descend(b, e)...)
		}
		if len(to) > maxBranches {
			return nil, fmt.Errorf("%s leads to more than %d places", name, maxBranches)
		}
	}
	if len(to) == 0 {
		return nil, fmt.Errorf("%s has no element %s", from[0].typ, name)
	}
	return to, nil
}

// maxBranches bounds the expansion of choices within choices: an extension's
// value has 50 types.
const maxBranches = 1000

// descend gives one branch a type of the element.
func descend(b branch, e *definition.Element) []branch {
	var to []branch
	for _, t := range e.Types {
		to = append(to, b.with(step{key: e.Key(t), position: -1, list: e.List}, t, e.System))
	}
	return to
}

func (b branch) with(s step, typ, system string) branch {
	return branch{steps: append(slices.Clone(b.steps), s), typ: typ, system: system}
}

// ofType keeps the branches of the type. R4 once writes DateTime for dateTime.
func ofType(from []branch, typ string) []branch {
	typ = strings.TrimPrefix(typ, "FHIR.")
	var to []branch
	for _, b := range from {
		if b.typ == typ || typ == "DateTime" && b.typ == "dateTime" {
			to = append(to, b)
		}
	}
	return to
}

// at takes one element of a collection. A collection that several lists make up
// has no fixed positions in the JSON and is refused.
func at(from []branch, position int) ([]branch, error) {
	var to []branch
	for _, b := range from {
		lists := 0
		for _, s := range b.steps {
			if s.list {
				lists++
			}
		}
		if len(b.steps) == 0 || lists > 1 || lists == 1 && !b.steps[len(b.steps)-1].list {
			return nil, fmt.Errorf("an index may only follow a list that is not inside a list")
		}
		s := step{position: position, testID: fmt.Sprintf("[%d]", position)}
		to = append(to, b.with(s, b.typ, b.system))
	}
	return to, nil
}
