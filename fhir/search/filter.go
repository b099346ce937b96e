package search

import (
	"slices"
	"strings"
	"unicode/utf8"

	"hutong/fhir"
	"hutong/fhir/definition"
)

// modifiers lists what each type of parameter permits. :[type] and chains of
// references come besides; :above, :below, :in and :not-in of tokens need an
// Expander.
var modifiers = map[definition.ParamType][]Modifier{
	definition.Number:    {Missing},
	definition.Date:      {Missing},
	definition.String:    {Missing, Exact, Contains},
	definition.Token:     {Missing, Text, Not, Above, Below, In, NotIn, OfType},
	definition.Reference: {Missing, IdentifierOf},
	definition.Composite: {Missing},
	definition.Quantity:  {Missing},
	definition.URI:       {Missing, Above, Below},
}

// filter reads one search parameter of t (of types, for a search across types):
// name, name:modifier, name[:Type].rest or _has:Type:reference:rest.
func (p *Parser) filter(t fhir.Type, types []fhir.Type, name, value string, depth int) (Predicate, error) {
	if depth > maxChain {
		return Predicate{}, fhir.Errorf(fhir.TooCostly, "a chain has more than %d links", maxChain)
	}
	if rest, ok := strings.CutPrefix(name, "_has:"); ok {
		return p.has(t, rest, value, depth)
	}
	head, rest, chained := strings.Cut(name, ".")
	code, modifier, _ := strings.Cut(head, ":")
	param := p.param(t, types, code)
	if param == nil {
		return Predicate{}, p.noParam(t, types, code)
	}
	if chained {
		return p.chain(param, modifier, rest, value, depth)
	}
	f, err := p.predicate(param, modifier, value)
	f.Sole = p.defs.Sole(t, param)
	f.Orders = f.Sole && orders(p.defs, t, param)
	return f, err
}

// param finds a parameter of t; of a search across types, one that all of them
// share.
func (p *Parser) param(t fhir.Type, types []fhir.Type, code string) *definition.SearchParam {
	if t != "" || len(types) == 0 {
		return p.defs.Param(t, code)
	}
	param := p.defs.Param(types[0], code)
	for _, other := range types[1:] {
		if p.defs.Param(other, code) != param {
			return nil
		}
	}
	return param
}

func (p *Parser) noParam(t fhir.Type, types []fhir.Type, code string) *unknownError {
	e := &unknownError{name: code, of: string(t)}
	switch {
	case t == "" && len(types) == 0:
		e.of = "all types (name types with _type to search by more)"
	case t == "":
		t, e.of = types[0], "all the types in _type together"
	}
	for _, q := range p.defs.Params(t) {
		if len(types) < 2 || p.param("", types, q.Code) != nil {
			e.allowed = append(e.allowed, q.Code)
		}
	}
	return e
}

// predicate reads the modifier and the values of one parameter.
func (p *Parser) predicate(param *definition.SearchParam, modifier, value string) (Predicate, error) {
	if param.Type == definition.Special {
		return Predicate{}, fhir.Errorf(fhir.NotSupported, "parameter %s is not supported: searching by distance needs a map service", param.Code)
	}
	v := valueReader{p: p, param: param, modifier: Modifier(modifier)}
	if err := v.checkModifier(); err != nil {
		return Predicate{}, err
	}
	values := splitUnescaped(value, ',')
	if len(values) > maxValues {
		return Predicate{}, fhir.Errorf(fhir.TooCostly, "parameter %s has more than %d values", param.Code, maxValues)
	}
	f := Predicate{Param: param, Modifier: v.modifier}
	for _, s := range values {
		read, err := v.read(s)
		if err != nil {
			return Predicate{}, err
		}
		f.Values = append(f.Values, read...)
	}
	switch f.Modifier {
	case In, NotIn, Above, Below:
		f.Modifier = v.expanded()
	}
	if len(f.Values) > maxValues {
		return Predicate{}, fhir.Errorf(fhir.TooCostly, "parameter %s:%s stands for more than %d codes", param.Code, modifier, maxValues)
	}
	return f, nil
}

