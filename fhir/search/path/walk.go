package path

import (
	"slices"

	"hutong/fhir/codec"
	"hutong/fhir/search/literal"
)

// Resource is what expressions are held against: the resource at node Root of
// a tape. Make it with NewResource.
type Resource struct {
	Doc     *codec.Doc
	Root    uint32
	Rewrite codec.Rewrite // what a bundle resolves references to; nil = nothing
	Base    string        // the server's own URL

	copy string // of the resource's bytes: every Text is cut from it
}

// NewResource takes the resource at node root. base is the server's own URL.
func NewResource(d *codec.Doc, root uint32, rewrite codec.Rewrite, base string) Resource {
	return Resource{Doc: d, Root: root, Rewrite: rewrite, Base: base, copy: string(d.Raw(root))}
}

// Text gives the text of node i within the resource. It does not point into
// the tape, and costs no allocation of its own unless the text has escapes.
func (r *Resource) Text(i uint32) string {
	n := &r.Doc.Nodes[i]
	if n.Kind == codec.Escaped {
		return r.Doc.Text(i)
	}
	from := r.Doc.Nodes[r.Root].Start
	return r.copy[n.Start-from : n.End-from]
}

// ChildText gives the text of a string member, "" if there is none.
func (r *Resource) ChildText(i uint32, key string) string {
	c := r.Doc.Child(i, key)
	if c == 0 || !r.Doc.Nodes[c].Kind.IsString() {
		return ""
	}
	return r.Text(c)
}

// Value is one node that an expression selects. A boolean expression gives its
// truth instead, with Node 0 and Computed set.
type Value struct {
	Node     uint32
	Type     string // data type, path of a backbone element, or "Resource"
	System   string // the code system that a code implies, "" if none
	Computed bool
	Truth    bool
}

// Select calls found for each node that the expression selects from node i.
// A node that two parts of a union select is found twice.
func (e *Expr) Select(r *Resource, i uint32, found func(Value)) {
	if e.truth != nil {
		found(Value{Type: "boolean", Computed: true, Truth: e.truth(r, i)})
		return
	}
	for n := range e.branches {
		b := &e.branches[n]
		r.follow(b.steps, i, 0, func(i uint32) { found(Value{Node: i, Type: b.typ, System: b.system}) })
	}
}

// follow takes the steps from node i, which is at position in its array.
func (r *Resource) follow(steps []step, i uint32, position int, found func(uint32)) {
	n := &r.Doc.Nodes[i]
	switch {
	case n.Kind == codec.Null:
		return
	case n.Kind == codec.Array:
		p := 0
		for c := i + 1; c < n.Next; c = r.Doc.Nodes[c].Next {
			r.follow(steps, c, p, found)
			p++
		}
		return
	case len(steps) == 0:
		found(i)
		return
	}
	s := &steps[0]
	switch {
	case s.root:
		r.follow(steps[1:], r.Root, 0, found)
	case s.key != "":
		if c := r.Doc.Child(i, s.key); c != 0 {
			r.follow(steps[1:], c, 0, found)
		}
	case s.holds(r, i, position):
		r.follow(steps[1:], i, position, found)
	}
}

func (s *step) holds(r *Resource, i uint32, position int) bool {
	if s.position >= 0 {
		return s.position == position
	}
	return s.test(r, i)
}

// pointsTo tells whether the Reference at node i points to a resource of the
// type, as far as the reference itself shows it: by its text, by a contained
// resource, or by Reference.type.
func (r *Resource) pointsTo(i uint32, typ string) bool {
	d := r.Doc
	text := i
	if d.Nodes[i].Kind == codec.Object {
		if text = d.Child(i, "reference"); text == 0 {
			return d.ChildText(i, "type") == typ
		}
	}
	if !d.Nodes[text].Kind.IsString() {
		return false
	}
	ref := r.Reference(text)
	switch {
	case ref.Type != "":
		return ref.Type == typ
	case len(ref.URL) > 1 && ref.URL[0] == '#':
		return r.containedType(ref.URL[1:]) == typ
	}
	return d.ChildText(i, "type") == typ
}

