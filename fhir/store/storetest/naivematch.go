package storetest

import (
	"encoding/json"
	"math/big"
	"strings"
	"time"

	"hutong/fhir/definition"
)

// leaf holds one parameter against one resource.
func (o *oracle) leaf(d *doc, c *clause) bool {
	switch c.code {
	case "_id":
		for _, v := range c.values {
			if v == d.ID {
				return true
			}
		}
		return false
	case "_lastUpdated":
		ms := d.LastUpdated.UnixMicro()
		return anyOf(c.values, func(v string) bool { return dateHolds(v, span{ms, ms + 1000}) })
	}
	p := o.defs.Param(d.Type, c.code)
	values := o.values(d, p)
	switch c.mod {
	case "missing":
		return (len(values) == 0) == (c.values[0] == "true")
	case "not":
		return !anyOf(values, func(v any) bool {
			return anyOf(c.values, func(want string) bool { return o.value(p, d, "", v, want) })
		})
	}
	return anyOf(values, func(v any) bool {
		return anyOf(c.values, func(want string) bool { return o.value(p, d, c.mod, v, want) })
	})
}

func anyOf[T any](list []T, f func(T) bool) bool {
	for _, v := range list {
		if f(v) {
			return true
		}
	}
	return false
}

// values gives the values of a parameter that can be searched for at all.
func (o *oracle) values(d *doc, p *definition.SearchParam) []any {
	var out []any
	for _, v := range o.eval(d, p.Code) {
		if p.Type == definition.Composite {
			if o.whole(p, v) {
				out = append(out, v)
			}
			continue
		}
		if present(p.Type, v) {
			out = append(out, v)
		}
	}
	return out
}

// present reports whether a value says anything under the type.
func present(t definition.ParamType, v any) bool {
	switch t {
	case definition.Date:
		return len(spans(v)) > 0
	case definition.Quantity, definition.Number:
		return len(amounts(v)) > 0
	case definition.String:
		return len(texts(v)) > 0
	}
	return true
}

// value holds one value against one alternative of the question.
func (o *oracle) value(p *definition.SearchParam, d *doc, mod string, v any, want string) bool {
	switch p.Type {
	case definition.Token:
		return anyOf(tokens(string(d.Type)+"."+p.Code, v), func(t tokenValue) bool { return tokenHolds(mod, t, want) })
	case definition.String:
		return anyOf(texts(v), func(s string) bool { return textHolds(mod, s, want) })
	case definition.Reference:
		return refHolds(p, mod, v, want)
	case definition.Date:
		return anyOf(spans(v), func(s span) bool { return dateHolds(want, s) })
	case definition.Number, definition.Quantity:
		return anyOf(amounts(v), func(a amount) bool { return amountHolds(want, a) })
	case definition.URI:
		return uriHolds(mod, v.(string), want)
	case definition.Composite:
		return o.compositeHolds(p, d, v, want)
	}
	return false
}

func tokenHolds(mod string, t tokenValue, want string) bool {
	if mod == "text" {
		return t.text != "" && strings.HasPrefix(fold(t.text), fold(want))
	}
	parts := strings.Split(want, "|")
	if mod == "of-type" {
		return t.typeSystem == parts[0] && t.typeCode == parts[1] && strings.EqualFold(t.code, parts[2])
	}
	code := parts[len(parts)-1]
	if len(parts) == 2 && parts[0] != t.system {
		return false
	}
	if code == "" {
		return true // system|
	}
	return t.code == code || t.system != ucumSystem && strings.EqualFold(t.code, code)
}

func textHolds(mod, s, want string) bool {
	switch mod {
	case "exact":
		return s == want
	case "contains":
		return strings.Contains(fold(s), fold(want))
	}
	return strings.HasPrefix(fold(s), fold(want))
}

func refHolds(p *definition.SearchParam, mod string, v any, want string) bool {
	if mod == "identifier" {
		m, _ := v.(map[string]any)
		return m["identifier"] != nil && tokenHolds("", tokenValue{system: str(m["identifier"], "system"), code: str(m["identifier"], "value")}, want)
	}
	typ, id, version, local := localRef(v)
	if local {
		rest, wantVersion, _ := strings.Cut(want, "/_history/")
		if wantVersion != "" && wantVersion != version {
			return false
		}
		if wantType, wantID, both := strings.Cut(rest, "/"); both {
			return wantType == typ && wantID == id
		}
		if mod == "" && len(p.Targets) == 1 && string(p.Targets[0]) != typ {
			return false
		}
		return rest == id && (mod == "" || mod == typ)
	}
	return str(v, "reference") != "" && str(v, "reference") == want
}

func uriHolds(mod, s, want string) bool {
	s, version, _ := strings.Cut(s, "|")
	switch mod {
	case "below":
		return strings.HasPrefix(s, want)
	case "above":
		return strings.HasPrefix(want, s)
	}
	want, wantVersion, _ := strings.Cut(want, "|")
	return s == want && (wantVersion == "" || wantVersion == version)
}

