package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hutong/profiles"
	"hutong/testdata/region"
)

// TestStory is the story of the README over HTTP, on a region that the
// project's generator made: the same code that `make demo` runs.
func TestStory(t *testing.T) {
	s := raise(t, 24)
	for _, chapter := range []struct {
		name string
		tell func(*testing.T, *stage)
	}{
		{"1 a hospital posts, a bad entry fails the whole", hospitalPosts},
		{"2 the index links one person and explains", indexLinks},
		{"3 one history across hospitals", oneHistory},
		{"4 a result is recognised", resultRecognised},
		{"5 a consultation on chosen documents", consultation},
		{"6 the resident decides and sees who looked", residentDecides},
		{"7 a steward judges a possible match", stewardJudges},
		{"8 the audit chain is whole", auditWhole},
	} {
		ok := t.Run(chapter.name, func(t *testing.T) {
			s.t = t
			chapter.tell(t, s)
		})
		if !ok {
			t.Fatal("the story cannot go on")
		}
	}
	s.t = t
}

func hospitalPosts(t *testing.T, s *stage) {
	s.do("", "GET", "/fhir/Patient", nil).is(401)
	s.do("", "GET", "/fhir/metadata", nil).is(200)
	good := `{"resourceType":"Patient","name":[{"text":"张三"}],"gender":"male","birthDate":"1980-01-01"}`
	post := func(second string) answer {
		return s.do("his-muni", "POST", "/fhir", []byte(`{"resourceType":"Bundle","type":"transaction","entry":[`+
			`{"fullUrl":"urn:uuid:7f2a6b1c-0000-4000-8000-000000000001","resource":`+good+`,"request":{"method":"POST","url":"Patient"}},`+second+`]}`))
	}
	_, before := s.all("his-muni", "/fhir/Patient?_summary=false")
	bad := post(`{"resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"urn:uuid:7f2a6b1c-0000-4000-8000-000000000001"},"valueQuantity":{"value":"12"}},"request":{"method":"POST","url":"Observation"}}`)
	bad.is(400)
	if want := "Bundle.entry[1].resource.value"; !strings.Contains(string(bad.body), want) {
		t.Errorf("the outcome does not name %s: %s", want, bad.body)
	}
	if _, after := s.all("his-muni", "/fhir/Patient?_summary=false"); after != before {
		t.Errorf("a refused bundle left %d patients behind", after-before)
	}
	done := post(`{"resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"urn:uuid:7f2a6b1c-0000-4000-8000-000000000001"},"valueQuantity":{"value":12.50}},"request":{"method":"POST","url":"Observation"}}`).is(200).bundle()
	if len(done.Entry) != 2 || !strings.HasPrefix(done.Entry[1].Response.Status, "201") {
		t.Fatalf("transaction-response: %+v", done)
	}
	at := done.Entry[1].Response.Location
	at = at[strings.Index(at, "Observation/"):]
	obs := s.do("his-muni", "GET", "/fhir/"+strings.Split(at, "/_history")[0], nil).is(200)
	if !strings.Contains(string(obs.body), "12.50") {
		t.Errorf("the decimal lost its digits: %s", obs.body)
	}
	if got := decodeResource(t, obs.body); got.custodian() != region.OrgMuni || !strings.HasPrefix(got.Subject.Reference, "Patient/") {
		t.Errorf("custodian %q, subject %q", got.custodian(), got.Subject.Reference)
	}
	// Another hospital neither reads nor changes it.
	s.do("his-dist", "GET", "/fhir/"+strings.Split(at, "/_history")[0], nil).is(404)
	s.do("his-dist", "DELETE", "/fhir/"+strings.Split(at, "/_history")[0], nil)
	s.do("his-muni", "GET", "/fhir/"+strings.Split(at, "/_history")[0], nil).is(200)
}

// lookUp finds the resident by a card, as a clinician at the counter does.
func (s *stage) lookUp(who, system, value string) bundle {
	s.t.Helper()
	return s.do(who, "POST", "/fhir/Patient/$match", map[string]any{
		"resourceType": "Parameters",
		"parameter": []any{map[string]any{"name": "resource", "resource": map[string]any{
			"resourceType": "Patient", "identifier": []any{map[string]any{"system": system, "value": value}},
		}}},
	}).is(200).bundle()
}

