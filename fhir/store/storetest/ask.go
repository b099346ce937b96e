package storetest

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/search"
)

// skipped parameters: what the oracle has no naive reading of.
var skipped = []string{"phonetic", "code-value-date", "value-date", "_lastUpdated", "_id"}

// ways over references between the types of the world.
var ways = map[string][]step{
	"Patient": {{param: "organization", typ: "Organization"}, {back: true, param: "patient", typ: "Observation"}, {back: true, param: "subject", typ: "Encounter"},
		{back: true, param: "patient", typ: "Condition"}},
	"Organization": {{param: "partof", typ: "Organization"}, {back: true, param: "organization", typ: "Patient"}, {back: true, param: "service-provider", typ: "Encounter"}},
	"Observation": {{param: "patient", typ: "Patient"}, {param: "subject", typ: "Patient"}, {param: "encounter", typ: "Encounter"}, {param: "performer", typ: "Organization"},
		{param: "has-member", typ: "Observation"}, {back: true, param: "result", typ: "DiagnosticReport"}, {back: true, param: "has-member", typ: "Observation"}},
	"Encounter":         {{param: "patient", typ: "Patient"}, {param: "service-provider", typ: "Organization"}, {back: true, param: "encounter", typ: "Observation"}},
	"Condition":         {{param: "subject", typ: "Patient"}, {param: "encounter", typ: "Encounter"}},
	"MedicationRequest": {{param: "patient", typ: "Patient"}},
	"DiagnosticReport":  {{param: "result", typ: "Observation"}, {param: "subject", typ: "Patient"}},
	"RiskAssessment":    {{param: "patient", typ: "Patient"}},
}

// restriction makes what a caller may see: often everything.
func (g *gen) restriction() search.Restriction {
	if g.chance(40) {
		return search.Unrestricted()
	}
	r := search.Restriction{Decided: true}
	for range 1 + g.IntN(3) {
		r.Permit = append(r.Permit, g.rule())
	}
	for range g.IntN(3) {
		r.Deny = append(r.Deny, g.rule())
	}
	return r
}

