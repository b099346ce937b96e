package path_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/definition"
	"hutong/fhir/search/path"
	"hutong/testdata/sharedata"
)

// TestEveryExpressionCompiles holds for all search parameters and all their
// base types, components included.
func TestEveryExpressionCompiles(t *testing.T) {
	t.Parallel()
	defs := definition.R4()
	compiled := map[string]bool{}
	for _, typ := range defs.Types() {
		for _, p := range defs.Params(typ) {
			e, err := path.Compile(defs, p.Expression, string(typ), string(typ))
			if err != nil {
				t.Errorf("%s.%s: %v", typ, p.Code, err)
				continue
			}
			compiled[p.URL] = true
			for _, c := range p.Components {
				compileComponent(t, defs, typ, e, c)
			}
		}
	}
	if len(compiled) != 1373 {
		t.Errorf("%d expressions compiled, want 1373", len(compiled))
	}
}

func compileComponent(t *testing.T, defs *definition.Set, typ fhir.Type, e *path.Expr, c definition.Component) {
	for _, context := range e.Types() {
		if _, err := path.Compile(defs, c.Expression, string(typ), context); err != nil {
			t.Errorf("%s, component %s: %v", typ, c.Param.Code, err)
		}
	}
}

func TestSelect(t *testing.T) {
	t.Parallel()
	const json = `{"resourceType":"Observation","id":"o","valueQuantity":{"value":1},"status":"final",
	 "_status":{"extension":[{"url":"http://e","valueString":"s"}]},
	 "extension":[{"url":"http://e","valueCode":"a"},{"url":"http://f","valueCode":"b"},{"url":"http://e","valueString":"c"}],
	 "component":[{"code":{"text":"x"},"valueString":"1"},{"code":{"text":"y"},"valueBoolean":false}],
	 "performer":[{"reference":"Patient/1"},{"reference":"Practitioner/2"},{"type":"Patient","identifier":{"value":"3"}},{"reference":"#c"}],
	 "contained":[{"resourceType":"Patient","id":"c"}],"note":[null,{"text":"n"}]}`
	doc, err := codec.Parse([]byte(json), codec.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	defs := definition.R4()
	for _, c := range []struct{ expression, want string }{
		{"Observation.status", "final"},
		{"Observation.value as Quantity", `{"value":1}`},
		{"Observation.value.as(string)", ""},
		{"Observation.value.ofType(Quantity).value", "1"},
		{"Observation.component.code.text", "x y"},
		{"Observation.component.value", "1 false"},
		{"Observation.component[1].code.text", "y"},
		{"Observation.component.where(code.text='y').value", "false"},
		{"Observation.component.where(code.text='y' or value.exists()).code.text", "x y"},
		{"Observation.component.where((value as boolean).exists()).code.text", "y"},
		{"Observation.component.where(value is string).code.text", "x"},
		{"Observation.component.where(value.empty()).code.text", ""},
		{"Observation.component.where(code.text != 'x').code.text", "y"},
		{"Observation.component.where((code.text = 'x').not()).code.text", "y"},
		{"Observation.performer.where(resolve() is Patient).reference", "Patient/1 #c"},
		{"Observation.performer.where(resolve() is Practitioner).reference", "Practitioner/2"},
		{"Observation.performer.where($this.resolve() is Patient).identifier.value", "3"},
		{"Observation.extension('http://e').value", "a c"},
		{"Observation.extension('http://e').value as code", "a"},
		{"Observation.status.extension('http://e').value", "s"},
		{"Observation.note.text", "n"},
		{"Patient.name | Observation.status | Resource.id", "final o"},
		{"%resource.status", "final"},
		{"Observation.status.exists() and Observation.status != 'final'", "false"},
		{"Observation.status = 'final'", "true"},
		{"Observation.method.exists()", "false"},
		{"Observation.method.text != 'a'", "false"},
	} {
		e, err := path.Compile(defs, c.expression, "Observation", "Observation")
		if err != nil {
			t.Error(err)
			continue
		}
		if got := strings.Join(texts(doc, e), " "); got != c.want {
			t.Errorf("%s = %s, want %s", c.expression, got, c.want)
		}
	}
}

func texts(doc *codec.Doc, e *path.Expr) []string {
	var out []string
	r := path.NewResource(doc, 0, nil, "")
	e.Select(&r, 0, func(v path.Value) {
		if v.Computed {
			out = append(out, fmt.Sprint(v.Truth))
			return
		}
		out = append(out, r.Text(v.Node))
	})
	return out
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	defs := definition.R4()
	for _, bad := range []string{"", "Observation.", "Observation.nope", "Foo.bar", "Observation.status.nope()", "Observation.where(", "Observation.component[0", "Observation.component[-1]",
		"Observation.component.code.coding[0]", "Observation | ", "Observation.where(status)", "'text'", "Observation.status = Observation.code", "Patient.name", "Observation.value.as('x')",
		"Observation.extension(url)", "Observation.status)", "not()", "Observation.code.where(text='a", "a" + strings.Repeat("(", 10000)} {
		if _, err := path.Compile(defs, bad, "Observation", "Observation"); err == nil {
			t.Errorf("%.60q compiled", bad)
		}
	}
}

// TestTrieFindsWhatSelectFinds: merging the routes loses and adds nothing.
func TestTrieFindsWhatSelectFinds(t *testing.T) {
	t.Parallel()
	defs := definition.R4()
	files, _ := filepath.Glob(filepath.Join(sharedata.Dir(t), "examples", "*.json"))
	tries := map[fhir.Type]*path.Trie[string]{}
	exprs := map[string]*path.Expr{}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := codec.Parse(src, codec.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		typ := doc.ResourceType(0)
		if tries[typ] == nil {
			tries[typ] = &path.Trie[string]{}
			for _, p := range defs.Params(typ) {
				e, err := path.Compile(defs, p.Expression, string(typ), string(typ))
				if err != nil {
					t.Fatal(err)
				}
				tries[typ].Add(p.Code, e)
				exprs[string(typ)+p.Code] = e
			}
		}
		r := path.NewResource(doc, 0, nil, "")
		var got, want []string
		tries[typ].Walk(&r, func(code string, v path.Value) { got = append(got, fmt.Sprint(code, v)) })
		for _, p := range defs.Params(typ) {
			exprs[string(typ)+p.Code].Select(&r, 0, func(v path.Value) { want = append(want, fmt.Sprint(p.Code, v)) })
		}
		slices.Sort(got)
		slices.Sort(want)
		if want = slices.Compact(want); !slices.Equal(got, want) {
			t.Errorf("%s: walk %v, select %v", filepath.Base(f), got, want)
		}
	}
}

func FuzzCompile(f *testing.F) {
	defs := definition.R4()
	for _, p := range defs.Params("Observation") {
		f.Add(p.Expression)
	}
	f.Add("Observation.component[0].where(code.text='a' and value.exists()).extension('u').value as string")
	doc, err := codec.Parse([]byte(`{"resourceType":"Observation","component":[{"code":{"text":"a"}}]}`), codec.DefaultLimits())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		e, err := path.Compile(defs, expression, "Observation", "Observation")
		if err != nil {
			return
		}
		texts(doc, e)
	})
}
