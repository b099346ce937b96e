package consent

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"hutong/fhir"
)

// consentJSON writes a privacy Consent around a provision.
func consentJSON(provision string) string {
	return fmt.Sprintf(`{"resourceType":"Consent","id":"c","status":"active","scope":{"coding":[{"system":%q,"code":"patient-privacy"}]},
 "patient":{"reference":"Patient/1"},"provision":%s}`, ScopeSystem, provision)
}

func actorJSON(role, ref string) string {
	return fmt.Sprintf(`"actor":[{"role":{"coding":[{"system":%q,"code":%q}]},"reference":{"reference":%q}}]`, ParticipationSystem, role, ref)
}

const dataJSON = `"data":[{"meaning":"instance","reference":{"reference":"Observation/1"}}]`

func TestJudge(t *testing.T) {
	t.Parallel()
	const base = "https://exchange.example/fhir"
	a := &asker{organization: "a", self: []fhir.Key{key("Practitioner/me"), key("PractitionerRole/me")}, purpose: "TREAT", emergency: true, exchange: "x", base: base}
	c := clock{noon, time.UTC}
	until := `"period":{"start":"2026-03-01T10:00:00Z","end":"2026-03-01T14:00:00Z"}`
	granted := Person{Grants: []Grant{{[]fhir.Key{key("Observation/1")}, time.Date(2026, 3, 1, 14, 0, 1, 0, time.UTC)}}}
	permit := func(actor, more string) string {
		return consentJSON(`{"type":"permit",` + until + `,` + actor + `,` + dataJSON + more + `}`)
	}
	glass := strings.Replace(consentJSON(`{"type":"permit",`+until+`,`+actorJSON("IRCP", "Practitioner/me")+`}`), `"patient":`,
		fmt.Sprintf(`"category":[{"coding":[{"system":%q,"code":%q}]}],"patient":`, GlassSystem, GlassCode), 1)
	for name, x := range map[string]struct {
		doc       string
		custodian string
		want      Person
	}{
		"deny a source":                   {consentJSON(`{"type":"deny",` + actorJSON("CST", "Organization/b") + `}`), "x", Person{Withheld: []string{"b"}}},
		"deny us":                         {consentJSON(`{"type":"deny",` + actorJSON("IRCP", "Organization/a") + `}`), "x", Person{Barred: true}},
		"deny me":                         {consentJSON(`{"type":"deny",` + actorJSON("IRCP", "Practitioner/me") + `}`), "x", Person{Barred: true}},
		"deny my role":                    {consentJSON(`{"type":"deny",` + actorJSON("IRCP", "PractitionerRole/me") + `}`), "x", Person{Barred: true}},
		"deny me by full address":         {consentJSON(`{"type":"deny",` + actorJSON("IRCP", base+"/Practitioner/me/_history/2") + `}`), "x", Person{Barred: true}},
		"deny others":                     {consentJSON(`{"type":"deny",` + actorJSON("IRCP", "Organization/b") + `}`), "x", Person{}},
		"deny a relative":                 {consentJSON(`{"type":"deny",` + actorJSON("IRCP", "RelatedPerson/1") + `}`), "x", Person{}},
		"deny a group is deny all":        {consentJSON(`{"type":"deny",` + actorJSON("IRCP", "Group/1") + `}`), "x", Person{Barred: true}},
		"deny an unknown address":         {consentJSON(`{"type":"deny",` + actorJSON("IRCP", "https://elsewhere.example/fhir/Organization/q") + `}`), "x", Person{Barred: true}},
		"withhold an unknown address":     {consentJSON(`{"type":"deny",` + actorJSON("CST", "https://elsewhere.example/fhir/Organization/q") + `}`), "x", Person{WithholdAll: true}},
		"deny nobody in particular":       {consentJSON(`{"type":"deny"}`), "x", Person{WithholdAll: true}},
		"deny in an unknown role":         {consentJSON(`{"type":"deny",` + actorJSON("XX", "Organization/a") + `}`), "x", Person{Withheld: []string{"a"}, Barred: true}},
		"deny nested in a permission":     {consentJSON(`{"type":"permit","provision":[{"type":"deny",` + actorJSON("CST", "Organization/b") + `}]}`), "x", Person{Withheld: []string{"b"}}},
		"an exception to a denial":        {consentJSON(`{"type":"deny","provision":[{"type":"permit",` + actorJSON("IRCP", "Organization/a") + `}]}`), "x", Person{WithholdAll: true}},
		"deny with a condition":           {consentJSON(`{"type":"deny","class":[{"code":"Observation"}],` + actorJSON("CST", "Organization/b") + `}`), "x", Person{Withheld: []string{"b"}}},
		"a denial that is over":           {consentJSON(`{"type":"deny","period":{"end":"2026-02-28"},` + actorJSON("CST", "Organization/b") + `}`), "x", Person{}},
		"a denial that ends today":        {consentJSON(`{"type":"deny","period":{"end":"2026-03-01"},` + actorJSON("CST", "Organization/b") + `}`), "x", Person{Withheld: []string{"b"}}},
		"a denial to come":                {consentJSON(`{"type":"deny","period":{"start":"2026-03-02"},` + actorJSON("CST", "Organization/b") + `}`), "x", Person{}},
		"a denial with a bad date":        {consentJSON(`{"type":"deny","period":{"end":"soon"},` + actorJSON("CST", "Organization/b") + `}`), "x", Person{Withheld: []string{"b"}}},
		"withdrawn":                       {strings.Replace(consentJSON(`{"type":"deny"}`), `"active"`, `"inactive"`, 1), "x", Person{}},
		"of research":                     {strings.Replace(consentJSON(`{"type":"deny"}`), "patient-privacy", "research", 1), "x", Person{}},
		"opt-out without a provision":     {strings.Replace(consentJSON("null"), `"provision":null`, fmt.Sprintf(`"policyRule":{"coding":[{"system":%q,"code":"OPTOUT"}]}`, ActCodeSystem), 1), "x", Person{WithholdAll: true}},
		"permit me":                       {permit(actorJSON("IRCP", "Practitioner/me"), ""), "b", granted},
		"permit our organisation":         {permit(actorJSON("IRCP", "Organization/a"), ""), "b", granted},
		"permit for treatment":            {permit(actorJSON("IRCP", "Practitioner/me"), fmt.Sprintf(`,"purpose":[{"system":%q,"code":"TREAT"}]`, ReasonSystem)), "b", granted},
		"permit for research":             {permit(actorJSON("IRCP", "Practitioner/me"), fmt.Sprintf(`,"purpose":[{"system":%q,"code":"HRESCH"}]`, ReasonSystem)), "b", Person{}},
		"our own permission to ourselves": {permit(actorJSON("IRCP", "Practitioner/me"), ""), "a", Person{}},
		"permit somebody else":            {permit(actorJSON("IRCP", "Practitioner/you"), ""), "b", Person{}},
		"permit a group":                  {permit(actorJSON("IRCP", "Group/1"), ""), "b", Person{}},
		"permit with a condition":         {permit(actorJSON("IRCP", "Practitioner/me"), `,"class":[{"code":"Observation"}]`), "b", Person{}},
		"permit with an exception":        {permit(actorJSON("IRCP", "Practitioner/me"), `,"provision":[{"type":"deny"}]`), "b", Person{WithholdAll: true}},
		"permit without an end":           {consentJSON(`{"type":"permit",` + actorJSON("IRCP", "Practitioner/me") + `,` + dataJSON + `}`), "b", Person{}},
		"permit everything":               {consentJSON(`{"type":"permit",` + until + `,` + actorJSON("IRCP", "Practitioner/me") + `}`), "b", Person{}},
		"permit what is related":          {strings.Replace(permit(actorJSON("IRCP", "Practitioner/me"), ""), "instance", "related", 1), "b", Person{}},
		"permit with a bad date":          {strings.Replace(permit(actorJSON("IRCP", "Practitioner/me"), ""), "2026-03-01T14:00:00Z", "later", 1), "b", Person{}},
		"permit that is over":             {strings.Replace(permit(actorJSON("IRCP", "Practitioner/me"), ""), "2026-03-01T14", "2026-03-01T11", 1), "b", Person{}},
		"a broken glass":                  {glass, "x", Person{Glass: time.Date(2026, 3, 1, 14, 0, 1, 0, time.UTC)}},
		"a glass that a hospital posted":  {glass, "a", Person{}},
		"somebody else's glass":           {strings.Replace(glass, "Practitioner/me", "Practitioner/you", 1), "x", Person{}},
		"a glass that is closed":          {strings.Replace(glass, "2026-03-01T14", "2026-03-01T11", 1), "x", Person{}},
		"a glass without an end":          {strings.Replace(glass, `,"end":"2026-03-01T14:00:00Z"`, "", 1), "x", Person{}},
	} {
		d, err := parseDocument([]byte(x.doc))
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, x.doc)
		}
		var got Person
		got.judge(d, x.custodian, a, c)
		if !reflect.DeepEqual(got, x.want) {
			t.Errorf("%s: %+v, want %+v", name, got, x.want)
		}
	}
	a.emergency = false
	d, err := parseDocument([]byte(glass))
	if err != nil {
		t.Fatal(err)
	}
	var p Person
	if p.judge(d, "x", a, c); !p.Glass.IsZero() {
		t.Error("a glass opened for somebody who is not in the emergency role")
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("CST", 8*3600)
	for text, want := range map[string][2]string{
		"2026":                      {"2025-12-31T16:00:00Z", "2026-12-31T16:00:00Z"},
		"2026-02":                   {"2026-01-31T16:00:00Z", "2026-02-28T16:00:00Z"},
		"2026-02-28":                {"2026-02-27T16:00:00Z", "2026-02-28T16:00:00Z"},
		"2026-02-28T10:00:00+08:00": {"2026-02-28T02:00:00Z", "2026-02-28T02:00:01Z"},
		"2026-02-28T10:00:00.5Z":    {"2026-02-28T10:00:00.5Z", "2026-02-28T10:00:00.501Z"},
	} {
		from, to, err := bounds(text, zone)
		if got := [2]string{from.UTC().Format(time.RFC3339Nano), to.UTC().Format(time.RFC3339Nano)}; err != nil || got != want {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
	for _, bad := range []string{"x", "2026-13", "2026-02-30", "2026-02-28T10:00", "20260228"} {
		if _, _, err := bounds(bad, zone); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

func TestResidentShape(t *testing.T) {
	t.Parallel()
	deny := consentJSON(`{"type":"deny",` + actorJSON("CST", "Organization/b") + `}`)
	permit := consentJSON(`{"type":"permit","period":{"end":"2026-04-01"},` + actorJSON("IRCP", "Practitioner/p") + `,` + dataJSON + `}`)
	for name, x := range map[string]struct{ doc, at string }{
		"deny a source":           {deny, ""},
		"deny a recipient":        {strings.Replace(deny, "CST", "IRCP", 1), ""},
		"withdraw":                {strings.Replace(deny, `"active"`, `"inactive"`, 1), ""},
		"permit":                  {permit, ""},
		"a draft":                 {strings.Replace(deny, `"active"`, `"draft"`, 1), "Consent.status"},
		"research":                {strings.Replace(deny, "patient-privacy", "research", 1), "Consent.scope"},
		"no provision":            {consentJSON("null"), "Consent.provision"},
		"nested":                  {strings.Replace(deny, `"deny",`, `"deny","provision":[{"type":"permit"}],`, 1), "Consent.provision"},
		"conditions":              {strings.Replace(deny, `"deny",`, `"deny","class":[{"code":"x"}],`, 1), "Consent.provision"},
		"a data period":           {strings.Replace(deny, `"deny",`, `"deny","dataPeriod":{"start":"2020"},`, 1), "Consent.provision"},
		"a modifier":              {strings.Replace(deny, `"status"`, `"modifierExtension":[{"url":"x"}],"status"`, 1), "Consent.modifierExtension"},
		"nobody":                  {consentJSON(`{"type":"deny"}`), "Consent.provision.actor"},
		"a practitioner's source": {strings.Replace(deny, "Organization/b", "Practitioner/b", 1), "Consent.provision.actor"},
		"a relative":              {consentJSON(`{"type":"deny",` + actorJSON("IRCP", "RelatedPerson/b") + `}`), "Consent.provision.actor"},
		"permit a source":         {strings.Replace(permit, `"IRCP"`, `"CST"`, 1), "Consent.provision.actor"},
		"permit without end":      {strings.Replace(permit, `"period":{"end":"2026-04-01"},`, "", 1), "Consent.provision.period.end"},
		"permit everything":       {strings.Replace(permit, ","+dataJSON, "", 1), "Consent.provision.data"},
		"permit what is related":  {strings.Replace(permit, "instance", "related", 1), "Consent.provision.data"},
		"deny some data":          {strings.Replace(deny, `"deny",`, `"deny",`+dataJSON+`,`, 1), "Consent.provision"},
		"a bad date":              {strings.Replace(permit, "2026-04-01", "soon", 1), "Consent.provision.period"},
		"no type":                 {strings.Replace(strings.Replace(deny, "CST", "IRCP", 1), `"type":"deny",`, "", 1), "Consent.provision.type"},
	} {
		d, err := parseDocument([]byte(x.doc))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		err = d.residentShape("", clock{noon, time.UTC})
		at := ""
		if err != nil {
			at = err.(*fhir.Error).Issues[0].Expression
		}
		if at != x.at {
			t.Errorf("%s: %v, want %q", name, err, x.at)
		}
	}
}

// FuzzJudge holds evaluation to its promise on any JSON: no panic, and no
// permission without an end.
func FuzzJudge(f *testing.F) {
	f.Add(consentJSON(`{"type":"deny",` + actorJSON("CST", "Organization/b") + `}`))
	f.Add(consentJSON(`{"type":"permit","period":{"end":"2026-04-01"},` + actorJSON("IRCP", "Practitioner/me") + `,` + dataJSON + `}`))
	f.Fuzz(func(t *testing.T, doc string) {
		if !json.Valid([]byte(doc)) {
			return
		}
		d, err := parseDocument([]byte(doc))
		if err != nil {
			return
		}
		var p Person
		p.judge(d, "x", &asker{organization: "a", self: []fhir.Key{{Type: "Practitioner", ID: "me"}}, exchange: "x", emergency: true}, clock{noon, time.UTC})
		for _, g := range p.Grants {
			if !g.Until.After(noon) || len(g.Keys) == 0 {
				t.Errorf("a grant %+v of %s", g, doc)
			}
		}
	})
}
