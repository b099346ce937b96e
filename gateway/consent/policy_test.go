package consent_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/gateway/audit"
	"hutong/gateway/consent"
	"hutong/gateway/principal"
)

func TestRoles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.expect(his("muni"), "Observation", "o-muni")
	w.expect(his("dist"), "Observation", "o-dist", "o-hiv", "o-other")
	w.expect(his("dist"), "Observation?patient=dist-1", "o-dist", "o-hiv")
	w.expect(his("muni"), "Organization", "clinic", "county", "dist", "muni")
	w.expect(drZhou, "Observation?patient=muni-1", "o-dist", "o-muni")
	w.expect(drZhou, "Observation?patient=dist-1", "o-dist", "o-muni")
	w.expect(drZhou, "Encounter", "e-clinic")
	w.expect(drZhou, "Organization", "clinic", "county", "dist", "muni")
	w.expect(resident, "Observation", "o-dist", "o-hiv", "o-muni")
	w.expect(resident, "Patient", "dist-1", "muni-1")
	w.expect(steward, "Patient", "dist-1", "muni-1", "other")
	w.expect(steward, "Observation")
	w.expect(auditor, "Patient")
	w.expect(auditor, "AuditEvent")
	for path, want := range map[string]int{"Observation/o-dist": http.StatusOK, "Observation/o-hiv": http.StatusForbidden, "Observation/o-other": http.StatusForbidden} {
		if got := w.as(drZhou).status(path); got != want {
			t.Errorf("dr.zhou reads %s: %d", path, got)
		}
	}
	if got := w.as(resident).status("Observation/o-other"); got != http.StatusNotFound {
		t.Errorf("a resident reads another's record: %d", got)
	}
	status, answer := w.as(drZhou).do(http.MethodGet, "/fhir/Observation?patient=other", "")
	if status != http.StatusForbidden || !strings.Contains(answer, "break the glass") {
		t.Errorf("no relationship: %d %s", status, answer)
	}
}

func TestRelationship(t *testing.T) {
	t.Parallel()
	day := func(w *world, ago int) string { return w.now.AddDate(0, 0, -ago).Format("2006-01-02") }
	for name, c := range map[string]struct {
		org  string
		body func(w *world) string
		want int
	}{
		"planned":   {"muni", func(*world) string { return encounter("e", "other", "planned", "") }, 200},
		"cancelled": {"muni", func(*world) string { return encounter("e", "other", "cancelled", "") }, 403},
		"finished 29 days ago": {"muni", func(w *world) string {
			return encounter("e", "other", "finished", `,"period":{"start":"2020-01-01","end":"`+day(w, 29)+`"}`)
		}, 200},
		"finished 32 days ago": {"muni", func(w *world) string {
			return encounter("e", "other", "finished", `,"period":{"start":"2020-01-01","end":"`+day(w, 32)+`"}`)
		}, 403},
		"finished, end unknown": {"muni", func(*world) string { return encounter("e", "other", "finished", `,"period":{"start":"2020-01-01"}`) }, 403},
		"finished, no date":     {"muni", func(*world) string { return encounter("e", "other", "finished", "") }, 403},
		"virtual": {"muni", func(*world) string {
			return strings.Replace(encounter("e", "other", "in-progress", ""), "AMB", "VR", 1)
		}, 403},
		"here, by serviceProvider": {"dist", func(*world) string {
			return encounter("e", "other", "in-progress", `,"serviceProvider":{"reference":"Organization/muni"}`)
		}, 200},
		"at another hospital": {"dist", func(*world) string { return encounter("e", "other", "in-progress", "") }, 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.put(c.org, c.body(w))
			if got := w.as(drLin).status("Observation?patient=other"); got != c.want {
				t.Errorf("%d, want %d", got, c.want)
			}
		})
	}
}

func privacy(id, provision string) string {
	return fmt.Sprintf(`{"resourceType":"Consent","id":%q,"status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},
 "category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentcategorycodes","code":"INFA"}]}],"patient":{"reference":"Patient/muni-1"},
 "policyRule":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"OPTIN"}]},"provision":%s}`, id, provision)
}

func actor(role, ref string) string {
	return fmt.Sprintf(`"actor":[{"role":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ParticipationType","code":%q}]},"reference":{"reference":%q}}]`, role, ref)
}

