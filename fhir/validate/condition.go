package validate

import (
	"bytes"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"hutong/fhir/codec"
	"hutong/fhir/internal/schema"
)

// test is a compiled condition on an object.
type test func(n *node) bool

// condition is a condition before it knows its type; it fails to compile if
// the type lacks an element that it names. Conditions on presence become
// tests of one bit.
type condition func(t *schema.Type) (test, error)

// rule is a compiled invariant or binding.
type rule struct {
	code, text string
	issue      string // issue code
	element    string // where a breach is reported; "" = the object itself
	ok         test
}

// check tests the rules of one object. The node lives in the run, so that it
// costs no allocation: tests do not nest.
func (r *run) check(rules []rule, n node) {
	r.node = n
	for i := range rules {
		c := &rules[i]
		switch {
		case c.ok(&r.node):
		case c.element != "":
			r.failAt(c.element, c.issue, c.code, c.text)
		default:
			r.fail(c.issue, c.code, c.code+": "+c.text)
		}
	}
}

// when makes a condition of a function.
func when(ok test) condition {
	return func(*schema.Type) (test, error) { return ok, nil }
}

// any of the elements exists.
func has(names ...string) condition {
	return func(t *schema.Type) (test, error) {
		mask, err := maskOf(t, names)
		return func(n *node) bool { return n.seen&mask != 0 }, err
	}
}

// one and only one of the elements exists.
func one(names ...string) condition {
	return func(t *schema.Type) (test, error) {
		mask, err := maskOf(t, names)
		return func(n *node) bool {
			present := n.seen & mask
			return present != 0 && present&(present-1) == 0
		}, err
	}
}

// at most one of the elements exists.
func atMostOne(names ...string) condition {
	return or(not(has(names...)), one(names...))
}

func maskOf(t *schema.Type, names []string) (mask uint64, err error) {
	for _, name := range names {
		i := slices.IndexFunc(t.Groups, func(g schema.Group) bool { return g.Name == name })
		if i < 0 {
			return 0, fmt.Errorf("%s has no element %s", t.Name, name)
		}
		mask |= 1 << i
	}
	return mask, nil
}

func not(c condition) condition {
	return func(t *schema.Type) (test, error) {
		ok, err := c(t)
		return func(n *node) bool { return !ok(n) }, err
	}
}

func join(a, b condition, op func(a, b test) test) condition {
	return func(t *schema.Type) (test, error) {
		x, err := a(t)
		if err != nil {
			return nil, err
		}
		y, err := b(t)
		return op(x, y), err
	}
}

func and(a, b condition) condition {
	return join(a, b, func(x, y test) test { return func(n *node) bool { return x(n) && y(n) } })
}

func or(a, b condition) condition {
	return join(a, b, func(x, y test) test { return func(n *node) bool { return x(n) || y(n) } })
}

func implies(a, b condition) condition { return or(not(a), b) }

// needs: where one element exists, the other must.
func needs(name, other string) condition { return implies(has(name), has(other)) }

// is: the string element has one of the values. An absent element has none.
func is(name string, values ...string) condition {
	return when(func(n *node) bool {
		c := n.d.Child(n.at, name)
		return c != 0 && n.oneOf(c, values)
	})
}

// oneOf reports whether the string c is one of the values.
func (n *node) oneOf(c uint32, values []string) bool {
	if !n.d.Nodes[c].Kind.IsString() {
		return false
	}
	text := n.d.Bytes(c)
	for _, v := range values {
		if string(text) == v {
			return true
		}
	}
	return false
}

// isTrue: the boolean element is true.
func isTrue(name string) condition {
	return when(func(n *node) bool {
		c := n.d.Child(n.at, name)
		return c != 0 && n.d.Nodes[c].Kind == codec.True
	})
}

// more: the repeating element has more than k elements.
func more(name string, k int) condition {
	return when(func(n *node) bool { return n.count(name) > k })
}

// each: every element of the list passes.
func each(name string, ok func(n *node, item uint32) bool) condition {
	return when(func(n *node) bool {
		for c := range n.items(name) {
			if !ok(n, c) {
				return false
			}
		}
		return true
	})
}

// distinct: no two elements of the list have the same key; "" is no key.
func distinct(name string, key func(n *node, item uint32) string) condition {
	return when(func(n *node) bool {
		seen := map[string]struct{}{}
		for c := range n.items(name) {
			k := key(n, c)
			if _, twice := seen[k]; twice {
				return false
			}
			if k != "" {
				seen[k] = struct{}{}
			}
		}
		return true
	})
}

// text gives a string member, "" if absent.
func (n *node) text(name string) string { return n.d.ChildText(n.at, name) }

// items gives the elements of the array member name.
func (n *node) items(name string) func(func(uint32) bool) {
	c := n.d.Child(n.at, name)
	if c == 0 || n.d.Nodes[c].Kind != codec.Array {
		return func(func(uint32) bool) {}
	}
	return n.d.Children(c)
}

func (n *node) count(name string) int {
	k := 0
	for range n.items(name) {
		k++
	}
	return k
}

// coded reports whether the CodeableConcept member name holds one of the
// codes of the system.
func coded(name, system string, codes ...string) condition {
	return when(func(n *node) bool {
		concept := n.d.Child(n.at, name)
		if concept == 0 {
			return false
		}
		list := n.d.Child(concept, "coding")
		if list == 0 {
			return false
		}
		for c := range n.d.Children(list) {
			s, code := n.d.Child(c, "system"), n.d.Child(c, "code")
			if s != 0 && code != 0 && string(n.d.Bytes(s)) == system && n.oneOf(code, codes) {
				return true
			}
		}
		return false
	})
}

// after reports whether the date or dateTime a is certainly after b. Where
// they differ in precision the common part decides, so that 2012-05 is not
// after 2012.
func after(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	if len(a) > 10 && len(b) > 10 {
		x, err1 := time.Parse(time.RFC3339, a)
		y, err2 := time.Parse(time.RFC3339, b)
		return err1 == nil && err2 == nil && x.After(y)
	}
	n := min(len(a), len(b), 10)
	return a[:n] > b[:n]
}

// sign gives -1, 0 or 1 for a JSON number.
func sign(number []byte) int {
	digits := number
	if e := bytes.IndexAny(digits, "eE"); e >= 0 {
		digits = digits[:e]
	}
	switch {
	case bytes.IndexAny(digits, "123456789") < 0:
		return 0
	case number[0] == '-':
		return -1
	}
	return 1
}

// compareDecimals compares two JSON numbers exactly; 0 if one is absent or is
// not a number that isDecimal takes.
func compareDecimals(a, b []byte) int {
	x, ok1 := decimal(a)
	y, ok2 := decimal(b)
	if !ok1 || !ok2 {
		return 0
	}
	return x.Cmp(y)
}

// decimal refuses numbers of a size that no measurement has: comparing them
// could cost more than the request is worth.
func decimal(b []byte) (*big.Rat, bool) {
	if len(b) == 0 || len(b) > 64 || !isDecimal(b) {
		return nil, false
	}
	return new(big.Rat).SetString(string(b))
}

// raw gives the bytes of a number member, nil if there is none.
func (n *node) raw(name string) []byte {
	c := n.d.Child(n.at, name)
	if c == 0 || n.d.Nodes[c].Kind != codec.Number {
		return nil
	}
	return n.d.Raw(c)
}

// rangeInOrder is rng-2; quantities in different units are not compared.
func rangeInOrder(n *node) bool {
	low, high := n.d.Child(n.at, "low"), n.d.Child(n.at, "high")
	if low == 0 || high == 0 || n.d.ChildText(low, "code") != n.d.ChildText(high, "code") || n.d.ChildText(low, "unit") != n.d.ChildText(high, "unit") {
		return true
	}
	l, h := node{run: n.run, at: low}, node{run: n.run, at: high}
	return compareDecimals(l.raw("value"), h.raw("value")) <= 0
}

func versionlessURL(n *node) bool { return !strings.Contains(n.text("fullUrl"), "/_history/") }
