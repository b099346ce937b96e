package path

import (
	"fmt"
	"slices"

	"hutong/fhir/codec"
)

// condition tells whether the node i of the resource holds.
type condition func(r *Resource, i uint32) bool

// call handles the functions that give nodes.
func (c *compiler) call(n *syntax, from []branch) ([]branch, error) {
	if len(n.args) != 2 {
		return nil, fmt.Errorf("function %s() is not part of search expressions", n.name)
	}
	arg := n.args[1]
	switch n.name {
	case "as", "ofType":
		if arg.op != opMember || arg.args[0] != nil {
			return nil, fmt.Errorf("%s() takes a type", n.name)
		}
		return ofType(from, arg.name), nil
	case "where":
		return c.where(from, arg)
	case "extension":
		if arg.op != opString {
			return nil, fmt.Errorf("extension() takes a URL")
		}
		return c.extension(from, arg)
	}
	return nil, fmt.Errorf("function %s() is not part of search expressions", n.name)
}

// where keeps the nodes that hold; the criterion is compiled for each type.
func (c *compiler) where(from []branch, criterion *syntax) ([]branch, error) {
	var to []branch
	for _, b := range from {
		test, err := c.condition(criterion, []branch{{typ: b.typ}})
		if err != nil {
			return nil, err
		}
		s := step{test: test, testID: b.typ + criterion.String(), position: -1}
		to = append(to, b.with(s, b.typ, b.system))
	}
	return to, nil
}

// extension descends into the extensions with the URL; those of a primitive
// stand in the member beside it whose name begins with '_'.
func (c *compiler) extension(from []branch, url *syntax) ([]branch, error) {
	var to []branch
	for _, b := range from {
		if c.defs.Structure(b.typ) == nil && len(b.steps) > 0 {
			b.steps = slices.Clone(b.steps)
			last := &b.steps[len(b.steps)-1]
			last.key = "_" + last.key
		}
		to = append(to, b.with(step{key: "extension", position: -1, list: true}, "Extension", ""))
	}
	same := &syntax{op: opEqual, args: []*syntax{{op: opMember, name: "url", args: []*syntax{nil}}, url}}
	return c.where(to, same)
}

// condition compiles an expression that gives a truth value. An empty operand
// of = and != makes it not hold, as FHIRPath's where() has it.
func (c *compiler) condition(n *syntax, focus []branch) (condition, error) {
	switch n.op {
	case opAnd, opOr:
		return c.connective(n, focus)
	case opEqual, opUnequal:
		return c.comparison(n, focus)
	case opIs:
		return c.is(n, focus)
	case opCall:
		return c.truthCall(n, focus)
	}
	return nil, fmt.Errorf("a truth is expected where a value stands")
}

func (c *compiler) connective(n *syntax, focus []branch) (condition, error) {
	left, err := c.condition(n.args[0], focus)
	if err != nil {
		return nil, err
	}
	right, err := c.condition(n.args[1], focus)
	if n.op == opAnd {
		return func(r *Resource, i uint32) bool { return left(r, i) && right(r, i) }, err
	}
	return func(r *Resource, i uint32) bool { return left(r, i) || right(r, i) }, err
}

func (c *compiler) comparison(n *syntax, focus []branch) (condition, error) {
	literal := n.args[1]
	if literal.op != opString && literal.op != opBool {
		return nil, fmt.Errorf("= and != take a literal on the right")
	}
	e, err := c.nodes(n.args[0], focus)
	if err != nil {
		return nil, err
	}
	want := n.op == opEqual
	return func(r *Resource, i uint32) bool {
		found, equal := 0, false
		e.Select(r, i, func(v Value) {
			found++
			equal = literal.equals(r.Doc, v.Node)
		})
		return found == 1 && equal == want
	}, nil
}

func (n *syntax) equals(d *codec.Doc, i uint32) bool {
	switch d.Nodes[i].Kind {
	case codec.String, codec.Escaped:
		return n.op == opString && string(d.Bytes(i)) == n.name
	case codec.True, codec.False:
		return n.op == opBool && string(d.Raw(i)) == n.name
	}
	return false
}

// is compiles "resolve() is Type" and "path is Type".
func (c *compiler) is(n *syntax, focus []branch) (condition, error) {
	typ, operand := n.name, n.args[0]
	if operand.op == opCall && operand.name == "resolve" && len(operand.args) == 1 {
		from, err := c.focus(operand, focus)
		if err != nil {
			return nil, err
		}
		e := &Expr{branches: from}
		return func(r *Resource, i uint32) bool {
			found := false
			e.Select(r, i, func(v Value) { found = found || r.pointsTo(v.Node, typ) })
			return found
		}, nil
	}
	from, err := c.lower(operand, focus)
	return exists(&Expr{branches: ofType(from, typ)}), err
}

func (c *compiler) truthCall(n *syntax, focus []branch) (condition, error) {
	if len(n.args) != 1 {
		return nil, fmt.Errorf("%s() takes no argument here", n.name)
	}
	switch n.name {
	case "exists", "empty":
		e, err := c.nodes(n, focus)
		if err != nil {
			return nil, err
		}
		if n.name == "exists" {
			return exists(e), nil
		}
		some := exists(e)
		return func(r *Resource, i uint32) bool { return !some(r, i) }, nil
	case "not":
		if n.args[0] == nil {
			break
		}
		holds, err := c.condition(n.args[0], focus)
		return func(r *Resource, i uint32) bool { return !holds(r, i) }, err
	}
	return nil, fmt.Errorf("function %s() is not part of search expressions", n.name)
}

// nodes compiles the operand of a comparison, or the focus of a call.
func (c *compiler) nodes(n *syntax, focus []branch) (*Expr, error) {
	if n.op == opCall && (n.name == "exists" || n.name == "empty") {
		from, err := c.focus(n, focus)
		return &Expr{branches: from}, err
	}
	from, err := c.lower(n, focus)
	return &Expr{branches: from}, err
}

func exists(e *Expr) condition {
	return func(r *Resource, i uint32) bool {
		found := false
		e.Select(r, i, func(Value) { found = true })
		return found
	}
}