// TestResidentDecides: the very next query obeys, its total included.
func TestResidentDecides(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	write := func(body string) (int, string) {
		var k struct{ ID string }
		must(t, json.Unmarshal([]byte(body), &k))
		return w.as(resident).do(http.MethodPut, "/fhir/Consent/"+k.ID, body)
	}
	withhold := privacy("c1", `{"type":"deny",`+actor("CST", "Organization/dist")+`}`)
	if status, answer := write(withhold); status != http.StatusCreated {
		t.Fatalf("%d %s", status, answer)
	}
	w.expect(drZhou, "Observation?patient=muni-1", "o-muni")
	w.expect(his("dist"), "Observation?patient=dist-1", "o-dist", "o-hiv")
	w.expect(resident, "Consent", "c1")
	if status, answer := write(strings.Replace(withhold, `"active"`, `"inactive"`, 1)); status != http.StatusOK {
		t.Fatalf("withdrawal: %d %s", status, answer)
	}
	w.expect(drZhou, "Observation?patient=muni-1", "o-dist", "o-muni")
	if status, answer := write(privacy("c2", `{"type":"deny",`+actor("IRCP", "Organization/clinic")+`}`)); status != http.StatusCreated {
		t.Fatalf("%d %s", status, answer)
	}
	w.expect(drZhou, "Observation?patient=muni-1")
	w.expect(drZhou, "Encounter?patient=muni-1", "e-clinic")
	if status, _ := w.as(resident).do(http.MethodDelete, "/fhir/Consent/c2", ""); status >= 300 {
		t.Fatalf("delete: %d", status)
	}
	w.expect(drZhou, "Observation?patient=muni-1", "o-dist", "o-muni")
}

func TestResidentsMayNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	deny := privacy("c1", `{"type":"deny",`+actor("CST", "Organization/dist")+`}`)
	for name, c := range map[string]struct{ method, path, body string }{
		"about somebody else": {http.MethodPut, "/fhir/Consent/c1", strings.Replace(deny, "Patient/muni-1", "Patient/other", 1)},
		"without a shape":     {http.MethodPut, "/fhir/Consent/c1", strings.Replace(deny, "CST", "XX", 1)},
		"a broken glass":      {http.MethodPut, "/fhir/Consent/c1", strings.Replace(deny, `"category":[`, `"category":[{"coding":[{"system":"`+consent.GlassSystem+`","code":"break-glass"}]},`, 1)},
		"an observation":      {http.MethodPut, "/fhir/Observation/o9", observation("o9", "muni-1", "")},
		"a change of others'": {http.MethodPut, "/fhir/Observation/o-muni", observation("o-muni", "muni-1", "")},
		"a deletion":          {http.MethodDelete, "/fhir/Observation/o-muni", ""},
		"the audit trail":     {http.MethodPost, "/fhir/AuditEvent", `{"resourceType":"AuditEvent"}`},
		"by transaction": {http.MethodPost, "/fhir", `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":` + observation("o9", "muni-1", "") +
			`,"request":{"method":"PUT","url":"Observation/o9"}}]}`},
	} {
		if status, answer := w.as(resident).do(c.method, c.path, c.body); status < 400 || status >= 500 {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	w.expect(resident, "Consent")
	if status, _ := w.as(his("muni")).do(http.MethodPut, "/fhir/AuditEvent/audit-000000000009", `{"resourceType":"AuditEvent","id":"audit-000000000009"}`); status != http.StatusForbidden {
		t.Errorf("a hospital writes the audit trail: %d", status)
	}
	if status, _ := w.as(drZhou).do(http.MethodPut, "/fhir/Observation/o9", observation("o9", "muni-1", "")); status != http.StatusForbidden {
		t.Errorf("a clinician without a write scope writes: %d", status)
	}
}

// TestGrant: the consultant sees exactly the chosen documents, until the end.
func TestGrant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	end := w.now.Add(time.Hour).UTC().Format(time.RFC3339)
	grant := privacy("g1", `{"type":"permit","period":{"end":"`+end+`"},`+actor("IRCP", "Practitioner/han")+
		`,"data":[{"meaning":"instance","reference":{"reference":"Observation/o-dist"}},{"meaning":"instance","reference":{"reference":"Observation/o-other"}}]}`)
	// As a consultation writes it: in the clinic's keeping, of what its doctor may see.
	if _, err := w.fhir.Put(t.Context(), interact.SystemCaller("clinic"), []byte(grant)); err != nil {
		t.Fatal(err)
	}
	w.expect(drHan, "Observation?patient=muni-1", "o-dist")
	w.expect(drHan, "Observation", "o-dist")
	if got := w.as(drHan).status("Observation/o-dist"); got != http.StatusOK {
		t.Errorf("a granted document: %d", got)
	}
	for _, path := range []string{"Observation/o-muni", "Observation/o-hiv", "Patient/muni-1", "Observation/o-other"} {
		if got := w.as(drHan).status(path); got != http.StatusForbidden {
			t.Errorf("outside the list, %s: %d", path, got)
		}
	}
	if got := w.as(doctor("wu", "county")).status("Observation/o-dist"); got != http.StatusForbidden {
		t.Errorf("a colleague: %d", got)
	}
	w.now = w.now.Add(61 * time.Minute)
	if got := w.as(drHan).status("Observation/o-dist"); got != http.StatusForbidden {
		t.Errorf("after the end: %d", got)
	}
	w.expect(drHan, "Observation")
}