func indexLinks(t *testing.T, s *stage) {
	var person string
	cards := map[string]string{profiles.CitizenID: s.hero.CitizenID, profiles.HealthCard: s.hero.HealthCard, profiles.SocialCard: s.hero.SocialCard}
	for system, value := range cards {
		found := s.lookUp("dr.zhou", system, value)
		if len(found.Entry) != 1 {
			t.Fatalf("%s: %d persons, want 1", system, len(found.Entry))
		}
		got := decodeResource(t, found.Entry[0].Resource)
		// What the index did not decide before its deadline it decides a moment
		// later, from the event.
		for end := time.Now().Add(20 * time.Second); len(got.Link) != len(s.hero.Records) && time.Now().Before(end); {
			time.Sleep(50 * time.Millisecond)
			got = decodeResource(t, s.lookUp("dr.zhou", system, value).Entry[0].Resource)
		}
		if person != "" && got.ID != person {
			t.Errorf("two cards of one person lead to %s and %s", person, got.ID)
		}
		person = got.ID
		if len(got.Link) != len(s.hero.Records) {
			t.Errorf("%d linked records, want %d", len(got.Link), len(s.hero.Records))
		}
	}
	var view struct {
		Members []struct{ Patient, Organization string }
		Links   []struct {
			Reasons []struct {
				Text map[string]string
			}
		}
	}
	s.do("steward.qi", "GET", "/api/identity/persons/"+person, nil).is(200).into(&view)
	var orgs []string
	for _, m := range view.Members {
		orgs = append(orgs, m.Organization)
	}
	slices.Sort(orgs)
	if want := []string{region.OrgClinic, region.OrgCounty, region.OrgMuni}; !slices.Equal(orgs, want) {
		t.Errorf("the person is known to %v, want %v", orgs, want)
	}
	if len(view.Links) == 0 {
		t.Fatal("no link is explained")
	}
	for _, l := range view.Links {
		if len(l.Reasons) == 0 || l.Reasons[0].Text["zh-CN"] == "" || l.Reasons[0].Text["en"] == "" {
			t.Errorf("a link without its reason in both languages: %+v", l)
		}
	}
	s.do("dr.zhou", "GET", "/api/identity/queue", nil).is(403)
}

// person is the hero's person id as a reference.
func (s *stage) person() string {
	s.t.Helper()
	found := s.lookUp("dr.zhou", profiles.CitizenID, s.hero.CitizenID)
	return "Patient/" + decodeResource(s.t, found.Entry[0].Resource).ID
}

func oneHistory(t *testing.T, s *stage) {
	person := s.person()
	for _, typ := range []string{"Encounter", "Condition", "MedicationRequest", "AllergyIntolerance", "DiagnosticReport", "Observation"} {
		all, total := s.all("dr.zhou", fmt.Sprintf("/fhir/%s?patient=%s&_count=7", typ, person), "X-Purpose-Of-Use", "TREAT")
		if total == 0 {
			t.Errorf("no %s at all", typ)
		}
		// The sum over the single records, as their owners see them, is the total.
		sum := 0
		for _, r := range s.hero.Records {
			_, n := s.all(clientOfOrg(r.Org), fmt.Sprintf("/fhir/%s?patient=Patient/%s&_count=100", typ, s.recordID(r)))
			sum += n
		}
		if sum != total {
			t.Errorf("%s: the clinician sees %d, the hospitals have %d", typ, total, sum)
		}
		if typ == "Observation" {
			sortedByDate(t, all)
			spread(t, all)
		}
	}
	// No relationship, no record: the doctor of another district.
	s.do("dr.han", "GET", "/fhir/Observation?patient="+person, nil).is(403)
	// Who only describes a patient is not told by a refusal that there is one.
	if _, n := s.all("dr.han", "/fhir/Patient?identifier="+s.hero.CitizenID); n != 0 {
		t.Errorf("a doctor without relationship finds the patient %d times", n)
	}
	// A purpose that nobody knows is refused.
	s.do("dr.zhou", "GET", "/fhir/Observation?patient="+person, nil, "X-Purpose-Of-Use", "CURIOSITY").is(400)
}