// checkModifier holds the modifier against the parameter's type; :[type] moves
// into refType.
func (v *valueReader) checkModifier() error {
	m, t := v.modifier, v.param.Type
	if t == definition.Reference && v.p.defs.IsType(fhir.Type(m)) {
		if !permits(v.param, fhir.Type(m)) {
			return fhir.Errorf(fhir.Invalid, "parameter %s does not point to %s; it points to %s", v.param.Code, m, names(v.param.Targets))
		}
		v.refType, v.modifier = fhir.Type(m), NoModifier
		return nil
	}
	if m != NoModifier && !slices.Contains(modifiers[t], m) {
		return fhir.Errorf(fhir.NotSupported, "parameter %s has no modifier :%s; it has %s", v.param.Code, shown(string(m)), permitted(t))
	}
	if t == definition.Token && v.p.o.Expander == nil && slices.Contains([]Modifier{Above, Below, In, NotIn}, m) {
		return fhir.Errorf(fhir.NotSupported, "parameter %s: modifier :%s needs a terminology service, and this server has none", v.param.Code, m)
	}
	return nil
}

func permitted(t definition.ParamType) string {
	var s []string
	for _, m := range modifiers[t] {
		s = append(s, ":"+string(m))
	}
	if t == definition.Reference {
		s = append(s, ":[type]")
	}
	return strings.Join(s, ", ")
}

func names(types []fhir.Type) string {
	var s []string
	for _, t := range types {
		s = append(s, string(t))
	}
	return strings.Join(s, ", ")
}

// chain reads what follows the dot against every type that the reference may
// point to and that knows it.
func (p *Parser) chain(param *definition.SearchParam, modifier, rest, value string, depth int) (Predicate, error) {
	if param.Type != definition.Reference {
		return Predicate{}, fhir.Errorf(fhir.Invalid, "parameter %s is no reference: nothing can be chained to it", param.Code)
	}
	targets := param.Targets
	if modifier != "" {
		t := fhir.Type(modifier)
		if !p.defs.IsType(t) || !permits(param, t) {
			return Predicate{}, fhir.Errorf(fhir.Invalid, "parameter %s: the modifier before a dot is a type that it points to", param.Code)
		}
		targets = []fhir.Type{t}
	}
	if len(targets) == 0 {
		targets = p.defs.Types()
	}
	f := Predicate{Param: param}
	for _, t := range targets {
		link, err := p.filter(t, nil, rest, value, depth+1)
		if _, unknown := err.(*unknownError); unknown {
			continue
		}
		if err != nil {
			return Predicate{}, err
		}
		f.Chain = append(f.Chain, &Query{Type: t, Filter: []Predicate{link}})
	}
	if len(f.Chain) == 0 {
		return Predicate{}, &unknownError{name: rest, of: "any type that " + param.Code + " points to"}
	}
	return f, nil
}

// has reads Type:reference:rest.
func (p *Parser) has(t fhir.Type, rest, value string, depth int) (Predicate, error) {
	parts := strings.SplitN(rest, ":", 3)
	if len(parts) < 3 || !p.defs.IsType(fhir.Type(parts[0])) {
		return Predicate{}, fhir.Errorf(fhir.Invalid, "_has is written _has:Type:reference:parameter=value")
	}
	source := fhir.Type(parts[0])
	param := p.defs.Param(source, parts[1])
	if param == nil || param.Type != definition.Reference {
		return Predicate{}, fhir.Errorf(fhir.Invalid, "_has: %s is no reference parameter of %s", shown(parts[1]), source)
	}
	if t != "" && !permits(param, t) {
		return Predicate{}, fhir.Errorf(fhir.Invalid, "_has: %s of %s does not point to %s", param.Code, source, t)
	}
	inner, err := p.filter(source, nil, parts[2], value, depth+1)
	if err != nil {
		return Predicate{}, err
	}
	return Predicate{Has: &Query{Type: source, Filter: []Predicate{inner}}, HasParam: param}, nil
}

func utf8Text(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }
