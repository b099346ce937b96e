package path_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gofhir/fhirpath"
	"github.com/gofhir/fhirpath/types"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/definition"
	"hutong/fhir/search/literal"
	"hutong/fhir/search/path"
	"hutong/testdata/sharedata"
)

// TestAgainstLibrary holds the compiled expressions against gofhir/fhirpath,
// which evaluates them as published, on every official example of the pack.
func TestAgainstLibrary(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(sharedata.Dir(t), "examples", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	d := newDifferential(t)
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if len(src) > maxExample {
			continue // collections of definitions, on which the library takes seconds and no expression finds more
		}
		d.resource(filepath.Base(f), src)
	}
	t.Logf("%d evaluations on %d examples, %d selected something", d.compared, d.examples, d.selected)
	if d.selected < 2000 {
		t.Errorf("only %d expressions selected something: the comparison shows little", d.selected)
	}
}

const maxExample = 64 << 10

type differential struct {
	t                  *testing.T
	defs               *definition.Set
	library            map[string]*fhirpath.Expression
	ours               map[string]*path.Expr
	seen               map[fhir.Type]bool
	examples           int
	compared, selected int
}

func newDifferential(t *testing.T) *differential {
	return &differential{t: t, defs: definition.R4(), library: map[string]*fhirpath.Expression{}, ours: map[string]*path.Expr{}, seen: map[fhir.Type]bool{}}
}

func (d *differential) resource(name string, src []byte) {
	doc, err := codec.Parse(src, codec.DefaultLimits())
	if err != nil {
		d.t.Fatalf("%s: %v", name, err)
	}
	d.examples++
	typ := doc.ResourceType(0)
	first := !d.seen[typ]
	d.seen[typ] = true
	for _, p := range d.defs.Params(typ) {
		d.compared++
		expression := p.Expression
		if !first {
			expression = own(expression, typ)
		}
		want, err := d.evaluate(expression, src)
		if err != nil {
			d.t.Errorf("%s: library fails on %s: %v", name, p.Expression, err)
			continue
		}
		got := d.sel(p.Expression, typ, doc)
		if len(got) > 0 {
			d.selected++
		}
		if slices.Equal(got, want) {
			continue
		}
		d.t.Errorf("%s, %s\n  %s\n  ours    %.300q\n  library %.300q", name, p.Code, p.Expression, got, want)
	}
}

// own leaves out the parts of a union that begin with another type, which is
// most of the library's work. The first example of each type is held against
// the whole expression.
func own(expression string, typ fhir.Type) string {
	parts := strings.Split(expression, " | ")
	parts = slices.DeleteFunc(parts, func(p string) bool {
		head, _, _ := strings.Cut(strings.TrimLeft(p, "("), ".")
		return head != string(typ) && head != "Resource"
	})
	return strings.Join(parts, " | ")
}

func (d *differential) evaluate(expression string, src []byte) ([]string, error) {
	e := d.library[expression]
	if e == nil {
		var err error
		if e, err = fhirpath.Compile(strings.ReplaceAll(expression, "DateTime", "dateTime")); err != nil {
			return nil, err
		}
		d.library[expression] = e
	}
	values, err := e.EvaluateWithOptions(src, fhirpath.WithModel(model{d.defs}), fhirpath.WithResolver(resolver{src}))
	var out []string
	for _, v := range values {
		out = append(out, shownValue(v))
	}
	return unique(out), err
}

func shownValue(v types.Value) string {
	if o, ok := v.(*types.ObjectValue); ok {
		return compact(o.Data())
	}
	return zone(v.String())
}

// zone levels the library's one liberty: it prints the offset +00:00 as Z.
func zone(s string) string {
	if t, ok := strings.CutSuffix(s, "+00:00"); ok {
		return t + "Z"
	}
	return s
}

func (d *differential) sel(expression string, typ fhir.Type, doc *codec.Doc) []string {
	key := string(typ) + " " + expression
	if d.ours[key] == nil {
		e, err := path.Compile(d.defs, expression, string(typ), string(typ))
		if err != nil {
			d.t.Fatal(err)
		}
		d.ours[key] = e
	}
	var out []string
	r := path.NewResource(doc, 0, nil, "")
	d.ours[key].Select(&r, 0, func(v path.Value) {
		switch {
		case v.Computed && v.Truth:
			out = append(out, "true")
		case v.Computed:
			out = append(out, "false")
		case doc.Nodes[v.Node].Kind == codec.Object:
			out = append(out, compact(doc.Raw(v.Node)))
		default:
			out = append(out, zone(doc.Text(v.Node)))
		}
	})
	return unique(out)
}

// unique sorts and drops repeats: a union in FHIRPath holds each value once.
func unique(s []string) []string {
	slices.Sort(s)
	return slices.Compact(s)
}

func compact(src []byte) string {
	var v any
	if err := json.Unmarshal(src, &v); err != nil {
		return string(src)
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// resolver gives a contained resource, and for another reference a resource of
// the type that its text shows.
type resolver struct{ src []byte }

func (r resolver) Resolve(_ context.Context, reference string) ([]byte, error) {
	if id, ok := strings.CutPrefix(reference, "#"); ok {
		return r.contained(id)
	}
	if t := literal.ParseReference(reference, "").Type; t != "" {
		return []byte(`{"resourceType":"` + t + `"}`), nil
	}
	return nil, errors.New("not to be resolved")
}

func (r resolver) contained(id string) ([]byte, error) {
	var res struct{ Contained []json.RawMessage }
	if err := json.Unmarshal(r.src, &res); err != nil {
		return nil, err
	}
	for _, c := range res.Contained {
		var head struct{ ID string }
		if json.Unmarshal(c, &head) == nil && head.ID == id {
			return c, nil
		}
	}
	return nil, errors.New("no such contained resource")
}

// model shows the definitions to the library.
type model struct{ defs *definition.Set }

func (m model) element(p string) *definition.Element {
	dot := strings.LastIndexByte(p, '.')
	if dot < 0 {
		return nil
	}
	s := m.defs.Structure(m.ResolvePath(p[:dot]))
	if s == nil {
		if s = m.defs.Structure(m.TypeOf(p[:dot])); s == nil {
			return nil
		}
	}
	return s.Element(p[dot+1:])
}

func (m model) ChoiceTypes(p string) []string {
	e := m.element(p)
	if e == nil || !e.Choice {
		return nil
	}
	var out []string
	for _, t := range e.Types {
		out = append(out, strings.ToUpper(t[:1])+t[1:])
	}
	return out
}

func (m model) TypeOf(p string) string {
	if e := m.element(p); e != nil && len(e.Types) == 1 {
		return e.Types[0]
	}
	return ""
}

func (m model) ResolvePath(p string) string {
	if m.defs.Structure(p) == nil && strings.Contains(p, ".") {
		if t := m.TypeOf(p); strings.Contains(t, ".") {
			return t
		}
	}
	return p
}

func (m model) ReferenceTargets(string) []string { return nil }
func (m model) ParentType(t string) string {
	switch {
	case m.defs.IsType(fhir.Type(t)):
		return "DomainResource"
	case t == "DomainResource":
		return "Resource"
	}
	return ""
}
func (m model) IsSubtype(child, parent string) bool {
	return child == parent || m.defs.IsType(fhir.Type(child)) && (parent == "Resource" || parent == "DomainResource")
}
func (m model) IsResource(t string) bool { return m.defs.IsType(fhir.Type(t)) }
