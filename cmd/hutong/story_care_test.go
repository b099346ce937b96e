package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"hutong/testdata/region"
)

// resultRecognised is chapter 4: the order-sign card, adopted and declined.
func resultRecognised(t *testing.T, s *stage) {
	var services struct {
		Services []struct{ Hook, ID string }
	}
	s.do("dr.zhou", "GET", "/cds-services", nil).is(200).into(&services)
	if !slices.ContainsFunc(services.Services, func(v struct{ Hook, ID string }) bool { return v.Hook == "order-sign" }) {
		t.Fatalf("discovery lists %+v", services)
	}
	type card struct {
		UUID, Summary, Detail string
		Suggestions           []struct{ Label string }
		OverrideReasons       []struct{ Code, Display string }
	}
	var cards struct{ Cards []card }
	files, err := (&show{dir: s.dir, url: s.url, hero: s.hero, guest: s.guest}).files()
	if err != nil {
		t.Fatal(err)
	}
	s.do("dr.zhou", "POST", "/cds-services/order-sign", files["order-sign.json"]).is(200).into(&cards)
	if len(cards.Cards) != 2 {
		t.Fatalf("two orders have eligible results, %d cards came: %+v", len(cards.Cards), cards)
	}
	for _, c := range cards.Cards {
		if !strings.Contains(c.Summary, "互认") || len([]rune(c.Summary)) >= 140 || c.Detail == "" || len(c.Suggestions) == 0 || len(c.OverrideReasons) != 6 {
			t.Errorf("card: %+v", c)
		}
	}
	tasks := func() int {
		_, n := s.all("dr.zhou", "/fhir/Task?patient=Patient/"+s.clinicRecord()+"&code=mutual-recognition-decision")
		return n
	}
	before := tasks()
	feedback := func(uuid string, more map[string]any) answer {
		f := map[string]any{"card": uuid, "outcomeTimestamp": time.Now().UTC().Format(time.RFC3339)}
		for k, v := range more {
			f[k] = v
		}
		return s.do("dr.zhou", "POST", "/cds-services/order-sign/feedback", map[string]any{"feedback": []any{f}})
	}
	adopt := map[string]any{"outcome": "accepted"}
	feedback(cards.Cards[0].UUID, adopt).is(200)
	feedback(cards.Cards[0].UUID, adopt).is(409)
	// A decline needs a coded reason, and the sixth needs words.
	if a := feedback(cards.Cards[1].UUID, map[string]any{"outcome": "overridden"}); a.status < 400 || a.status > 422 {
		t.Errorf("declined without a reason: %d", a.status)
	}
	reasons := cards.Cards[1].OverrideReasons
	reason := map[string]any{"code": reasons[0].Code, "system": profilesDecline}
	feedback(cards.Cards[1].UUID, map[string]any{"outcome": "overridden", "overrideReason": map[string]any{"reason": reason}}).is(200)
	if got := tasks(); got != before+2 {
		t.Errorf("%d decisions are recorded, want 2", got-before)
	}
}

const profilesDecline = "https://hutong.example/fhir/CodeSystem/hr-decline-reason"

func (s *stage) clinicRecord() string { return (&show{hero: s.hero}).clinicRecord() }

// consultation is chapter 5.
func consultation(t *testing.T, s *stage) {
	patient, chosen, outside := s.guest.Patient, s.guest.Documents, s.guest.Outside
	for _, d := range append(chosen, outside, patient) {
		s.do("dr.lin", "GET", "/fhir/"+patientOrDocument(d), nil).is(403)
	}
	type view struct {
		ID, State, Opinion string
		Moves              []string
	}
	move := func(who, id, step string, in map[string]any, status int) view {
		t.Helper()
		var v view
		s.do(who, "POST", "/api/consultations/"+id+"/"+step, in).is(status).into(&v)
		return v
	}
	draft := map[string]any{"patient": patient, "invitedOrg": region.OrgMuni, "question": "血钾偏低，请指导用药", "documents": chosen}
	s.do("dr.han", "POST", "/api/consultations", draft) // not their patient: refused below by its absence
	var c view
	s.do("dr.zhou", "POST", "/api/consultations", draft).is(201).into(&c)
	if c.State != "drafted" || !slices.Contains(c.Moves, "consent") {
		t.Fatalf("drafted: %+v", c)
	}
	move("dr.zhou", c.ID, "request", nil, 409) // not yet consented
	s.do("coord.mu", "GET", "/api/consultations/"+c.ID, nil).is(404)
	move("dr.zhou", c.ID, "consent", map[string]any{"signature": map[string]any{"by": patient, "method": "device", "feeTold": true}}, 200)
	move("dr.zhou", c.ID, "request", nil, 200)
	s.do("dr.lin", "GET", "/fhir/"+chosen[0], nil).is(403) // not before acceptance
	s.do("dr.han", "POST", "/api/consultations/"+c.ID+"/accept", map[string]any{"role": "prac-lin-role"}).is(404)
	move("coord.mu", c.ID, "accept", map[string]any{"role": "prac-lin-role"}, 200)

	for _, d := range chosen {
		s.do("dr.lin", "GET", "/fhir/"+d, nil).is(200)
	}
	s.do("dr.lin", "GET", "/fhir/"+outside, nil).is(403)
	seen, _ := s.all("dr.lin", "/fhir/DiagnosticReport?patient="+patient)
	if len(seen) != 1 || "DiagnosticReport/"+decodeResource(t, seen[0]).ID != chosen[0] {
		t.Errorf("the specialist finds %d reports, want the chosen one", len(seen))
	}

	start := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	slot := map[string]any{"start": start, "end": start.Add(30 * time.Minute)}
	move("coord.mu", c.ID, "schedule", slot, 200)
	if v := move("dr.zhou", c.ID, "check-in", nil, 200); v.State != "scheduled" {
		t.Errorf("one physician is there and the state is %s", v.State)
	}
	if v := move("dr.lin", c.ID, "check-in", nil, 200); v.State != "in-progress" {
		t.Errorf("both physicians are there and the state is %s", v.State)
	}
	s.do("dr.zhou", "POST", "/api/consultations/"+c.ID+"/opinion", map[string]any{"opinion": "x"}).is(403)
	move("dr.lin", c.ID, "opinion", map[string]any{"opinion": "考虑低钾血症，建议口服补钾 <1 周后复查>。"}, 200)
	signed := move("dr.lin", c.ID, "sign", nil, 200)
	move("dr.lin", c.ID, "opinion", map[string]any{"opinion": "changed"}, 409)
	var proof struct{ Valid bool }
	s.do("dr.zhou", "GET", "/api/consultations/"+c.ID+"/proof", nil).is(200).into(&proof)
	if !proof.Valid {
		t.Error("the signature of the report does not verify")
	}
	s.do("dr.zhou", "GET", "/fhir/"+signed.Opinion, nil).is(200)
	move("dr.zhou", c.ID, "decide", map[string]any{"decision": "adopted", "text": "按会诊意见补钾"}, 200)
	move("dr.zhou", c.ID, "archive", nil, 200)
	for _, d := range chosen {
		s.do("dr.lin", "GET", "/fhir/"+d, nil).is(403) // the grant has ended
	}
	var mine struct{ Consultations []view }
	s.do("dr.zhou", "GET", "/api/consultations", nil).is(200).into(&mine)
	if len(mine.Consultations) != 1 || mine.Consultations[0].State != "archived" {
		t.Errorf("the list: %+v", mine)
	}
}

func patientOrDocument(ref string) string {
	if strings.HasPrefix(ref, "Patient/") {
		return "Observation?patient=" + ref
	}
	return ref
}

// consent is what the resident's page writes.
func (s *stage) consent(role, reference string) map[string]any {
	concept := func(system, code string) map[string]any {
		return map[string]any{"coding": []any{map[string]any{"system": system, "code": code}}}
	}
	return map[string]any{
		"resourceType": "Consent", "status": "active",
		"scope":    concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
		"category": []any{concept("http://terminology.hl7.org/CodeSystem/consentcategorycodes", "INFA")},
		"patient":  map[string]any{"reference": "Patient/" + s.hero.Records[0].Patient}, "dateTime": time.Now().UTC().Format(time.RFC3339),
		"policyRule": concept("http://terminology.hl7.org/CodeSystem/v3-ActCode", "OPTOUT"),
		"provision": map[string]any{"type": "deny", "actor": []any{map[string]any{
			"role":      concept("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", role),
			"reference": map[string]any{"reference": reference},
		}}},
	}
}