// Reference takes apart the reference whose text is node i, rewritten if the
// bundle resolves it.
func (r *Resource) Reference(i uint32) literal.Reference {
	if r.Rewrite != nil {
		if to, ok := r.Rewrite(r.Doc.Bytes(i)); ok {
			return literal.ParseReference(string(to), r.Base)
		}
	}
	return literal.ParseReference(r.Text(i), r.Base)
}

func (r *Resource) containedType(id string) string {
	contained := r.Doc.Child(r.Root, "contained")
	if contained == 0 {
		return ""
	}
	for c := range r.Doc.Children(contained) {
		if r.Doc.ChildText(c, "id") == id {
			return string(r.Doc.ResourceType(c))
		}
	}
	return ""
}

// Trie holds the expressions of many parameters for one walk. P names the
// parameter. Build it with Add, then only read it.
type Trie[P comparable] struct {
	top    trieNode[P]
	truths []truthOf[P]
}

type truthOf[P comparable] struct {
	param P
	truth condition
}

type trieNode[P comparable] struct {
	members map[string]*trieNode[P]
	tests   []*trieTest[P]
	leaves  []leaf[P]
}

type trieTest[P comparable] struct {
	step step
	then trieNode[P]
}

type leaf[P comparable] struct {
	param       P
	typ, system string
}

// Add puts the expression of a parameter into the trie.
func (t *Trie[P]) Add(param P, e *Expr) {
	if e.truth != nil {
		t.truths = append(t.truths, truthOf[P]{param, e.truth})
		return
	}
	for _, b := range e.branches {
		n := &t.top
		for _, s := range b.steps {
			n = n.next(s)
		}
		l := leaf[P]{param, b.typ, b.system}
		if !slices.Contains(n.leaves, l) {
			n.leaves = append(n.leaves, l)
		}
	}
}

func (n *trieNode[P]) next(s step) *trieNode[P] {
	if s.key == "" {
		for _, t := range n.tests {
			if t.step.testID == s.testID {
				return &t.then
			}
		}
		t := &trieTest[P]{step: s}
		n.tests = append(n.tests, t)
		return &t.then
	}
	if n.members == nil {
		n.members = map[string]*trieNode[P]{}
	}
	if n.members[s.key] == nil {
		n.members[s.key] = &trieNode[P]{}
	}
	return n.members[s.key]
}

// Walk finds the values of all parameters in one pass over the resource. A
// node is found once for a parameter.
func (t *Trie[P]) Walk(r *Resource, found func(P, Value)) {
	for _, b := range t.truths {
		found(b.param, Value{Type: "boolean", Computed: true, Truth: b.truth(r, r.Root)})
	}
	t.top.walk(r, r.Root, 0, found)
}

func (n *trieNode[P]) walk(r *Resource, i uint32, position int, found func(P, Value)) {
	node := &r.Doc.Nodes[i]
	switch node.Kind {
	case codec.Null:
		return
	case codec.Array:
		p := 0
		for c := i + 1; c < node.Next; c = r.Doc.Nodes[c].Next {
			n.walk(r, c, p, found)
			p++
		}
		return
	}
	for k := range n.leaves {
		found(n.leaves[k].param, Value{Node: i, Type: n.leaves[k].typ, System: n.leaves[k].system})
	}
	for _, t := range n.tests {
		if t.step.holds(r, i, position) {
			t.then.walk(r, i, position, found)
		}
	}
	if len(n.members) == 0 || node.Kind != codec.Object {
		return
	}
	for c := i + 1; c < node.Next; c = r.Doc.Nodes[c].Next {
		if next := n.members[string(r.Doc.Key(c))]; next != nil {
			next.walk(r, c, 0, found)
		}
	}
}
