package schema_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"hutong/fhir/internal/schema"
	"hutong/testdata/sharedata"
)

// elementDefinition is what the test reads of a published element.
type elementDefinition struct {
	Path             string
	Min              int
	Max              string
	ContentReference string
	Type             []struct {
		Code          string
		TargetProfile []string
	}
	Binding struct{ Strength, ValueSet string }
}

// expansions gives the required value sets: canonical -> codes.
func expansions(t *testing.T) map[string][]string {
	t.Helper()
	sets := map[string][]string{}
	for line := range bytes.Lines(sharedata.Read(t, "definitions/expansions-required.ndjson")) {
		var vs struct {
			URL       string
			Expansion struct{ Contains []struct{ Code string } }
		}
		if err := json.Unmarshal(line, &vs); err != nil {
			t.Fatal(err)
		}
		for _, c := range vs.Expansion.Contains {
			sets[vs.URL] = append(sets[vs.URL], c.Code)
		}
	}
	return sets
}

// TestEqualsDefinitions compares the model with the published
// StructureDefinitions: every element of every type, both ways, with
// cardinality, types, targets and required codes.
func TestEqualsDefinitions(t *testing.T) {
	t.Parallel()
	sets := expansions(t)
	checked := 0
	for _, name := range []string{"types", "resources"} {
		for line := range bytes.Lines(sharedata.Read(t, "definitions/StructureDefinition-"+name+".ndjson")) {
			var sd struct {
				Type, Kind string
				Abstract   bool
				Derivation string
				Snapshot   struct{ Element []elementDefinition }
			}
			if err := json.Unmarshal(line, &sd); err != nil {
				t.Fatal(err)
			}
			root := schema.R4().Types[sd.Type]
			if sd.Abstract || sd.Kind == "logical" || sd.Kind == "primitive-type" || sd.Derivation == "constraint" || root == nil {
				continue
			}
			checked += compareType(t, root, sd.Snapshot.Element, sets)
		}
	}
	if checked < 8000 {
		t.Errorf("only %d elements were compared", checked)
	}
}

// compareType walks the elements of one definition, whose types are found
// through the fields of their parents.
func compareType(t *testing.T, root *schema.Type, elements []elementDefinition, sets map[string][]string) (checked int) {
	t.Helper()
	types := map[string]*schema.Type{elements[0].Path: root}
	seen := map[*schema.Type]map[string]bool{}
	for _, e := range elements[1:] {
		dot := strings.LastIndexByte(e.Path, '.')
		parent, name := types[e.Path[:dot]], e.Path[dot+1:]
		if parent == nil {
			t.Errorf("%s: the model has no parent", e.Path)
			continue
		}
		if seen[parent] == nil {
			seen[parent] = map[string]bool{}
		}
		for _, f := range fieldsOf(t, parent, name, e) {
			checked++
			seen[parent][f.Name] = true
			types[e.Path] = f.Type
			compareField(t, e, parent, f, sets)
		}
	}
	for typ, names := range seen {
		for name := range typ.Fields {
			if !names[name] {
				t.Errorf("%s: %s.%s is not published", root.Name, typ.Name, name)
			}
		}
	}
	return checked
}

// fieldsOf gives the fields of an element: one, or those of a choice.
func fieldsOf(t *testing.T, parent *schema.Type, name string, e elementDefinition) (fields []*schema.Field) {
	t.Helper()
	names := []string{name}
	if base, ok := strings.CutSuffix(name, "[x]"); ok {
		names = names[:0]
		for _, typ := range e.Type {
			names = append(names, base+strings.ToUpper(typ.Code[:1])+typ.Code[1:])
		}
	}
	for _, n := range names {
		if f := parent.Fields[n]; f != nil {
			fields = append(fields, f)
		} else {
			t.Errorf("%s: the model has no %s", e.Path, n)
		}
	}
	return fields
}

func compareField(t *testing.T, e elementDefinition, parent *schema.Type, f *schema.Field, sets map[string][]string) {
	t.Helper()
	if required := parent.Groups[f.Group].Required; required != (e.Min > 0) {
		t.Errorf("%s: required is %v, published min %d", e.Path, required, e.Min)
	}
	if f.List != (e.Max != "1") {
		t.Errorf("%s: list is %v, published max %s", e.Path, f.List, e.Max)
	}
	for _, typ := range e.Type {
		if typ.Code != "Reference" || f.Type.Ref == nil {
			continue
		}
		var targets []string
		for _, p := range typ.TargetProfile {
			targets = append(targets, p[strings.LastIndexByte(p, '/')+1:])
		}
		if slices.Contains(targets, "Resource") {
			targets = nil
		}
		if !slices.Equal(slices.Sorted(slices.Values(targets)), slices.Sorted(slices.Values(f.Targets))) {
			t.Errorf("%s: targets %v, published %v", e.Path, f.Targets, targets)
		}
	}
	url, _, _ := strings.Cut(e.Binding.ValueSet, "|")
	if e.Binding.Strength != "required" || f.Type.Kind != schema.Code || sets[url] == nil {
		if f.Type.Codes != nil {
			t.Errorf("%s: the model has a value set, published is %q", e.Path, e.Binding)
		}
		return
	}
	got, want := slices.Sorted(maps.Keys(f.Type.Codes)), slices.Sorted(slices.Values(sets[url]))
	if !slices.Equal(got, slices.Compact(want)) {
		t.Errorf("%s: codes %v, published %v", e.Path, got, want)
	}
}
