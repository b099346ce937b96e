package interact_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/fhir/search"
)

func obs(id, patient string) string {
	return `{"resourceType":"Observation","id":"` + id + `","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/` + patient + `"}}`
}

func pat(id, identifier string) string {
	return `{"resourceType":"Patient","id":"` + id + `","identifier":[{"system":"urn:id","value":"` + identifier + `"}]}`
}

func TestNoDecisionIsARefusal(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	h.put("org-a", pat("p", "1"))
	undecided := &person{restriction: search.Restriction{Permit: []search.Rule{{}}}}
	ctx := context.Background()
	for name, run := range map[string]func() error{
		"read":  func() error { _, err := h.Read(ctx, undecided, patientKey("p")); return err },
		"vread": func() error { _, err := h.VRead(ctx, undecided, patientKey("p"), 1); return err },
		"history": func() error {
			_, err := h.History(ctx, undecided, interact.HistoryRequest{Key: patientKey("p")})
			return err
		},
		"search": func() error {
			_, err := h.Search(ctx, undecided, interact.SearchRequest{Type: "Patient"})
			return err
		},
		"conditional create": func() error {
			_, err := h.Create(ctx, undecided, "Patient", []byte(`{"resourceType":"Patient"}`), interact.WriteOptions{IfNoneExist: "identifier=urn:id|1"})
			return err
		},
	} {
		if err := run(); fhir.KindOf(err) != fhir.Internal || err == nil {
			t.Errorf("%s without a decision: %v", name, err)
		}
	}
}

func TestReadsObeyTheRestriction(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	h.put("org-a", pat("pa", "1"), obs("oa", "pa"))
	h.put("org-b", pat("pb", "2"), obs("ob", "pb"))
	ctx := context.Background()
	a := hospital("org-a")
	if _, err := h.Read(ctx, a, fhir.Key{Type: "Observation", ID: "oa"}); err != nil {
		t.Errorf("own: %v", err)
	}
	if got := a.asked(); !slices.Equal(got, []fhir.Key{patientKey("pa")}) {
		t.Errorf("a read was about %v", got)
	}
	hidden := fhir.Key{Type: "Observation", ID: "ob"}
	_, denied := h.Read(ctx, a, hidden)
	_, absent := h.Read(ctx, a, fhir.Key{Type: "Observation", ID: "none"})
	if !errors.Is(denied, fhir.E(fhir.NotFound)) || denied.Error() != absent.Error() {
		t.Errorf("not yours: %v, not there: %v", denied, absent)
	}
	if _, err := h.VRead(ctx, a, hidden, 1); !errors.Is(err, fhir.E(fhir.NotFound)) {
		t.Errorf("vread: %v", err)
	}
	if _, err := h.History(ctx, a, interact.HistoryRequest{Key: hidden}); !errors.Is(err, fhir.E(fhir.NotFound)) {
		t.Errorf("history: %v", err)
	}
	b, err := h.History(ctx, a, interact.HistoryRequest{})
	if err != nil || b.Total != 2 || len(b.Entries) != 2 {
		t.Errorf("the system's history shows %d of %d: %v", len(b.Entries), b.Total, err)
	}
	told := hospital("org-a")
	told.restriction.Refuse = fhir.Forbidden
	if _, err := h.Read(ctx, told, hidden); !errors.Is(err, fhir.E(fhir.Forbidden)) {
		t.Errorf("Refuse Forbidden: %v", err)
	}
	if _, err := h.Delete(ctx, interact.SystemCaller(""), hidden, interact.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Read(ctx, a, hidden); !errors.Is(err, fhir.E(fhir.NotFound)) {
		t.Errorf("a deleted resource of another shows itself: %v", err)
	}
	if _, err := h.Read(ctx, hospital("org-b"), hidden); !errors.Is(err, fhir.E(fhir.Gone)) {
		t.Errorf("a deleted resource of one's own: %v", err)
	}
}

func TestSearchesObeyTheRestriction(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	h.put("org-a", pat("pa", "1"), obs("oa", "pa"), obs("oab", "pb"))
	h.put("org-b", pat("pb", "2"), obs("ob", "pb"), obs("oba", "pa"))
	a := hospital("org-a")
	for _, c := range []struct {
		t     fhir.Type
		query string
		want  string
	}{
		{"Observation", "", "Observation/oa Observation/oab"},
		{"Observation", "_include=Observation:subject", "Observation/oa Observation/oab Patient/pa"},
		{"Patient", "_revinclude=Observation:subject", "Observation/oa Patient/pa"},
		{"Observation", "subject:Patient.identifier=urn:id|2", ""},
		{"Observation", "subject:Patient.identifier=urn:id|1", "Observation/oa"},
		{"Patient", "_has:Observation:subject:_id=oba", ""},
		{"Patient", "_has:Observation:subject:_id=oa", "Patient/pa"},
		{"Patient", "identifier=urn:id|2", ""},
		{"", "", "Observation/oa Observation/oab Patient/pa"},
	} {
		got, b := h.found(a, c.t, c.query)
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s?%s shows %v, want %s", c.t, c.query, got, c.want)
		}
		matches := 0
		for _, e := range b.Entries {
			if e.Mode == "match" {
				matches++
			}
		}
		if b.Total != matches {
			t.Errorf("%s?%s: total %d, %d matches", c.t, c.query, b.Total, matches)
		}
	}
	for compartment, want := range map[string]int{"pa": 1, "pb": 1} {
		b, err := h.Search(context.Background(), a, interact.SearchRequest{Type: "Observation", Compartment: patientKey(compartment)})
		if err != nil || b.Total != want {
			t.Errorf("Patient/%s/Observation: %+v %v", compartment, b, err)
		}
	}
}

