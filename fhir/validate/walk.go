package validate

import (
	"bytes"
	"fmt"

	"hutong/fhir/codec"
	"hutong/fhir/internal/schema"
)

// node is an object with what the walk has learnt of it, for the invariants.
type node struct {
	*run
	at   uint32
	typ  *schema.Type
	seen uint64 // a bit for each Group that is present
}

// resource checks the resource at, whose path stands already but for a root.
func (r *run) resource(at uint32) {
	if r.d.Nodes[at].Kind != codec.Object {
		r.fail(structure, "object", "here must stand a resource: a JSON object")
		return
	}
	var name []byte
	if c := r.d.Child(at, "resourceType"); c != 0 && r.d.Nodes[c].Kind.IsString() {
		name = r.d.Bytes(c)
	}
	t, ok := r.schema.Resources[string(name)]
	if ok && r.base == "" && len(r.path) == 0 {
		r.base = t.Name
	}
	switch {
	case len(name) == 0:
		r.fail(structure, "resource-type-missing", "a resource must have a resourceType")
	case !ok:
		r.fail(structure, "resource-type-unknown", "R4 has no resource of this resourceType")
	default:
		outer, around := r.enter(at, t.Type), r.inner
		r.inner = inner{t.Name, len(r.path)}
		r.object(at, t.Type, true)
		r.claims(at, t.Type)
		r.host, r.inner = outer, around
	}
}

// object checks the members of an object of type t.
func (r *run) object(at uint32, t *schema.Type, resource bool) {
	d := r.d
	end := d.Nodes[at].Next
	if end == at+1 {
		r.fail(structure, "empty-object", "an object must not be empty")
		return
	}
	var seen uint64
	for c := at + 1; c < end; c = d.Nodes[c].Next {
		key := d.Key(c)
		if f := t.Fields[string(key)]; f != nil {
			r.group(f, seen, at, t)
			seen |= 1 << f.Group
			r.field(c, at, f)
			continue
		}
		if resource && string(key) == "resourceType" {
			continue
		}
		if f := shadowed(t, key); f != nil {
			r.group(f, seen, at, t)
			seen |= 1 << f.Group
			r.shadow(c, at, f)
			continue
		}
		r.unknown(c, t)
	}
	for i := range t.Groups {
		if t.Groups[i].Required && seen&(1<<i) == 0 {
			name := t.Groups[i].Name
			r.failAt(name, required, "required", "the element "+name+" is required")
		}
	}
	if rules := r.rules[t.Index]; rules != nil {
		r.check(rules, node{run: r, at: at, typ: t, seen: seen})
	}
}

// shadowed gives the primitive whose "_name" member key is.
func shadowed(t *schema.Type, key []byte) *schema.Field {
	if len(key) < 2 || key[0] != '_' {
		return nil
	}
	f := t.Fields[string(key[1:])]
	if f == nil || !f.Type.Kind.Primitive() {
		return nil
	}
	return f
}

func (r *run) unknown(c uint32, t *schema.Type) {
	name := fmt.Sprintf("%.64s", r.d.Key(c))
	for _, ch := range []byte(name) {
		if !(ch >= 'a' && ch <= 'z' || ch >= 'A' && ch <= 'Z' || ch >= '0' && ch <= '9' || ch == '_') {
			name = "?" // anything could stand here, a patient's data too
			break
		}
	}
	r.failAt(name, structure, "unknown-element", t.Name+" has no such element")
}

// group refuses two types of one choice, such as valueString and
// valueInteger. A primitive and its "_name" member are one type.
func (r *run) group(f *schema.Field, seen uint64, at uint32, t *schema.Type) {
	if f.Name == f.Element || seen&(1<<f.Group) == 0 {
		return
	}
	for c := range r.d.Children(at) {
		g := t.Fields[string(bytes.TrimPrefix(r.d.Key(c), []byte{'_'}))]
		if g != nil && g != f && g.Group == f.Group {
			r.failAt(f.Element, structure, "choice", "only one type of this element may be given")
			return
		}
	}
}