func TestBreakGlass(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if status, answer := w.as(resident).do(http.MethodPut, "/fhir/Consent/c1", privacy("c1", `{"type":"deny",`+actor("IRCP", "Organization/county")+`}`)); status != http.StatusCreated {
		t.Fatalf("%d %s", status, answer)
	}
	if got := w.as(drHan).status("Observation?patient=muni-1"); got != http.StatusForbidden {
		t.Fatalf("before: %d", got)
	}
	ask := `{"patient":"Patient/dist-1","reason":"昏迷送入急诊","reasonCode":"unconscious"}`
	for name, c := range map[string]struct {
		who    principal.Principal
		body   string
		status int
	}{
		"not an emergency doctor": {drLin, ask, http.StatusForbidden},
		"a resident":              {resident, ask, http.StatusForbidden},
		"no reason":               {drHan, `{"patient":"Patient/dist-1","reason":" x "}`, http.StatusUnprocessableEntity},
		"unknown code":            {drHan, `{"patient":"Patient/dist-1","reason":"because","reasonCode":"x"}`, http.StatusUnprocessableEntity},
		"no patient":              {drHan, `{"reason":"because of it"}`, http.StatusBadRequest},
		"unknown patient":         {drHan, `{"patient":"Patient/nobody","reason":"because of it"}`, http.StatusNotFound},
		"not JSON":                {drHan, `x`, http.StatusBadRequest},
	} {
		if status, answer := w.as(c.who).do(http.MethodPost, "/api/breakglass", c.body); status != c.status {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	if len(w.events) != 0 {
		t.Errorf("refused, but on record as broken: %+v", w.events)
	}
	status, answer := w.as(drHan).do(http.MethodPost, "/api/breakglass", ask)
	var g consent.Glass
	if must(t, json.Unmarshal([]byte(answer), &g)); status != http.StatusCreated || g.Until.Sub(w.now) < 3*time.Hour {
		t.Fatalf("%d %s", status, answer)
	}
	if len(w.events) != 1 || w.events[0].Action != audit.BreakGlass || len(w.events[0].Patients) != 2 || w.events[0].Purpose != "BTG" {
		t.Errorf("audited: %+v", w.events)
	}
	w.expect(drHan, "Observation?patient=muni-1", "o-dist", "o-muni")
	w.expect(resident, "Consent", g.ID, "c1")
	if _, answer = w.as(drHan).do(http.MethodGet, "/api/breakglass", ""); !strings.Contains(answer, g.ID) || !strings.Contains(answer, "昏迷") {
		t.Errorf("own glasses: %s", answer)
	}
	for name, c := range map[string]struct{ method, body string }{"withdraw": {http.MethodPut, privacy(g.ID, `{"type":"deny",`+actor("CST", "Organization/dist")+`}`)}, "delete": {http.MethodDelete, ""}} {
		if status, _ := w.as(resident).do(c.method, "/fhir/Consent/"+g.ID, c.body); status != http.StatusForbidden {
			t.Errorf("a resident may %s a broken glass: %d", name, status)
		}
	}
	w.now = w.now.Add(4*time.Hour + time.Second)
	if got := w.as(drHan).status("Observation?patient=muni-1"); got != http.StatusForbidden {
		t.Errorf("after four hours: %d", got)
	}
	if _, answer = w.as(drHan).do(http.MethodGet, "/api/breakglass", ""); strings.Contains(answer, g.ID) {
		t.Errorf("a closed glass is listed: %s", answer)
	}
}

func TestPurposeOfDecision(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if status, _ := w.as(drZhou).do(http.MethodGet, "/fhir/Observation?patient=muni-1", "", consent.PurposeHeader, "BECAUSE"); status != http.StatusBadRequest {
		t.Errorf("unknown purpose: %d", status)
	}
	if status, _ := w.as(drZhou).do(http.MethodGet, "/fhir/Observation?patient=muni-1", "", consent.PurposeHeader, "PATRQT"); status != http.StatusForbidden {
		t.Errorf("a purpose of residents: %d", status)
	}
	_, err := w.policy.Break(t.Context(), &drHan, fhir.Key{Type: "Patient", ID: "muni-1"}, "", "collapsed in the street")
	must(t, err)
	caller, err := w.policy.Caller(&drHan, "")
	must(t, err)
	purposed := caller.(*consent.Caller)
	if purposed.Purpose() != "TREAT" {
		t.Errorf("before: %s", purposed.Purpose())
	}
	_, err = caller.Restrict(t.Context(), interact.Op{Interaction: "search-type", Type: "Observation"}, []fhir.Key{{Type: "Patient", ID: "muni-1"}})
	must(t, err)
	if purposed.Purpose() != "BTG" {
		t.Errorf("after a decision through broken glass: %s", purposed.Purpose())
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	narrow := drZhou
	narrow.Scopes = []string{"user/Observation.s", "patient/*.cruds", "system/*.cruds"}
	w.expect(narrow, "Observation?patient=muni-1", "o-dist", "o-muni")
	for _, path := range []string{"Observation/o-muni", "Encounter?patient=muni-1", "Patient?_id=muni-1"} {
		if got := w.as(narrow).status(path); got != http.StatusForbidden {
			t.Errorf("%s: %d", path, got)
		}
	}
	read := his("muni")
	read.Scopes = []string{"system/*.rs"}
	if status, _ := w.as(read).do(http.MethodPut, "/fhir/Observation/o9", observation("o9", "muni-1", "")); status != http.StatusForbidden {
		t.Errorf("write without scope: %d", status)
	}
}
