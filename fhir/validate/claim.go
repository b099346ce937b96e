package validate

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/internal/schema"
)

// claims checks the resource at against the profiles that its meta claims.
// A claim of a profile that is not known here is a warning.
func (r *run) claims(at uint32, t *schema.Type) {
	meta := r.d.Child(at, "meta")
	if meta == 0 {
		return
	}
	list := r.d.Child(meta, "profile")
	if list == 0 {
		return
	}
	i := 0
	for c := range r.d.Children(list) {
		url, _, _ := bytes.Cut(r.d.Bytes(c), []byte{'|'})
		if p := r.profiles[string(url)]; p == nil {
			r.claimFault(i, fhir.Warning, notFound, "profile-unknown", "the profile is not known here: the resource was not checked against it")
		} else if p.typ != t {
			r.claimFault(i, fhir.ErrorLevel, structure, "profile-type", "the profile is not one of "+t.Name)
		} else {
			r.profile(p, at)
		}
		i++
	}
}

func (r *run) claimFault(i int, severity fhir.Severity, code, id, text string) {
	r.push("meta")
	r.push("profile")
	r.index(i)
	r.report(severity, code, id, text)
	r.pop()
	r.pop()
}

// extension checks an extension whose url has a profile here.
func (r *run) extension(c uint32) {
	url := r.d.Child(c, "url")
	if url == 0 {
		return
	}
	p := r.profiles[string(r.d.Bytes(url))]
	if p == nil || p.typ.Name != "Extension" {
		return
	}
	if p.contexts != nil && !slices.Contains(p.contexts, r.holder()) {
		r.fail(structure, "profile-context", "the extension "+p.name+" cannot stand here, only on "+strings.Join(p.contexts, ", "))
	}
	r.profile(p, c)
}

// holder gives the element that holds the extension at hand, from its
// resource on and without indexes: Patient, Observation.code.
func (r *run) holder() string {
	path := r.inner.typ
	for _, s := range r.path[r.inner.at : len(r.path)-1] {
		path += "." + s.name
	}
	return path
}

// profile checks the object at against p and what p refines.
func (r *run) profile(p *profile, at uint32) {
	if p.base != nil {
		r.profile(p.base, at)
	}
	outer := r.claimed
	r.claimed = p.name
	r.constraints(p.root, at, nil, p.typ)
	r.children(p.root, at, p.typ)
	r.claimed = outer
}

// breach reports a breach of the profile at hand.
func (r *run) breach(code, id, text string) {
	r.fail(code, id, "profile "+r.claimed+": "+text)
}

// children checks the members of the object at, of type t, against e.
func (r *run) children(e *element, at uint32, t *schema.Type) {
	if r.d.Nodes[at].Kind != codec.Object {
		return // the base rules have said so
	}
	for _, child := range e.children {
		r.occurrences(child, at, t)
	}
}

// occurrences checks all values of one element.
func (r *run) occurrences(e *element, at uint32, t *schema.Type) {
	total, counts := 0, make([]int, len(e.slices))
	r.push(e.name)
	r.values(e.name, at, t, func(c uint32, f *schema.Field) {
		total++
		r.occurrence(e, c, f, t)
		sliced := false
		for i, s := range e.slices {
			if s.matches(r.d, c, f) {
				sliced = true
				counts[i]++
				r.occurrence(&s.element, c, f, t)
			}
		}
		if e.closed && !sliced {
			r.breach(structure, "profile-slice", "the value belongs to no slice, and the slicing is closed")
		}
	})
	r.index(-1)
	r.cardinality(e, total, "")
	for i, s := range e.slices {
		if len(s.tests) > 0 {
			r.cardinality(&s.element, counts[i], " of the slice "+s.label)
		}
	}
	r.pop()
}