// field checks the member c of the object at.
func (r *run) field(c, at uint32, f *schema.Field) {
	r.push(f.Element)
	defer r.pop()
	if !f.List {
		r.value(c, f)
		return
	}
	if !r.list(c) {
		return
	}
	companions := r.cursor(at, f.Shadow, f)
	i := 0
	for e := range r.d.Children(c) {
		r.index(i)
		companion := companions.next(r.d)
		switch {
		case r.d.Nodes[e].Kind != codec.Null || !f.Type.Kind.Primitive():
			r.value(e, f)
		case !companion:
			r.fail(structure, "null", "null may stand only where "+f.Shadow+" has the element's extensions")
		}
		i++
	}
}

// list checks that c is an array with elements.
func (r *run) list(c uint32) bool {
	n := &r.d.Nodes[c]
	switch {
	case n.Kind != codec.Array:
		r.fail(structure, "array", "the element repeats: here must stand a JSON array")
	case n.Next == c+1:
		r.fail(structure, "empty-array", "an array must not be empty")
	default:
		return true
	}
	return false
}

// shadow checks the "_name" member c of the object at: ids and extensions of
// the primitive f.
func (r *run) shadow(c, at uint32, f *schema.Field) {
	r.push(f.Element)
	defer r.pop()
	if !f.List {
		r.element(c, f.Type)
		return
	}
	if !r.list(c) {
		return
	}
	values := r.cursor(at, f.Name, f)
	if values.at != 0 && r.d.Len(values.list) != r.d.Len(c) {
		r.fail(structure, "array-length", f.Name+" and "+f.Shadow+" must have the same length")
	}
	i := 0
	for e := range r.d.Children(c) {
		r.index(i)
		given := values.next(r.d)
		switch {
		case r.d.Nodes[e].Kind != codec.Null:
			r.element(e, f.Type)
		case !given:
			r.fail(structure, "null", "null may stand only where "+f.Name+" has the element's value")
		}
		i++
	}
}

// cursor walks the companion array of a list of primitives in step with it.
type cursor struct{ list, at, end uint32 }

// cursor begins at the first element of the member name; it is empty if that
// is no array or f is not primitive.
func (r *run) cursor(at uint32, name string, f *schema.Field) cursor {
	if !f.Type.Kind.Primitive() {
		return cursor{}
	}
	list := r.d.Child(at, name)
	if list == 0 || r.d.Nodes[list].Kind != codec.Array {
		return cursor{}
	}
	return cursor{list, list + 1, r.d.Nodes[list].Next}
}

// next steps on and reports whether the element passed is there and not null.
func (c *cursor) next(d *codec.Doc) bool {
	if c.at >= c.end {
		return false
	}
	n := &d.Nodes[c.at]
	c.at = n.Next
	return n.Kind != codec.Null
}

// element checks the id and the extensions of a primitive.
func (r *run) element(c uint32, t *schema.Type) {
	if r.d.Nodes[c].Kind != codec.Object {
		r.fail(structure, "object", "here must stand an object with an id or extensions")
		return
	}
	r.object(c, t, false)
}

// value checks one value of the field.
func (r *run) value(c uint32, f *schema.Field) {
	switch t := f.Type; {
	case t.Kind.Primitive():
		r.primitive(c, t)
	case f.Name == "contained" && t.Kind == schema.AnyPacked:
		r.containedResource(c)
	case t.Kind == schema.AnyResource || t.Kind == schema.AnyPacked:
		r.resource(c)
	case r.d.Nodes[c].Kind != codec.Object:
		r.fail(structure, "object", "here must stand a JSON object")
	default:
		r.object(c, t, false)
		if t.Ref != nil {
			r.reference(c, f)
		} else if len(r.profiles) > 0 && t.Name == "Extension" {
			r.extension(c)
		}
	}
}