// prefixed splits ge2020 into ge and 2020.
func prefixed(s string) (string, string) {
	for _, p := range []string{"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"} {
		if strings.HasPrefix(s, p) {
			return p, s[2:]
		}
	}
	return "eq", s
}

func dateHolds(text string, s span) bool {
	prefix, text := prefixed(text)
	want, ok := spanOf(text)
	if !ok {
		panic("oracle: bad date " + text)
	}
	inside := want.lo <= s.lo && s.hi <= want.hi
	switch prefix {
	case "ne":
		return !inside
	case "gt":
		return s.hi > want.hi
	case "lt":
		return s.lo < want.lo
	case "ge":
		return inside || s.hi > want.hi
	case "le":
		return inside || s.lo < want.lo
	case "sa":
		return s.lo >= want.hi
	case "eb":
		return s.hi <= want.lo
	case "ap":
		now := Now.UnixMicro()
		slack := max(0, max(now-want.hi, want.lo-now)/10)
		return s.lo < want.hi+slack && s.hi > want.lo-slack
	}
	return inside
}

// implied is half a unit in the last written place of a number.
func implied(text string) *big.Rat {
	digits := 0
	if _, frac, ok := strings.Cut(text, "."); ok {
		digits = len(frac)
	}
	half := big.NewRat(1, 2)
	for range digits {
		half.Mul(half, big.NewRat(1, 10))
	}
	return half
}

// amountHolds holds a number or quantity against number, number|system|code or
// number||unit.
func amountHolds(text string, a amount) bool {
	prefix, text := prefixed(text)
	parts := strings.Split(text, "|")
	exact := rat(json.Number(parts[0]))
	half := implied(parts[0])
	if prefix == "ap" {
		if tenth := new(big.Rat).Abs(new(big.Rat).Mul(exact, big.NewRat(1, 10))); tenth.Cmp(half) > 0 {
			half = tenth
		}
	}
	lo, hi := new(big.Rat).Sub(exact, half), new(big.Rat).Add(exact, half)
	if len(parts) == 3 {
		from, to := toyUnits[a.code], toyUnits[parts[2]]
		switch {
		case parts[1] == ucumSystem && a.system == ucumSystem && from.factor > 0 && to.factor > 0:
			scale := func(r *big.Rat, f int64) *big.Rat {
				if r == nil {
					return nil
				}
				return new(big.Rat).Mul(r, big.NewRat(f, 1))
			}
			a.lo, a.hi = scale(a.lo, from.factor), scale(a.hi, from.factor)
			exact, lo, hi = scale(exact, to.factor), scale(lo, to.factor), scale(hi, to.factor)
		case parts[1] != "" && (a.system != parts[1] || a.code != parts[2]):
			return false
		case parts[1] == "" && a.code != parts[2] && a.unit != parts[2]:
			return false
		}
	}
	return numberHolds(prefix, exact, lo, hi, a)
}

func numberHolds(prefix string, exact, lo, hi *big.Rat, a amount) bool {
	above := func(r *big.Rat) bool { return a.hi == nil || a.hi.Cmp(r) > 0 } // some of it is above r
	below := func(r *big.Rat) bool { return a.lo == nil || a.lo.Cmp(r) < 0 }
	inside := a.lo != nil && a.hi != nil && a.lo.Cmp(lo) >= 0 && a.hi.Cmp(hi) < 0
	switch prefix {
	case "ne":
		return !inside
	case "gt":
		return above(exact)
	case "lt":
		return below(exact)
	case "ge":
		return above(exact) || a.hi.Cmp(exact) == 0
	case "le":
		return below(exact) || a.lo.Cmp(exact) == 0
	case "sa":
		return a.lo != nil && a.lo.Cmp(exact) > 0
	case "eb":
		return a.hi != nil && a.hi.Cmp(exact) < 0
	case "ap":
		return (a.lo == nil || a.lo.Cmp(hi) <= 0) && (a.hi == nil || a.hi.Cmp(lo) >= 0)
	}
	return inside
}

// component gives the values of one component at a node: "code" or
// "value.as(Type)", alternatives joined by |.
func component(expr string, node any) (out []any) {
	m, _ := node.(map[string]any)
	for alt := range strings.SplitSeq(expr, "|") {
		name, as, typed := strings.Cut(strings.TrimSpace(alt), ".as(")
		if typed {
			as = strings.TrimSuffix(as, ")")
			name += strings.ToUpper(as[:1]) + as[1:]
		}
		if v, ok := m[name]; ok {
			out = append(out, v)
		}
	}
	return out
}

// whole reports whether a node has a value for every component.
func (o *oracle) whole(p *definition.SearchParam, node any) bool {
	for _, c := range p.Components {
		if !anyOf(component(c.Expression, node), func(v any) bool { return present(c.Param.Type, v) }) {
			return false
		}
	}
	return true
}

func (o *oracle) compositeHolds(p *definition.SearchParam, d *doc, node any, want string) bool {
	parts := strings.Split(want, "$")
	for i, c := range p.Components {
		if !anyOf(component(c.Expression, node), func(v any) bool { return o.value(c.Param, d, "", v, parts[i]) }) {
			return false
		}
	}
	return true
}

// instant writes a moment as a query would.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
