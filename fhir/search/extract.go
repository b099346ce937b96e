package search

import (
	"fmt"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/definition"
	"hutong/fhir/search/path"
	"hutong/fhir/search/pinyin"
)

// Extractor reads the index values and the access facts of resources. It is
// immutable and safe for concurrent use.
type Extractor struct {
	o     Options
	types map[fhir.Type]*typeIndex
	names *pinyin.Speller
	docs  codec.Pool
}

// typeIndex is what extraction knows of one resource type.
type typeIndex struct {
	trie  path.Trie[*rule]
	facts factRules
	err   error // a definition that does not compile
}

// rule is how the values of one parameter of one type are read.
type rule struct {
	param *definition.SearchParam
	name  namePart
	// parts of a composite: for each type of node, one expression a component.
	parts map[string][]*path.Expr
}

// NewExtractor compiles the expressions of all search parameters of defs. An
// expression that does not compile makes Extract fail for its type.
func NewExtractor(defs *definition.Set, o Options) *Extractor {
	x := &Extractor{o: o, types: map[fhir.Type]*typeIndex{}, names: pinyin.NewSpeller()}
	for _, t := range defs.Types() {
		ix := &typeIndex{facts: newFactRules(defs, t)}
		for _, p := range defs.Params(t) {
			if !derived(p) {
				ix.add(defs, t, p)
			}
		}
		x.types[t] = ix
	}
	return x
}

// derived reports whether the parameter is answered from the version and not
// from entries.
func derived(p *definition.SearchParam) bool { return p.Code == "_id" || p.Code == "_lastUpdated" }

func (ix *typeIndex) add(defs *definition.Set, t fhir.Type, p *definition.SearchParam) {
	e, err := path.Compile(defs, p.Expression, string(t), string(t))
	if err != nil {
		ix.err = fmt.Errorf("search parameter %s: %w", p.URL, err)
		return
	}
	r := &rule{param: p, name: namePartOf(p)}
	if p.Type == definition.Composite {
		r.parts = map[string][]*path.Expr{}
		for _, node := range e.Types() {
			for _, c := range p.Components {
				part, err := path.Compile(defs, c.Expression, string(t), node)
				if err != nil {
					ix.err = fmt.Errorf("search parameter %s: %w", p.URL, err)
					return
				}
				r.parts[node] = append(r.parts[node], part)
			}
		}
	}
	ix.trie.Add(r, e)
}

// Extract appends to dst the entries of the resource at node i of d, and gives
// its facts (without the Custodian, which is the server's to say). rw rewrites
// references that a bundle resolves; nil leaves them. The entries hold no
// pointer into d.
//
// A Patient is in its own compartment: that fact needs the id in the JSON. Of a
// Patient whose id the server is yet to give, the caller adds it to
// Facts.Patients, or extracts from the Body.
func (x *Extractor) Extract(dst []Entry, d *codec.Doc, i uint32, rw codec.Rewrite) ([]Entry, fhir.Facts, error) {
	t := d.ResourceType(i)
	ix := x.types[t]
	if ix == nil {
		return dst, fhir.Facts{}, fhir.Errorf(fhir.Invalid, "there is no R4 resource type of that name").At(d.Path(i) + ".resourceType")
	}
	if ix.err != nil {
		return dst, fhir.Facts{}, fhir.Errorf(fhir.Internal, "search definitions: %w", ix.err)
	}
	w := &extraction{
		x: x, out: dst,
		r: path.Resource{Doc: d, Root: i, Rewrite: rw, Base: x.o.Base},
	}
	ix.trie.Walk(&w.r, w.value)
	own := fhir.Key{Type: t, ID: d.ChildText(i, "id")}
	return w.out, ix.facts.of(own, w.out[len(dst):]), nil
}

// ExtractBody is Extract of a stored body; key is the resource's own.
func (x *Extractor) ExtractBody(b fhir.Body, key fhir.Key) ([]Entry, fhir.Facts, error) {
	d, err := x.docs.Parse(b.Raw, codec.DefaultLimits())
	if err != nil {
		return nil, fhir.Facts{}, err
	}
	defer x.docs.Put(d)
	if d.ResourceType(0) != key.Type {
		return nil, fhir.Facts{}, fhir.Errorf(fhir.Internal, "the body of a %s holds another type", key.Type)
	}
	return x.Extract(nil, d, 0, nil)
}

// extraction collects the entries of one resource.
type extraction struct {
	x   *Extractor
	r   path.Resource
	out []Entry
}

// value appends the entries of one node that a parameter selected.
func (w *extraction) value(r *rule, v path.Value) {
	if r.param.Type == definition.Composite {
		w.composite(r, v)
		return
	}
	w.convert(r.param, r.name, v)
}

// convert appends the entries of a node under the type of parameter p.
func (w *extraction) convert(p *definition.SearchParam, name namePart, v path.Value) {
	switch p.Type {
	case definition.Token:
		w.token(p, v)
	case definition.Reference:
		w.reference(p, v)
	case definition.String:
		w.text(p, name, v)
	case definition.Date:
		w.date(p, v)
	case definition.Number, definition.Quantity:
		w.quantity(p, v)
	case definition.URI:
		w.uri(p, v)
	}
}

// maxTuples bounds the combinations that one node gives a composite parameter.
const maxTuples = 1000

// composite appends every combination of the values of the components that
// stand at the node.
func (w *extraction) composite(r *rule, v path.Value) {
	tuples := [][]Entry{nil}
	for n, part := range r.parts[v.Type] {
		values := w.part(r.param.Components[n].Param, part, v.Node)
		var longer [][]Entry
		for _, t := range tuples {
			for _, e := range values {
				longer = append(longer, append(t[:len(t):len(t)], e))
			}
		}
		if tuples = longer; len(tuples) == 0 || len(tuples) > maxTuples {
			break
		}
	}
	for _, t := range tuples[:min(len(tuples), maxTuples)] {
		if len(t) == len(r.param.Components) {
			w.out = append(w.out, Entry{Param: r.param, Parts: t})
		}
	}
}

// part gives the entries of one component, without growing w.out.
func (w *extraction) part(p *definition.SearchParam, e *path.Expr, node uint32) []Entry {
	keep := w.out
	w.out = nil
	e.Select(&w.r, node, func(v path.Value) { w.convert(p, noName, v) })
	values := w.out
	w.out = keep
	return values
}