// recordID is the Patient id of a record; some hospitals let the server choose.
func (s *stage) recordID(r region.Record) string {
	s.t.Helper()
	if r.Patient != "" {
		return r.Patient
	}
	found, _ := s.all(clientOfOrg(r.Org), "/fhir/Patient?identifier="+r.System+"|"+r.MRN)
	if len(found) != 1 {
		s.t.Fatalf("%d records carry the MRN of %s", len(found), r.Org)
	}
	return decodeResource(s.t, found[0]).ID
}

func clientOfOrg(org string) string {
	for _, o := range region.Orgs() {
		if o.ID == org {
			return o.Client
		}
	}
	return ""
}

func sortedByDate(t *testing.T, all []json.RawMessage) {
	t.Helper()
	var last time.Time
	for i, raw := range all {
		at, err := time.Parse(time.RFC3339, decodeResource(t, raw).EffectiveDateTime)
		if err != nil {
			t.Fatalf("observation %d has no instant: %v", i, err)
		}
		if i > 0 && at.After(last) {
			t.Fatalf("observation %d is newer than the one before it", i)
		}
		last = at
	}
}

func spread(t *testing.T, all []json.RawMessage) {
	t.Helper()
	owners := map[string]int{}
	for _, raw := range all {
		owners[decodeResource(t, raw).custodian()]++
	}
	if len(owners) < 3 {
		t.Errorf("the history comes from %v, want three hospitals", owners)
	}
}

func stewardJudges(t *testing.T, s *stage) {
	type side struct{ Patient, Person string }
	type entry struct {
		ID, Status, Kind string
		A, B             side
		Explanation      struct {
			Fields []struct {
				Field  string
				Weight float64
				Words  map[string]string
			}
		}
		Decision *struct{ Decision, Journal string }
	}
	var queue struct {
		Items []entry
		Open  int
	}
	s.do("steward.qi", "GET", "/api/identity/queue?status=open", nil).is(200).into(&queue)
	i := slices.IndexFunc(queue.Items, func(e entry) bool { return e.Kind == "likely" })
	if i < 0 {
		t.Fatalf("nobody waits in the queue: %+v", queue)
	}
	id := queue.Items[i].ID
	var it entry
	s.do("steward.qi", "GET", "/api/identity/queue/"+id, nil).is(200).into(&it)
	if len(it.Explanation.Fields) < 4 || it.Explanation.Fields[0].Words["zh-CN"] == "" {
		t.Errorf("the match is not explained: %+v", it.Explanation)
	}
	apart := func() bool { return s.personOf(it.A.Patient) != s.personOf(it.B.Patient) }
	if !apart() {
		t.Fatal("a possible match is linked already")
	}
	s.do("steward.qi", "POST", "/api/identity/queue/"+id, map[string]string{"decision": "link"}).is(422)
	s.do("steward.qi", "POST", "/api/identity/queue/"+id, map[string]string{"decision": "link", "reason": "核对户口簿"}).is(200).into(&it)
	if apart() {
		t.Error("accepted, and still two persons")
	}
	s.do("steward.qi", "POST", "/api/identity/queue/"+id, map[string]string{"decision": "reject", "reason": "again"}).is(409)
	s.do("steward.ye", "POST", "/api/identity/journal/"+it.Decision.Journal+"/undo", map[string]string{"reason": "看错了"}).is(200)
	if !apart() {
		t.Error("undone, and still one person")
	}
}

// personOf is the person that a record belongs to, as the steward's view says.
func (s *stage) personOf(patient string) string {
	s.t.Helper()
	var v struct{ Person string }
	s.do("steward.qi", "GET", "/api/identity/persons/"+strings.TrimPrefix(patient, "Patient/"), nil).is(200).into(&v)
	return v.Person
}

func auditWhole(t *testing.T, s *stage) {
	var report struct {
		Whole  bool
		Chains []struct{ Records int }
	}
	s.do("auditor.shen", "GET", "/api/audit/verify", nil).is(200).into(&report)
	if !report.Whole || len(report.Chains) != 1 || report.Chains[0].Records < 50 {
		t.Errorf("the chain: %+v", report)
	}
	s.do("dr.zhou", "GET", "/api/audit/verify", nil).is(403)
}
