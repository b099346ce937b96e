package search

import (
	"errors"
	"slices"
	"strings"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/search/literal"
)

// valueReader reads the values of one parameter.
type valueReader struct {
	p        *Parser
	param    *definition.SearchParam
	modifier Modifier
	refType  fhir.Type // of :[type]
}

// read reads one alternative, which an expansion makes several. Errors name
// the parameter.
func (v *valueReader) read(s string) ([]Value, error) {
	one, err := v.one(s)
	if err == nil && v.param.Type == definition.Token {
		switch v.modifier {
		case In, NotIn, Above, Below:
			return v.expand(one)
		}
	}
	if err != nil {
		return nil, v.fail(err)
	}
	return []Value{one}, nil
}

func (v *valueReader) fail(err error) error { return v.refuse(fhir.Invalid, err.Error()) }

func (v *valueReader) refuse(kind fhir.Kind, text string) error {
	name := v.param.Code
	if v.modifier != NoModifier {
		name += ":" + string(v.modifier)
	}
	return fhir.Errorf(kind, "parameter %s: %s", name, text)
}

func (v *valueReader) one(s string) (Value, error) {
	if s == "" {
		return Value{}, errors.New("the value is empty")
	}
	if v.modifier == Missing {
		if s != "true" && s != "false" {
			return Value{}, errors.New("the value is true or false")
		}
		return Value{Prefix: Eq, Missing: s == "true"}, nil
	}
	switch v.param.Type {
	case definition.Token:
		return v.token(s)
	case definition.String:
		return v.text(s)
	case definition.URI:
		url, version := literal.ParseCanonical(s)
		return Value{Prefix: Eq, Code: unescape(url), Version: unescape(version)}, nil
	case definition.Reference:
		return v.reference(s)
	case definition.Date:
		return v.date(s)
	case definition.Number:
		return v.number(s)
	case definition.Quantity:
		return v.quantity(s)
	}
	return v.composite(s)
}

func (v *valueReader) text(s string) (Value, error) {
	code := unescape(s)
	if Normalize(code) == "" {
		return Value{}, errors.New("the value holds nothing to compare")
	}
	return Value{Prefix: Eq, Code: code}, nil
}

func (v *valueReader) token(s string) (Value, error) {
	parts := splitUnescaped(s, '|')
	for i := range parts {
		parts[i] = unescape(parts[i])
	}
	switch v.modifier {
	case Text:
		return v.text(s)
	case In, NotIn:
		return Value{Prefix: Eq, Code: unescape(s)}, nil
	case OfType:
		if len(parts) != 3 || slices.Contains(parts, "") {
			return Value{}, errors.New("the value is written type-system|type-code|value")
		}
		return Value{Prefix: Eq, OfType: fhir.Coding{System: parts[0], Code: parts[1]}, Code: parts[2]}, nil
	}
	return systemAndCode(parts)
}

func systemAndCode(parts []string) (Value, error) {
	switch {
	case len(parts) == 1:
		return Value{Prefix: Eq, Code: parts[0]}, nil
	case len(parts) > 2 || parts[0] == "" && parts[1] == "":
		return Value{}, errors.New(`the value is written code, system|code, |code or system|; a | inside is written \|`)
	}
	return Value{Prefix: Eq, System: parts[0], HasSystem: true, Code: parts[1], AnyCode: parts[1] == ""}, nil
}

// expand replaces a value set or a concept by the codes that it stands for. An
// empty expansion gives a value that nothing matches.
func (v *valueReader) expand(one Value) ([]Value, error) {
	var codes []fhir.Coding
	var err error
	c := fhir.Coding{System: one.System, Code: one.Code}
	switch v.modifier {
	case Above:
		codes, err = v.p.o.Expander.Above(c)
	case Below:
		codes, err = v.p.o.Expander.Below(c)
	default:
		codes, err = v.p.o.Expander.Expand(one.Code)
	}
	switch kind := fhir.KindOf(err); {
	case err == nil:
	case kind == fhir.NotFound: // the fault is in the query, not in its address
		return nil, v.refuse(fhir.Invalid, "the value set or the code is not known here")
	case kind == fhir.NotSupported:
		return nil, v.refuse(kind, "the code system is not held here; the value is written system|code")
	default:
		return nil, err
	}
	values := []Value{}
	for _, c := range codes {
		values = append(values, Value{Prefix: Eq, System: c.System, HasSystem: true, Code: c.Code})
	}
	if len(values) == 0 {
		values = append(values, Value{Prefix: Eq, HasSystem: true})
	}
	return values, nil
}

// expanded is what the modifier has become once its values are expanded.
func (v *valueReader) expanded() Modifier {
	switch {
	case v.param.Type != definition.Token:
		return v.modifier
	case v.modifier == NotIn:
		return Not
	}
	return NoModifier
}