func TestCompartments(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	h.put("",
		pat("p", "1"), `{"resourceType":"Practitioner","id":"d"}`, `{"resourceType":"Practitioner","id":"e"}`,
		`{"resourceType":"Encounter","id":"v","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/p"}}`,
		`{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"x"},"encounter":{"reference":"Encounter/v"},"performer":[{"reference":"Practitioner/d"}]}`,
		`{"resourceType":"DiagnosticReport","id":"r","status":"final","code":{"text":"x"},"performer":[{"reference":"Practitioner/d"}],"resultsInterpreter":[{"reference":"Practitioner/e"}]}`,
		`{"resourceType":"Composition","id":"c","status":"final","type":{"text":"x"},"date":"2024","title":"t","author":[{"reference":"Practitioner/d"}],"attester":[{"mode":"legal","party":{"reference":"Practitioner/e"}}]}`)
	for path, want := range map[string]int{
		"Encounter/v/Observation": 1, "Practitioner/d/Observation": 1, "Practitioner/e/Observation": 0,
		"Practitioner/d/Composition": 1, "Practitioner/e/Composition": 1, "Practitioner/f/Composition": 0, "Patient/p/Encounter": 1,
	} {
		parts := strings.Split(path, "/")
		b, err := h.Search(context.Background(), interact.SystemCaller(""), interact.SearchRequest{
			Compartment: fhir.Key{Type: fhir.Type(parts[0]), ID: parts[1]}, Type: fhir.Type(parts[2]),
		})
		if err != nil || b.Total != want {
			t.Errorf("%s: %+v %v, want %d", path, b, err, want)
		}
	}
}