// residentDecides is chapter 6, by the API that the page uses.
func residentDecides(t *testing.T, s *stage) {
	var me struct {
		Patient string
		Roles   []string
	}
	s.do("resident", "GET", "/api/me", nil).is(200).into(&me)
	if me.Patient != s.person() {
		t.Fatalf("the resident is %q, want %q", me.Patient, s.person())
	}
	count := func(who string) int {
		t.Helper()
		_, n := s.all(who, "/fhir/Observation?patient="+me.Patient+"&_count=50")
		return n
	}
	whole := count("resident")
	if before := count("dr.zhou"); before != whole {
		t.Errorf("before any consent the clinician sees %d of %d", before, whole)
	}
	owned := map[string]int{}
	all, _ := s.all("resident", "/fhir/Observation?patient="+me.Patient+"&_count=100")
	for _, raw := range all {
		owned[decodeResource(t, raw).custodian()]++
	}

	stop := func(role, reference string) string {
		t.Helper()
		a := s.do("resident", "POST", "/fhir/Consent", s.consent(role, reference)).is(201)
		return decodeResource(t, a.body).ID
	}
	again := func(id, role, reference string) {
		t.Helper()
		c := s.consent(role, reference)
		c["id"], c["status"] = id, "inactive"
		s.do("resident", "PUT", "/fhir/Consent/"+id, c).is(200)
	}
	muni := stop("CST", "Organization/"+region.OrgMuni)
	if got, want := count("dr.zhou"), whole-owned[region.OrgMuni]; got != want {
		t.Errorf("the municipal hospital no longer shares: the clinician sees %d, want %d", got, want)
	}
	clinic := stop("IRCP", "Organization/"+region.OrgClinic)
	if got, want := count("dr.zhou"), owned[region.OrgClinic]; got != want {
		t.Errorf("the clinic may not see the rest: the clinician sees %d, want their own %d", got, want)
	}
	if got := count("resident"); got != whole {
		t.Errorf("the resident sees %d of %d", got, whole)
	}

	// In an emergency the glass breaks, with a reason.
	s.do("dr.han", "GET", "/fhir/Observation?patient="+me.Patient, nil).is(403)
	glass := func(body map[string]any) answer { return s.do("dr.han", "POST", "/api/breakglass", body) }
	if a := glass(map[string]any{"patient": me.Patient}); a.status < 400 || a.status > 422 {
		t.Errorf("broken without a reason: %d", a.status)
	}
	s.do("dr.zhou", "POST", "/api/breakglass", map[string]any{"patient": me.Patient, "reason": "x", "reasonCode": "unconscious"}).is(403)
	if a := glass(map[string]any{"patient": me.Patient, "reason": "昏迷入院", "reasonCode": "unconscious"}); a.status >= 300 {
		t.Fatalf("break-glass: %d %s", a.status, a.body)
	}
	if got := count("dr.han"); got != whole {
		t.Errorf("behind the broken glass the emergency doctor sees %d of %d", got, whole)
	}
	again(clinic, "IRCP", "Organization/"+region.OrgClinic)
	again(muni, "CST", "Organization/"+region.OrgMuni)
	if got := count("dr.zhou"); got != whole {
		t.Errorf("after both are taken back the clinician sees %d of %d", got, whole)
	}
	whoLooked(t, s, me.Patient)
}

// whoLooked holds the resident's access log: the clinician's query, and the
// emergency doctor with purpose and reason.
func whoLooked(t *testing.T, s *stage, patient string) {
	events, _ := s.all("resident", "/fhir/AuditEvent?patient="+url.QueryEscape(patient)+"&_sort=-date&_count=100")
	var clinician, emergency bool
	for _, raw := range events {
		var e struct {
			Agent []struct {
				Who struct {
					Reference, Display string
					Identifier         struct{ Value string }
				}
				PurposeOfUse []struct{ Coding []struct{ Code string } }
			}
			PurposeOfEvent []struct{ Coding []struct{ Code string } }
		}
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		clinician = clinician || strings.Contains(text, "prac-zhou")
		emergency = emergency || strings.Contains(text, "prac-han") && strings.Contains(text, "BTG")
	}
	if !clinician || !emergency {
		t.Errorf("of %d events one names the clinician: %v, one the emergency doctor's break-glass: %v", len(events), clinician, emergency)
	}
	// Nobody else reads this log.
	if a := s.do("dr.zhou", "GET", fmt.Sprintf("/fhir/AuditEvent?patient=%s", patient), nil); a.status == 200 {
		if b := a.bundle(); b.Total == nil || *b.Total != 0 {
			t.Errorf("a clinician reads the access log: %s", a.body)
		}
	}
}