func (v *valueReader) reference(s string) (Value, error) {
	if v.modifier == IdentifierOf {
		parts := splitUnescaped(s, '|')
		for i := range parts {
			parts[i] = unescape(parts[i])
		}
		return systemAndCode(parts)
	}
	s = unescape(s)
	ref := literal.ParseReference(s, v.p.o.Base)
	switch {
	case !ref.Key.IsZero():
		return v.local(ref)
	case fhir.ValidID(s):
		return Value{Prefix: Eq, RefType: v.onlyTarget(), Code: s}, nil
	case strings.Contains(s, ":") || s[0] == '#':
		return v.foreign(ref)
	}
	return Value{}, errors.New("the value is an id, Type/id or an absolute URL")
}

// local reads Type/id.
func (v *valueReader) local(ref literal.Reference) (Value, error) {
	t := ref.Key.Type
	switch {
	case !v.p.defs.IsType(t):
		return Value{}, errors.New("the value is an id, Type/id or an absolute URL; the type is not one of R4")
	case v.refType != "" && v.refType != t:
		return Value{}, errors.New("the value and the modifier name different types")
	case !permits(v.param, t):
		return Value{}, errors.New("it does not point to " + string(t) + "; it points to " + names(v.param.Targets))
	}
	return Value{Prefix: Eq, RefType: t, Code: ref.Key.ID, Version: ref.Version}, nil
}

// foreign reads an absolute URL, with a version in either notation. A canonical
// may be that of a resource of this server.
func (v *valueReader) foreign(ref literal.Reference) (Value, error) {
	url, version := literal.ParseCanonical(ref.URL)
	if version == "" {
		return Value{Prefix: Eq, Code: url, Version: ref.Version}, nil
	}
	if ref = literal.ParseReference(url, v.p.o.Base); !ref.Key.IsZero() {
		ref.Version = version
		return v.local(ref)
	}
	return Value{Prefix: Eq, Code: url, Version: version}, nil
}

// onlyTarget is the type that an id without one means; "" if there are several.
func (v *valueReader) onlyTarget() fhir.Type {
	if v.refType == "" && len(v.param.Targets) == 1 {
		return v.param.Targets[0]
	}
	return v.refType
}

func (v *valueReader) date(s string) (Value, error) {
	prefix, s := cutPrefix(s)
	// An unescaped + of a zone has become a space in decoding.
	span, err := literal.ParseDate(strings.ReplaceAll(s, " ", "+"), v.p.o.location())
	if err != nil {
		return Value{}, err
	}
	if prefix == Ap {
		span = v.p.o.approximate(span)
	}
	return Value{Prefix: prefix, Lo: span.Lo, Hi: span.Hi}, nil
}

// approximate widens a date by a tenth of its distance from now.
func (o Options) approximate(s literal.Span) literal.Span {
	now := o.now().UnixMicro()
	gap := max(now-s.Hi, s.Lo-now, 0) / 10
	return literal.Span{Lo: s.Lo - gap, Hi: s.Hi + gap}
}

func (v *valueReader) number(s string) (Value, error) {
	prefix, s := cutPrefix(s)
	parse := literal.ParseDecimal
	if prefix == Ap {
		parse = literal.ParseApproximate
	}
	d, err := parse(s)
	return Value{Prefix: prefix, Num: d.Value, NumLo: d.Lo, NumHi: d.Hi}, err
}

func (v *valueReader) quantity(s string) (Value, error) {
	parts := splitUnescaped(s, '|')
	if len(parts) != 1 && len(parts) != 3 {
		return Value{}, errors.New("the value is written number, number|system|code or number||unit")
	}
	q, err := v.number(parts[0])
	if err != nil || len(parts) == 1 {
		return q, err
	}
	q.System, q.Code = unescape(parts[1]), unescape(parts[2])
	q.HasSystem = q.System != ""
	q.Canon = canonical(v.p.o.Units, q.System, q.Code, q.Num, q.NumLo, q.NumHi)
	return q, nil
}

func (v *valueReader) composite(s string) (Value, error) {
	parts := splitUnescaped(s, '$')
	if len(parts) != len(v.param.Components) {
		return Value{}, errors.New("the value is written as " + strings.Repeat("part$", len(v.param.Components)-1) + `part; a $ inside is written \$`)
	}
	whole := Value{Prefix: Eq}
	for i, c := range v.param.Components {
		part, err := (&valueReader{p: v.p, param: c.Param}).one(parts[i])
		if err != nil {
			return Value{}, errors.New("the part for " + c.Param.Code + ": " + err.Error())
		}
		whole.Parts = append(whole.Parts, part)
	}
	return whole, nil
}

// cutPrefix takes a comparison prefix off a value.
func cutPrefix(s string) (Prefix, string) {
	if len(s) > 2 {
		switch p := Prefix(s[:2]); p {
		case Eq, Ne, Gt, Lt, Ge, Le, Sa, Eb, Ap:
			return p, s[2:]
		}
	}
	return Eq, s
}

// splitUnescaped splits at sep where no backslash stands before it; the parts
// keep their escapes.
func splitUnescaped(s string, sep byte) []string {
	var parts []string
	start := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case sep:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

// unescape undoes \, \| \$ and \\; any other backslash stands for itself.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && strings.IndexByte(`,|$\`, s[i+1]) >= 0 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
