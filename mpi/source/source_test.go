package source_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/mpi/normal"
	"hutong/mpi/policy"
	"hutong/mpi/source"
)

var now = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

func version(t *testing.T, id, body string, trust int, day int) source.Version {
	t.Helper()
	p, err := source.Read([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return source.Version{Key: fhir.Key{Type: "Patient", ID: id}, Patient: p, Owner: "org-" + id, Trust: trust, Updated: now.AddDate(0, 0, -day)}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	p, err := source.Read([]byte(`{"id":"a","active":false,"gender":"female","birthDate":"1949-12-31","multipleBirthInteger":2,
		"identifier":[{"system":"urn:oid:2.16.156.10011.1.3","value":"11010519491231002X"},{"value":42},{"system":"urn:oid:2.16.156.10011.1.13","value":"77","assigner":{"reference":"Organization/org-x"}},{"system":"s","value":"A1","period":{"end":"2020-01-01"}}],
		"name":[{"family":"欧阳","given":["修"]},{"text":"Ouyang Xiu"}],"telecom":[{"system":"email","value":"a@b.example"},{"system":"phone","value":"+86 138 1234 5678"}],
		"address":[{"city":"重庆市","line":["中山路12号"]}],"link":[{"other":{"reference":"Patient/b"},"type":"replaced-by"},{"other":{"reference":"RelatedPerson/c"},"type":"seealso"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	r := p.Record("org-a", now)
	switch {
	case p.IsActive(), r.Sex != normal.Female, r.Order != 2, r.CitizenID() != "11010519491231002X":
		t.Errorf("%+v", r)
	case len(r.IDs) != 3 || r.IDs[1].System != "urn:oid:2.16.156.10011.1.13@org-x" || !r.IDs[2].Ended:
		t.Errorf("identifiers %+v", r.IDs)
	case len(r.Names) != 2 || r.Names[0].Text != "欧阳修" || len(r.Phones) != 1:
		t.Errorf("%+v", r)
	}
	if l := p.Links("org-a", now); len(l) != 1 || l[0] != (source.Link{Other: "b", Type: "replaced-by"}) {
		t.Errorf("links %+v", l)
	}
	if _, err := source.Read([]byte(`[]`)); fhir.KindOf(err) != fhir.Structure {
		t.Errorf("an array was read: %v", err)
	}
}

func TestCompose(t *testing.T) {
	t.Parallel()
	members := []source.Version{
		version(t, "inactive", `{"active":false,"name":[{"text":"旧名"}],"birthDate":"1900-01-01","maritalStatus":{"text":"x"}}`, 9, 0),
		version(t, "plain", `{"name":[{"text":"张伟"}],"birthDate":"1949-12-30","telecom":[{"value":"13812345678"}],"identifier":[{"system":"s","value":"a1"}]}`, 5, 1),
		version(t, "verified", `{"name":[{"text":"某某之女","use":"temp"},{"text":"张炜"}],"gender":"female","birthDate":"1949-12-31","identifier":[{"system":"urn:oid:2.16.156.10011.1.3","value":"11010519491231002X"},{"system":"s","value":"A1"}]}`, 0, 9),
	}
	rules, err := policy.Default()
	if err != nil {
		t.Fatal(err)
	}
	g, err := source.Compose(fhir.Key{Type: "Patient", ID: "person-1"}, members, rules, now)
	if err != nil {
		t.Fatal(err)
	}
	var out struct {
		ID, BirthDate, Gender string
		Name                  []struct{ Text string }
		Identifier            []json.RawMessage
		Link                  []json.RawMessage
	}
	if err := json.Unmarshal(g.JSON, &out); err != nil {
		t.Fatal(err)
	}
	if out.ID != "person-1" || out.BirthDate != "1949-12-31" || len(out.Name) != 1 || out.Name[0].Text != "张炜" || len(out.Identifier) != 2 || len(out.Link) != 3 {
		t.Errorf("%s", g.JSON)
	}
	for element, from := range map[string]string{"name": "Patient/verified", "telecom": "Patient/plain", "maritalStatus": "Patient/inactive",
		"identifier[0]": "Patient/verified", "identifier[1]": "Patient/verified"} {
		if g.Sources[element] != from {
			t.Errorf("%s from %s, want %s", element, g.Sources[element], from)
		}
	}
	// The order of the members does not matter.
	again, err := source.Compose(fhir.Key{Type: "Patient", ID: "person-1"}, []source.Version{members[2], members[0], members[1]}, rules, now)
	if err != nil || string(again.JSON) != string(g.JSON) {
		t.Errorf("%s\n%s", again.JSON, g.JSON)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"name":[{"text":"张伟"}],"identifier":[{"value":1}],"multipleBirthInteger":-3}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := source.Read(b); err == nil {
			r := p.Record("org", now)
			if _, _, err := normal.DecodeRecord(r.Append(nil)); err != nil {
				t.Errorf("a record does not survive storage: %v", err)
			}
		}
	})
}

// TestSurvivorship: each element follows its own criteria, and the outcome does
// not depend on the order of the members.
func TestSurvivorship(t *testing.T) {
	t.Parallel()
	members := []source.Version{
		version(t, "trusted", `{"gender":"male","telecom":[{"value":"1"}],"deceasedBoolean":true}`, 9, 30),
		version(t, "fresh", `{"gender":"female","telecom":[{"value":"2"}],"birthDate":"1980-05-01"}`, 1, 0),
		version(t, "precise", `{"gender":"other","deceasedDateTime":"2025-01-01","birthDate":"1980"}`, 0, 60),
	}
	for _, c := range []struct {
		rules string
		want  map[string]string
	}{
		{`{"default":["trust"],"telecom":["recency"]}`, map[string]string{"gender": "trusted", "telecom": "fresh", "birthDate": "fresh", "deceased": "precise"}},
		{`{"default":["recency"],"telecom":["trust"]}`, map[string]string{"gender": "fresh", "telecom": "trusted", "birthDate": "fresh", "deceased": "precise"}},
	} {
		rules, err := policy.Load([]byte(`{"version":"t","survivorship":` + c.rules + `}`))
		if err != nil {
			t.Fatal(err)
		}
		var first string
		for i := range members {
			turned := append(slices.Clone(members[i:]), members[:i]...)
			g, err := source.Compose(fhir.Key{Type: "Patient", ID: "person-1"}, turned, rules, now)
			if err != nil {
				t.Fatal(err)
			}
			for element, from := range c.want {
				if g.Sources[element] != "Patient/"+from {
					t.Errorf("%s: %s from %s, want %s", c.rules, element, g.Sources[element], from)
				}
			}
			if first == "" {
				first = string(g.JSON)
			}
			if string(g.JSON) != first || g.Policy != "t" {
				t.Errorf("the order of the members matters: %s, then %s", first, g.JSON)
			}
		}
	}
}
