package definition

import (
	"slices"
	"strings"

	"hutong/fhir"
)

// Source tells where the values of a parameter stand that another's index
// holds already: an index of its own would only repeat them.
type Source struct {
	// Params have, together, every value of the parameter; of a composite, of
	// its first component.
	Params []*SearchParam
	// Target: the values are only the references to this type; "" takes all.
	Target fhir.Type
}

// Source gives the source of p's values in resources of type t; nil if no
// others have them. `patient` has it in `subject`, `combo-code` in `code` and
// `component-code`, `code-value-quantity` its codes in `code`.
func (s *Set) Source(t fhir.Type, p *SearchParam) *Source {
	return s.Sources(t)[p]
}

// Sources gives those of all parameters of t. Callers do not write to the map.
func (s *Set) Sources(t fhir.Type) map[*SearchParam]*Source {
	if d := s.byType[t]; d != nil {
		return d.sources
	}
	return nil
}

// markSources finds the parameters that Source tells: by their expressions,
// taken apart at their alternatives, which are compared as they are written.
func (s *Set) markSources() {
	for t, d := range s.byType {
		d.sources = map[*SearchParam]*Source{}
		own := map[*SearchParam][]string{} // what may be a source: tokens, references and quantities
		for _, p := range d.params {
			if p.Type == Token || p.Type == Reference || p.Type == Quantity {
				own[p] = alternatives(p.Expression, t)
			}
		}
		for _, p := range d.params {
			switch p.Type {
			case Reference:
				d.sources[p] = d.narrowed(p, own)
			case Token, Quantity:
				d.sources[p] = d.united(p, p.Type, own[p], own)
			case Composite:
				d.sources[p] = d.united(p, p.Components[0].Param.Type, nodes(alternatives(p.Expression, t), p.Components[0].Expression), own)
			}
			if d.sources[p] == nil {
				delete(d.sources, p)
			}
		}
		d.settle()
	}
}

// settle replaces sources that have sources themselves.
func (d *typeDef) settle() {
	for _, s := range d.sources {
		for i := 0; i < len(s.Params); i++ {
			if deeper := d.sources[s.Params[i]]; deeper != nil {
				s.Params = slices.Replace(s.Params, i, i+1, deeper.Params...)
				i--
			}
		}
	}
}

// narrowed finds the reference of which p keeps those to one type.
func (d *typeDef) narrowed(p *SearchParam, own map[*SearchParam][]string) *Source {
	if len(own[p]) != 1 || len(p.Targets) != 1 {
		return nil
	}
	whole, ok := strings.CutSuffix(own[p][0], ".where(resolve() is "+string(p.Targets[0])+")")
	if !ok {
		return nil
	}
	for _, q := range d.params {
		if q.Type == Reference && len(own[q]) == 1 && own[q][0] == whole && slices.Contains(q.Targets, p.Targets[0]) {
			return &Source{Params: []*SearchParam{q}, Target: p.Targets[0]}
		}
	}
	return nil
}

// united finds parameters other than p of which each has some of the
// alternatives, and all of them together every one.
func (d *typeDef) united(p *SearchParam, typ ParamType, all []string, own map[*SearchParam][]string) *Source {
	var s Source
	left := slices.Clone(all)
	for _, q := range d.params {
		part := own[q]
		if q == p || q.Type != typ || len(part) == 0 || len(part) >= len(all) && p.Type != Composite {
			continue
		}
		if in := func(a string) bool { return slices.Contains(left, a) }; !slices.ContainsFunc(part, func(a string) bool { return !in(a) }) {
			s.Params = append(s.Params, q)
			left = slices.DeleteFunc(left, func(a string) bool { return slices.Contains(part, a) })
		}
	}
	if len(all) == 0 || len(left) > 0 {
		return nil
	}
	return &s
}

// alternatives gives those of an expression that are about t, nil if it is more
// than a list of them.
func alternatives(expression string, t fhir.Type) []string {
	var out []string
	for a := range strings.SplitSeq(expression, "|") {
		a = strings.TrimSpace(a)
		if strings.Count(a, "(") != strings.Count(a, ")") {
			return nil
		}
		if rest, ok := strings.CutPrefix(strings.TrimPrefix(a, "("), string(t)); ok && (rest == "" || rest[0] == '.') {
			out = append(out, a)
		}
	}
	return out
}

// nodes gives the alternatives of what an expression selects at each of nodes.
func nodes(at []string, expression string) []string {
	var out []string
	if strings.ContainsAny(expression, "(| ") {
		return nil
	}
	for _, n := range at {
		out = append(out, n+"."+expression)
	}
	return out
}