func (g *gen) rule() search.Rule {
	var r search.Rule
	p := func() fhir.Key { return fhir.Key{Type: "Patient", ID: fmt.Sprintf("p%d", g.IntN(8))} }
	for range 1 + g.IntN(2) {
		switch g.IntN(12) {
		case 0, 1, 2:
			r.Patients = append(r.Patients, p(), p(), p())
		case 3:
			r.Custodians = append(r.Custodians, pick(g, "org1", "org2"))
		case 4:
			r.NotCustody = append(r.NotCustody, "org1")
		case 5:
			r.Types = append(r.Types, "Patient", "Observation", "Encounter", "Condition")
		case 6:
			r.NotTypes = append(r.NotTypes, fhir.Type(pick(g, worldTypes...)))
		case 7:
			r.Labels = append(r.Labels, fhir.Coding{System: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", Code: pick(g, "R", "V")})
		case 8:
			r.Codes = append(r.Codes, fhir.Coding{System: g.system(), Code: g.code()}, fhir.Coding{System: g.system(), Code: g.code()})
		case 9:
			r.From = time.Date(2018+g.IntN(6), 3, 1, 0, 0, 0, 0, time.UTC)
		case 10:
			r.NoPatient = true
		case 11:
			r.Keys = append(r.Keys, p())
		}
	}
	return r
}

// question makes a random search out of what stands in the state, so that most
// find something.
func (g *gen) question(o *oracle, s *state) *question {
	q := &question{typ: pick(g, worldTypes...), see: g.restriction()}
	for range g.IntN(4) {
		if c, ok := g.clause(o, s, q.typ, 0); ok {
			q.clauses = append(q.clauses, c)
		}
	}
	if g.chance(35) {
		for range 1 + g.IntN(2) {
			q.sort = append(q.sort, pick(g, "", "-")+pick(g, sortedBy[q.typ]...))
		}
		slices.Sort(q.sort)
		q.sort = slices.CompactFunc(q.sort, func(a, b string) bool { return a == b })
	}
	return q
}

// sortedBy lists what each type is sorted by.
var sortedBy = map[string][]string{
	"Patient": {"family", "given", "birthdate", "gender", "_id", "_lastUpdated", "death-date"}, "Organization": {"name", "_id", "active"},
	"Observation": {"date", "status", "value-quantity", "value-string", "_id"}, "Encounter": {"date", "length", "status", "_lastUpdated"},
	"Condition": {"onset-date", "recorded-date", "onset-info", "_id"}, "MedicationRequest": {"authoredon", "date", "intent"},
	"DiagnosticReport": {"date", "issued", "status"}, "RiskAssessment": {"date", "probability", "_id"},
}

// clause makes one parameter for a type; some go over references.
func (g *gen) clause(o *oracle, s *state, typ string, depth int) (clause, bool) {
	if depth < 3 && g.chance(25) {
		st := pick(g, ways[typ]...)
		c, ok := g.clause(o, s, st.typ, depth+1)
		// R4 knows no _has behind a chain's dot.
		if ok && !st.back && len(c.way) > 0 && c.way[0].back {
			return c, false
		}
		c.way = append([]step{st}, c.way...)
		return c, ok
	}
	switch g.IntN(20) {
	case 0:
		return clause{code: "_id", values: []string{g.anyID(typ), g.anyID(typ)}}, true
	case 1:
		return clause{code: "_lastUpdated", values: []string{g.prefix() + g.stamp()}}, true
	}
	params := o.defs.Params(fhirType(typ))
	p := pick(g, params...)
	for n := 0; n < 40 && g.chance(60) && p.Type != definition.Date && p.Type != definition.Quantity; n++ {
		p = pick(g, params...) // ranges have the most edges: ask for them more often
	}
	if slices.Contains(skipped, p.Code) || p.Type == definition.Special {
		return clause{}, false
	}
	c := clause{code: p.Code}
	if g.chance(6) {
		c.mod, c.values = "missing", []string{pick(g, "true", "false")}
		return c, true
	}
	var docs []*doc
	for _, k := range sortedKeys(s.docs) {
		if string(k.Type) == typ {
			docs = append(docs, s.docs[k])
		}
	}
	if len(docs) == 0 {
		return c, false
	}
	c.mod = g.modifier(p.Type)
	for range 1 + g.IntN(2) {
		d := pick(g, docs...)
		vs := o.values(d, p)
		if len(vs) == 0 {
			continue
		}
		if text := g.text(p, d, &c, pick(g, vs...)); usable(text) {
			c.values = append(c.values, text)
		}
	}
	return c, len(c.values) > 0
}

func usable(s string) bool { return s != "" && s != "|" && !strings.ContainsAny(s, ",\\") }

func (g *gen) anyID(typ string) string {
	return fmt.Sprintf("%s%d", string(typ[0]+32), g.IntN(population[typ]+1))
}

func (g *gen) prefix() string {
	return pick(g, "", "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
}

// stamp is a moment among those at which the world is written.
func (g *gen) stamp() string { return instant(Now.Add(stampStep * timeUnit(g.IntN(40)))) }

func (g *gen) modifier(t definition.ParamType) string {
	switch t {
	case definition.Token:
		return pick(g, "", "", "", "", "not", "text", "of-type")
	case definition.String:
		return pick(g, "", "", "exact", "contains")
	case definition.URI:
		return pick(g, "", "", "above", "below")
	case definition.Reference:
		return pick(g, "", "", "", "identifier")
	}
	return ""
}

// text writes a value of the resource as a question would.
func (g *gen) text(p *definition.SearchParam, d *doc, c *clause, v any) string {
	switch p.Type {
	case definition.Token:
		return g.tokenText(c.mod, pick(g, tokens(string(d.Type)+"."+p.Code, v)...))
	case definition.String:
		return g.stringText(c.mod, pick(g, texts(v)...))
	case definition.Reference:
		return g.refText(p, c, v)
	case definition.Date:
		return g.dateText(v)
	case definition.Number, definition.Quantity:
		return g.amountText(p.Type, pick(g, amounts(v)...))
	case definition.URI:
		s := v.(string)
		switch c.mod {
		case "below":
			s, _, _ = strings.Cut(s, "|")
			return s[:1+g.IntN(len(s))]
		case "above":
			s, _, _ = strings.Cut(s, "|")
			return s + pick(g, "", "/more")
		}
		return s
	}
	return g.compositeText(p, d, v)
}

func (g *gen) tokenText(mod string, t tokenValue) string {
	switch mod {
	case "text":
		return g.stringText("", t.text)
	case "of-type":
		if t.typeCode == "" || t.code == "" {
			return ""
		}
		return t.typeSystem + "|" + t.typeCode + "|" + t.code
	}
	if t.code == "" {
		return ""
	}
	if t.bare {
		return t.code
	}
	switch g.IntN(8) {
	case 0:
		return t.system + "|"
	case 1, 2, 3:
		return t.system + "|" + t.code
	case 4:
		return "|" + t.code
	case 5:
		return strings.ToUpper(t.code)
	}
	return t.code
}

func (g *gen) stringText(mod, s string) string {
	r := []rune(s)
	if len(r) == 0 {
		return ""
	}
	switch mod {
	case "exact":
		return pick(g, s, s, strings.ToUpper(s))
	case "contains":
		i := g.IntN(len(r))
		r = r[i : i+1+g.IntN(len(r)-i)]
	default:
		r = r[:1+g.IntN(len(r))]
	}
	return strings.TrimSpace(pick(g, string(r), strings.ToUpper(string(r)), fold(string(r))))
}

func (g *gen) refText(p *definition.SearchParam, c *clause, v any) string {
	if c.mod == "identifier" {
		m, _ := v.(map[string]any)
		if m["identifier"] == nil {
			return ""
		}
		return g.tokenText("", tokenValue{system: str(m["identifier"], "system"), code: str(m["identifier"], "value")})
	}
	typ, id, version, ok := localRef(v)
	if !ok {
		return str(v, "reference")
	}
	switch {
	case len(p.Targets) > 0 && !slices.Contains(p.Targets, fhirType(typ)):
		return "" // refused as a mistake
	case c.mod == typ || g.chance(30):
		return id
	case version != "" && g.chance(50):
		return typ + "/" + id + "/_history/" + version
	}
	return typ + "/" + id
}

func (g *gen) dateText(v any) string {
	s, ok := v.(string)
	if !ok {
		s = str(v, pick(g, "start", "end"))
	}
	if g.chance(20) {
		s = g.date()
	}
	switch cut := pick(g, 0, 0, 4, 7, 10); {
	case cut > 0 && len(s) >= cut:
		s = s[:cut]
	}
	if s == "" {
		return ""
	}
	return g.prefix() + s
}

func (g *gen) amountText(t definition.ParamType, a amount) string {
	n := g.number().String()
	if a.lo != nil && g.chance(60) {
		n = a.lo.FloatString(pick(g, 0, 1, 2))
	}
	if strings.Contains(n, "e") {
		n = "100"
	}
	n = g.prefix() + n
	if t == definition.Number {
		return n
	}
	switch g.IntN(3) {
	case 0:
		if a.system != "" {
			return n + "|" + a.system + "|" + pick(g, a.code, a.code, "g")
		}
	case 1:
		if u := pick(g, a.code, a.unit); u != "" {
			return n + "||" + u
		}
	}
	return n
}

func (g *gen) compositeText(p *definition.SearchParam, d *doc, node any) string {
	var parts []string
	for _, cp := range p.Components {
		v := pick(g, component(cp.Expression, node)...)
		part := ""
		if present(cp.Param.Type, v) {
			part = g.text(cp.Param, d, &clause{}, v)
		}
		if !usable(part) {
			return ""
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "$")
}

// String writes the question as a client would.
func (q *question) String() string {
	var out []string
	for i := range q.clauses {
		out = append(out, q.clauses[i].name()+"="+url.QueryEscape(strings.Join(q.clauses[i].values, ",")))
	}
	if len(q.sort) > 0 {
		out = append(out, "_sort="+strings.Join(q.sort, ","))
	}
	return q.typ + "?" + strings.Join(out, "&")
}

func (c *clause) name() string {
	var b strings.Builder
	for _, s := range c.way {
		if s.back {
			b.WriteString("_has:" + s.typ + ":" + s.param + ":")
		} else {
			b.WriteString(s.param + ":" + s.typ + ".")
		}
	}
	b.WriteString(c.code)
	if c.mod != "" {
		b.WriteString(":" + c.mod)
	}
	return b.String()
}
