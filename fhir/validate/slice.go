package validate

import (
	"bytes"
	"slices"
	"strings"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/internal/schema"
)

// sliceTest tells whether a value belongs to a slice, by one discriminator.
type sliceTest struct {
	path    []string // from the value to what is compared
	fixed   *sample
	pattern *sample
	url     string          // of an extension
	codes   []fhir.Coding   // a required binding
	fields  map[string]bool // the type of a choice, by JSON name
	exists  int             // 1: must exist, -1: must not
}

// resolveSlices derives the tests of all slices below e.
func resolveSlices(e *element) error {
	for _, s := range e.slices {
		s.tests = slicingTests(e, s)
		if err := resolveSlices(&s.element); err != nil {
			return err
		}
	}
	for _, c := range e.children {
		if err := resolveSlices(c); err != nil {
			return err
		}
	}
	return nil
}

// slicingTests gives the tests of slice s of element e, nil if one of the
// discriminators cannot be decided from the profile. Extensions are told by
// their url where nothing else is said.
func slicingTests(e *element, s *slice) []sliceTest {
	discriminators := e.discriminators
	if len(discriminators) == 0 && strings.HasSuffix(strings.ToLower(e.name), "extension") {
		discriminators = []discriminator{{"value", "url"}}
	}
	var tests []sliceTest
	for _, d := range discriminators {
		t, ok := discriminate(d, &s.element)
		if !ok {
			return nil
		}
		tests = append(tests, t)
	}
	return tests
}

// discriminate follows the path of d into the slice until a rule decides.
func discriminate(d discriminator, e *element) (t sliceTest, ok bool) {
	path := strings.Split(strings.TrimPrefix(strings.TrimPrefix(d.path, "$this"), "."), ".")
	for i, name := range path {
		if t = (sliceTest{path: path[:i], fixed: e.fixed, pattern: e.pattern}); t.decides() {
			return t, true
		}
		if name == "" {
			break
		}
		k := slices.IndexFunc(e.children, func(c *element) bool { return c.name == name })
		if k < 0 {
			if d.path == "url" && len(e.profiles) > 0 {
				return sliceTest{url: e.profiles[0]}, true
			}
			return t, false
		}
		e = e.children[k]
	}
	if path[0] == "" {
		path = nil
	}
	t = sliceTest{path: path, fixed: e.fixed, pattern: e.pattern}
	switch {
	case t.decides():
	case d.kind == "type":
		t.fields = e.fields
	case d.kind == "exists" && e.max == 0:
		t.exists = -1
	case d.kind == "exists" && e.min > 0:
		t.exists = 1
	default:
		t.codes = e.codes
	}
	return t, t.decides() || t.fields != nil || t.exists != 0 || t.codes != nil
}

func (t *sliceTest) decides() bool { return t.fixed != nil || t.pattern != nil }

// matches reports whether the value c of field f belongs to the slice.
func (s *slice) matches(d *codec.Doc, c uint32, f *schema.Field) bool {
	for i := range s.tests {
		if t := &s.tests[i]; !t.matches(d, c, f, t.path) {
			return false
		}
	}
	return len(s.tests) > 0
}

func (t *sliceTest) matches(d *codec.Doc, c uint32, f *schema.Field, path []string) bool {
	if len(path) > 0 {
		child := d.Child(c, path[0])
		switch {
		case child == 0:
			return t.exists < 0
		case d.Nodes[child].Kind != codec.Array:
			return t.matches(d, child, f, path[1:])
		}
		for item := range d.Children(child) {
			if t.matches(d, item, f, path[1:]) {
				return true
			}
		}
		return false
	}
	switch {
	case t.fixed != nil:
		return same(d, c, t.fixed.d, t.fixed.at)
	case t.pattern != nil:
		return covers(d, c, t.pattern.d, t.pattern.at)
	case t.url != "":
		return d.ChildText(c, "url") == t.url
	case t.fields != nil:
		return t.fields[f.Name]
	case t.codes != nil:
		return inCodes(d, c, t.codes)
	}
	return t.exists > 0
}

// same reports whether two values are equal: objects with the same members in
// any order, arrays in order, numbers to the digit.
func same(d *codec.Doc, i uint32, want *codec.Doc, w uint32) bool {
	return covers(d, i, want, w) && covers(want, w, d, i)
}

// covers reports whether value i holds the pattern w: every member of the
// pattern in the object, every element of the pattern in the array.
func covers(d *codec.Doc, i uint32, want *codec.Doc, w uint32) bool {
	switch kind := want.Nodes[w].Kind; {
	case kind.IsString():
		return d.Nodes[i].Kind.IsString() && bytes.Equal(d.Bytes(i), want.Bytes(w))
	case d.Nodes[i].Kind != kind:
		return false
	case kind == codec.Object:
		for m := range want.Children(w) {
			c := d.Child(i, string(want.Key(m)))
			if c == 0 || !covers(d, c, want, m) {
				return false
			}
		}
		return true
	case kind == codec.Array:
		for m := range want.Children(w) {
			if !anyCovers(d, i, want, m) {
				return false
			}
		}
		return true
	}
	return bytes.Equal(d.Raw(i), want.Raw(w))
}

func anyCovers(d *codec.Doc, list uint32, want *codec.Doc, m uint32) bool {
	for c := range d.Children(list) {
		if covers(d, c, want, m) {
			return true
		}
	}
	return false
}

// inCodes reports whether a code, Coding, Quantity or CodeableConcept is in a
// value set.
func inCodes(d *codec.Doc, c uint32, codes []fhir.Coding) bool {
	if d.Nodes[c].Kind.IsString() {
		text := d.Text(c)
		return slices.ContainsFunc(codes, func(k fhir.Coding) bool { return k.Code == text })
	}
	if list := d.Child(c, "coding"); list != 0 {
		for coding := range d.Children(list) {
			if inCodes(d, coding, codes) {
				return true
			}
		}
		return false
	}
	system, code := d.ChildText(c, "system"), d.ChildText(c, "code")
	return slices.ContainsFunc(codes, func(k fhir.Coding) bool {
		return k.Code == code && (k.System == "" || k.System == system)
	})
}