// values calls do for each value of the element, with the path set.
func (r *run) values(name string, at uint32, t *schema.Type, do func(c uint32, f *schema.Field)) {
	for c := range r.d.Children(at) {
		key := r.d.Key(c)
		f := t.Fields[string(key)]
		if f == nil {
			if f = shadowed(t, key); f == nil || r.d.Child(at, f.Name) != 0 {
				continue // unknown, or counted with its value
			}
		}
		if f.Element != name {
			continue
		}
		if !f.List {
			do(c, f)
			continue
		}
		i := 0
		for item := range r.d.Children(c) {
			r.index(i)
			do(item, f)
			i++
		}
	}
}

func (r *run) cardinality(e *element, n int, of string) {
	if n < e.min {
		r.breach(required, "profile-min", fmt.Sprintf("at least %d%s must be given, there are %d", e.min, of, n))
	}
	if e.max >= 0 && n > e.max {
		r.breach(structure, "profile-max", fmt.Sprintf("at most %d%s may be given, there are %d", e.max, of, n))
	}
}

// occurrence checks one value against e; f is its field, t the type that
// holds it.
func (r *run) occurrence(e *element, c uint32, f *schema.Field, t *schema.Type) {
	if e.fields != nil && f.Name != f.Element && !e.fields[f.Name] {
		r.breach(structure, "profile-type", "a value of this type is not allowed here")
	}
	if e.fixed != nil && !same(r.d, c, e.fixed.d, e.fixed.at) {
		r.breach(value, "profile-fixed", "the value is not the fixed one")
	}
	if e.pattern != nil && !covers(r.d, c, e.pattern.d, e.pattern.at) {
		r.breach(value, "profile-pattern", "the value does not match the pattern")
	}
	if e.codes != nil && !inCodes(r.d, c, e.codes) {
		r.breach(codeInvalid, "profile-binding", "the code is not in the required value set")
	}
	if target := r.target(c, f); target != "" && e.targets != nil && !slices.Contains(e.targets, target) {
		r.breach(structure, "profile-target", "a reference to "+target+" cannot stand here, only to "+strings.Join(e.targets, ", "))
	}
	r.constraints(e, c, f, t)
	if f.Type.Kind == schema.Complex {
		r.children(e, c, f.Type)
	}
	for _, url := range e.profiles {
		if p := r.profiles[url]; len(e.profiles) == 1 && p != nil && p.typ == f.Type && p.typ.Name != "Extension" {
			r.profile(p, c)
		}
	}
}

// target gives the resource type that the reference c names, "" if none.
func (r *run) target(c uint32, f *schema.Field) string {
	if f.Type.Ref == nil {
		return ""
	}
	ref := r.d.Child(c, "reference")
	if ref == 0 || !r.d.Nodes[ref].Kind.IsString() {
		return ""
	}
	typ, _ := r.referenced(r.d.Bytes(ref))
	return typ
}

// constraints evaluates the FHIRPath rules of e on the value c: for an
// element, on an object that holds it alone, so that its type is known and
// the cost does not grow with the resource. Only a plain false is a breach.
func (r *run) constraints(e *element, c uint32, f *schema.Field, t *schema.Type) {
	if len(e.constraints) == 0 {
		return
	}
	text := r.d.AppendCompact(nil, c, nil)
	if f != nil {
		text = wrap(text, f, t)
	}
	for i := range e.constraints {
		k := &e.constraints[i]
		result, err := k.evaluate(text)
		if err != nil {
			r.report(fhir.Warning, invariantID, "profile-constraint", "profile "+r.claimed+": "+k.key+" could not be evaluated")
			continue
		}
		if ok, err := result.ToBoolean(); err == nil && !ok && len(result) == 1 {
			r.report(k.severity, invariantID, k.key, k.key+": "+k.text)
		}
	}
}

// wrap gives {"resourceType":T,"field":value}; the type only where it is a
// resource.
func wrap(text []byte, f *schema.Field, t *schema.Type) []byte {
	b := []byte{'{'}
	if !strings.Contains(t.Name, ".") && t.Fields["implicitRules"] != nil {
		b = append(codec.AppendString(append(b, `"resourceType":`...), t.Name), ',')
	}
	b = append(codec.AppendString(b, f.Name), ':')
	if f.List {
		b = append(append(append(b, '['), text...), ']')
	} else {
		b = append(b, text...)
	}
	return append(b, '}')
}
