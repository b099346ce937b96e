package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"hutong/cmd/hutong/exchange"
	"hutong/fhir/store/mongo/mongotest"
	"hutong/gateway/auth"
	"hutong/gateway/principal"
	"hutong/profiles"
)

const consentCard = "110105198003071234"

// TestConsentOnEveryNode: two nodes with authentication on one database. What
// the resident decides at one of them holds for the next query at the other,
// its total included, and so does taking it back.
func TestConsentOnEveryNode(t *testing.T) {
	db, err := mongotest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Stop)
	nats, database := startNATS(t), db.Database()
	node := func(name string) *stage {
		s := &stage{t: t, dir: t.TempDir(), store: database, tokens: map[string]string{}}
		s.demo = demoCmd{Dir: s.dir, Listen: freeAddress(t)}
		s.tune = func(c *exchange.Settings) {
			c.Node, c.NATS, c.PublicURL = name, nats.ClientURL(), "http://exchange.example"
		}
		s.start()
		t.Cleanup(func() { s.stop() })
		return s
	}
	one, two := node("n1"), node("n2")
	one.seats(two)

	patient := `{"resourceType":"Patient","id":"%s","identifier":[{"system":"` + profiles.CitizenID + `","value":"` + consentCard + `"}],"name":[{"text":"李小明"}],"gender":"male","birthDate":"1980-03-07"}`
	one.do("his-a", "PUT", "/fhir/Patient/a", fmt.Appendf(nil, patient, "a")).is(201)
	one.do("his-a", "PUT", "/fhir/Observation/o", []byte(`{"resourceType":"Observation","id":"o","status":"final","subject":{"reference":"Patient/a"},"code":{"text":"glucose"},"effectiveDateTime":"2026-03-07"}`)).is(201)
	two.do("his-b", "PUT", "/fhir/Patient/b", fmt.Appendf(nil, patient, "b")).is(201)
	two.do("his-b", "PUT", "/fhir/Encounter/e", []byte(`{"resourceType":"Encounter","id":"e","status":"in-progress","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"},"subject":{"reference":"Patient/b"}}`)).is(201)

	seen := func(s *stage) int {
		t.Helper()
		found, total := s.all("dr", "/fhir/Observation?patient=Patient/b")
		if len(found) != total {
			t.Fatalf("%d matches, total %d", len(found), total)
		}
		return total
	}
	eventually(t, "the records are not linked", func() bool { return seen(one) == 1 && seen(two) == 1 })

	consent := `{"resourceType":"Consent","id":"c","status":"%s","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},
		"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentcategorycodes","code":"INFA"}]}],"patient":{"reference":"Patient/a"},"dateTime":"%s",
		"policyRule":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"OPTOUT"}]},
		"provision":{"type":"deny","actor":[{"role":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ParticipationType","code":"CST"}]},"reference":{"reference":"Organization/a"}}]}}`
	for round := range 3 {
		from, to := one, two
		if round%2 == 1 {
			from, to = two, one
		}
		now := time.Now().UTC().Format(time.RFC3339)
		if a := from.do("resident", "PUT", "/fhir/Consent/c", fmt.Appendf(nil, consent, "active", now)); a.status/100 != 2 {
			t.Fatalf("%s", a.body)
		}
		if n := seen(to); n != 0 {
			t.Errorf("round %d: the other node still shows %d results", round, n)
		}
		if a := to.do("dr", "GET", "/fhir/Observation/o", nil); a.status == 200 || strings.Contains(string(a.body), "glucose") {
			t.Errorf("round %d: the other node reads it: %d", round, a.status)
		}
		from.do("resident", "PUT", "/fhir/Consent/c", fmt.Appendf(nil, consent, "inactive", now)).is(200)
		if n := seen(to); n != 1 {
			t.Errorf("round %d: taken back, and the other node shows %d results", round, n)
		}
	}
}

// seats makes the accounts of a small region on s and gives s and the others
// their tokens: nodes share accounts and keys.
func (s *stage) seats(others ...*stage) {
	s.t.Helper()
	ctx := s.t.Context()
	for _, org := range []string{"a", "b"} {
		_, public, err := auth.GenerateClientKey()
		if err != nil {
			s.t.Fatal(err)
		}
		if err := s.e.Auth.AddClient(ctx, auth.Client{ID: "his-" + org, Name: org, Organization: org, Keys: []json.RawMessage{public}, Scopes: systemScopes}); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, u := range []auth.User{
		{Login: "dr", Roles: []principal.Role{principal.Clinician}, Organization: "b", Practitioner: "p"},
		{Login: "resident", Roles: []principal.Role{principal.Resident}, IdentifierSystem: profiles.CitizenID, IdentifierValue: consentCard},
	} {
		if err := s.e.Auth.AddUser(ctx, u, ""); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, who := range []string{"his-a", "his-b", "dr", "resident"} {
		token, err := s.e.Auth.IssueToken(ctx, who, 0)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, at := range append(others, s) {
			at.tokens[who] = token
		}
	}
}