func TestCustodianRule(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	ctx := context.Background()
	a, b := hospital("org-a"), hospital("org-b")
	w, err := h.Create(ctx, a, "Patient", []byte(`{"resourceType":"Patient","meta":{"tag":[
		{"system":"https://hutong.example/fhir/CodeSystem/custodian","code":"org-forged"},
		{"system":"https://hutong.example/fhir/CodeSystem/hr-scope","code":"forged"},{"system":"urn:mine","code":"kept"}]}}`), interact.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	k, body := w.Resource.Key, string(w.Resource.JSON())
	if w.Resource.Facts.Custodian != "org-a" || strings.Contains(body, "forged") || !strings.Contains(body, "kept") || !strings.Contains(body, `"org-a"`) {
		t.Errorf("custodian %s of %s", w.Resource.Facts.Custodian, body)
	}
	changed := []byte(`{"resourceType":"Patient","id":"` + k.ID + `","active":true}`)
	patch := []byte(`[{"op":"add","path":"/active","value":false}]`)
	for name, err := range map[string]error{
		"update": second(h.Update(ctx, b, k, changed, interact.WriteOptions{})),
		"patch":  second(h.Patch(ctx, b, k, patch, interact.WriteOptions{})),
		"delete": second(h.Delete(ctx, b, k, interact.WriteOptions{})),
	} {
		if !errors.Is(err, fhir.E(fhir.Forbidden)) {
			t.Errorf("%s by another organisation: %v", name, err)
		}
	}
	if _, err := h.Update(ctx, a, k, changed, interact.WriteOptions{}); err != nil {
		t.Errorf("update by the owner: %v", err)
	}
	sys, err := h.Update(ctx, interact.SystemCaller("org-x"), k, changed, interact.WriteOptions{})
	if err != nil || sys.Resource.Facts.Custodian != "org-a" {
		t.Errorf("the exchange's own change makes %s the owner: %v", sys.Resource.Facts.Custodian, err)
	}
	h.put("", pat("unowned", "9"))
	if w, err := h.Update(ctx, b, patientKey("unowned"), []byte(pat("unowned", "9")), interact.WriteOptions{}); err != nil || w.Resource.Facts.Custodian != "org-b" {
		t.Errorf("what nobody owns: %v, owner %s", err, w.Resource.Facts.Custodian)
	}
	refused := hospital("org-a")
	refused.write = fhir.Errorf(fhir.Forbidden, "no scope")
	if _, err := h.Create(ctx, refused, "Patient", []byte(`{"resourceType":"Patient"}`), interact.WriteOptions{}); !errors.Is(err, fhir.E(fhir.Forbidden)) {
		t.Errorf("MayWrite refuses: %v", err)
	}
}

func second[A any](_ A, err error) error { return err }

// inspector is a caller that refuses content.
type inspector struct {
	*person
	seen []string
}

func (i *inspector) Inspect(_ context.Context, _ interact.Op, k fhir.Key, body fhir.Body, facts *fhir.Facts) error {
	i.seen = append(i.seen, k.String()+" "+facts.Custodian)
	if strings.Contains(string(body.Raw), "forbidden") {
		return fhir.Errorf(fhir.Forbidden, "content")
	}
	return nil
}

func TestInspectorJudgesContent(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	c := &inspector{person: hospital("org-a")}
	if _, err := h.Update(context.Background(), c, patientKey("p"), []byte(`{"resourceType":"Patient","id":"p"}`), interact.WriteOptions{}); err != nil {
		t.Error(err)
	}
	_, err := h.Update(context.Background(), c, patientKey("p"), []byte(`{"resourceType":"Patient","id":"p","name":[{"text":"forbidden"}]}`), interact.WriteOptions{})
	if !errors.Is(err, fhir.E(fhir.Forbidden)) || !slices.Equal(c.seen, []string{"Patient/p org-a", "Patient/p org-a"}) {
		t.Errorf("%v, %v", err, c.seen)
	}
}

func TestFollowersHearAfterTheCommit(t *testing.T) {
	t.Parallel()
	slow := followerFunc(func(ctx context.Context, _ []fhir.Version) { <-ctx.Done() })
	h := build(t, func(c *interact.Config) { c.Followers = append(c.Followers, slow) })
	began := time.Now()
	h.put("", pat("p", "1"), pat("q", "2"))
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("a slow follower held the answer for %v", took)
	}
	if len(h.heard.versions) != 2 || h.heard.versions[0].VersionID != 1 {
		t.Errorf("heard %v", h.heard.versions)
	}
	if _, err := h.Update(context.Background(), interact.SystemCaller(""), patientKey("p"), []byte(`{}`), interact.WriteOptions{}); err == nil || len(h.heard.versions) != 2 {
		t.Errorf("a failed write was announced: %v", err)
	}
}

type followerFunc func(context.Context, []fhir.Version)

func (f followerFunc) Committed(ctx context.Context, v []fhir.Version) { f(ctx, v) }
