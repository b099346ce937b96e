package search

import (
	"fmt"
	"slices"

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
	c := &compiler{defs: defs, parsed: map[string]*path.Parsed{}}
	for _, t := range defs.Types() {
		ix := &typeIndex{facts: newFactRules(defs, t)}
		for _, p := range defs.Params(t) {
			if fromVersion(p) {
				continue
			}
			if err := c.add(ix, t, p); err != nil {
				ix.err = fmt.Errorf("search parameter %s: %w", p.URL, err)
			}
		}
		x.types[t] = ix
	}
	return x
}

// fromVersion reports whether the parameter is answered from the version and
// not from entries.
func fromVersion(p *definition.SearchParam) bool { return p.Code == "_id" || p.Code == "_lastUpdated" }

// compiler compiles parameters; it reads an expression that many types share
// once.
type compiler struct {
	defs   *definition.Set
	parsed map[string]*path.Parsed
}

func (c *compiler) compile(expression string, t fhir.Type, context string) (*path.Expr, error) {
	p := c.parsed[expression]
	if p == nil {
		var err error
		if p, err = path.Parse(expression); err != nil {
			return nil, err
		}
		c.parsed[expression] = p
	}
	return p.Compile(c.defs, string(t), context)
}

func (c *compiler) add(ix *typeIndex, t fhir.Type, p *definition.SearchParam) error {
	e, err := c.compile(p.Expression, t, string(t))
	if err != nil {
		return err
	}
	r := &rule{param: p, name: namePartOf(p)}
	if p.Type == definition.Composite {
		r.parts = map[string][]*path.Expr{}
		for _, node := range e.Types() {
			if r.parts[node], err = c.components(p, t, node); err != nil {
				return err
			}
		}
	}
	ix.trie.Add(r, e)
	return nil
}

// components compiles the components of a composite for one type of node.
func (c *compiler) components(p *definition.SearchParam, t fhir.Type, node string) ([]*path.Expr, error) {
	var parts []*path.Expr
	for _, comp := range p.Components {
		e, err := c.compile(comp.Expression, t, node)
		if err != nil {
			return nil, err
		}
		parts = append(parts, e)
	}
	return parts, nil
}

// Extract appends to dst the entries of the resource at node i of d, and gives
// its facts (without the Custodian, which is the server's to say). rw rewrites
// references that a bundle resolves; nil leaves them. The entries and facts do
// not point into d; their strings share one copy of the resource's text.
//
// A Patient is in its own compartment: that fact needs the id in the JSON. Of a
// Patient whose id the server is yet to give, the caller adds it to
// Facts.Patients, or extracts from the Body.
func (x *Extractor) Extract(dst []Entry, d *codec.Doc, i uint32, rw codec.Rewrite) ([]Entry, fhir.Facts, error) {
	t := d.ResourceType(i)
	ix, err := x.index(d, i)
	if err != nil {
		return dst, fhir.Facts{}, err
	}
	w := &extraction{x: x, out: slices.Grow(dst, usualEntries), r: path.NewResource(d, i, rw, x.o.Base)}
	ix.trie.Walk(&w.r, w.value)
	if w.err != nil {
		return dst, fhir.Facts{}, w.err
	}
	own := fhir.Key{Type: t, ID: d.ChildText(i, "id")}
	return w.out, ix.facts.of(own, w.out[len(dst):]), nil
}

func (x *Extractor) index(d *codec.Doc, i uint32) (*typeIndex, error) {
	ix := x.types[d.ResourceType(i)]
	if ix == nil {
		return nil, fhir.Errorf(fhir.Invalid, "there is no R4 resource type of that name").At(d.Path(i) + ".resourceType")
	}
	if ix.err != nil {
		return nil, fhir.Errorf(fhir.Internal, "search definitions: %w", ix.err)
	}
	return ix, nil
}

// References gives those entries of a stored body that are references: what an
// include follows. It costs a fraction of ExtractBody.
func (x *Extractor) References(b fhir.Body) ([]Entry, error) {
	d, err := x.docs.Parse(b.Raw, codec.DefaultLimits())
	if err != nil {
		return nil, err
	}
	defer x.docs.Put(d)
	ix, err := x.index(d, 0)
	if err != nil {
		return nil, err
	}
	w := &extraction{x: x, r: path.NewResource(d, 0, nil, x.o.Base)}
	ix.trie.Walk(&w.r, func(r *rule, v path.Value) {
		if r.param.Type == definition.Reference {
			w.value(r, v)
		}
	})
	return w.out, w.err
}

// usualEntries is room for the values of most resources.
const usualEntries = 28

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
	err error
	// parts are the components' entries of one composite, which are copied.
	parts []Entry
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

// maxTuples bounds the combinations that one node gives a composite parameter:
// hostile ones would be millions. More is refused, not cut.
const maxTuples = 1000

// composite appends every combination of the values of the components that
// stand at the node.
func (w *extraction) composite(r *rule, v path.Value) {
	parts := r.parts[v.Type]
	var room [4][]Entry
	values, all := append(room[:0], make([][]Entry, len(parts))...), 1
	w.parts = w.parts[:0]
	// From the last on: a value is absent more often than a code.
	for n := len(parts) - 1; n >= 0; n-- {
		values[n] = w.part(r.param.Components[n].Param, parts[n], v.Node)
		if all *= len(values[n]); all == 0 {
			return
		}
	}
	if all > maxTuples {
		w.err = fhir.Errorf(fhir.Unprocessable, "the codes and values here make more than %d combinations for search parameter %s",
			maxTuples, r.param.Code).At(w.r.Doc.Path(v.Node))
		return
	}
	for i := range all { // the last component's values change fastest
		tuple, rest := make([]Entry, len(parts)), i
		for n := len(parts) - 1; n >= 0; n-- {
			tuple[n] = values[n][rest%len(values[n])]
			rest /= len(values[n])
		}
		w.out = append(w.out, Entry{Param: r.param, Parts: tuple})
	}
}

// part gives the entries of one component, without growing w.out.
func (w *extraction) part(p *definition.SearchParam, e *path.Expr, node uint32) []Entry {
	keep, from := w.out, len(w.parts)
	w.out = w.parts
	e.Select(&w.r, node, func(v path.Value) { w.convert(p, noName, v) })
	w.out, w.parts = keep, w.out
	return w.parts[from:]
}
