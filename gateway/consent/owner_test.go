package consent_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/gateway/principal"
	"hutong/profiles"
)

// neighbour is a resident whose record is Patient/other.
var neighbour = principal.Principal{
	Subject: "neighbour", Roles: []principal.Role{principal.Resident}, IdentifierSystem: "s", IdentifierValue: "card-2",
	Scopes: []string{"patient/*.rs", "patient/Consent.cruds"},
}

// TestResidentsKeepTheirConsents: the exchange is the custodian of all of them,
// so the custodian rule does not hold one resident off another's.
func TestResidentsKeepTheirConsents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	denial := func(patient string) string {
		return `{"resourceType":"Consent","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},
		"category":[{"text":"privacy"}],"patient":{"reference":"Patient/` + patient + `"},"provision":{"type":"deny",` + actor("IRCP", "Organization/clinic") + `}}`
	}
	status, answer := w.as(resident).do(http.MethodPost, "/fhir/Consent", denial("muni-1"))
	var made struct{ ID string }
	if must(t, json.Unmarshal([]byte(answer), &made)); status != http.StatusCreated {
		t.Fatalf("%d %s", status, answer)
	}
	path := "/fhir/Consent/" + made.ID
	withID := `{"id":"` + made.ID + `",` + denial("other")[1:]
	for _, try := range [][]string{
		{http.MethodDelete, "", ""},
		{http.MethodPut, withID, "application/fhir+json"},
		{http.MethodPatch, `[{"op":"replace","path":"/patient/reference","value":"Patient/other"}]`, "application/json-patch+json"},
	} {
		if got, answer := w.as(neighbour).do(try[0], path, try[1], "Content-Type", try[2]); got != http.StatusForbidden {
			t.Errorf("a neighbour's %s: %d %s", try[0], got, answer)
		}
	}
	if got, answer := w.as(resident).do(http.MethodDelete, path, ""); got != http.StatusNoContent {
		t.Errorf("the resident's own delete: %d %s", got, answer)
	}
}

// TestAnOrganisationGrantsItsOwnRecords, not those that others keep.
func TestAnOrganisationGrantsItsOwnRecords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	end := w.now.Add(time.Hour).Format(fhir.InstantLayout)
	grant := func(data string) string {
		return privacy("g", `{"type":"permit","period":{"end":"`+end+`"},`+actor("IRCP", "Practitioner/han")+
			`,"data":[{"meaning":"instance","reference":{"reference":"`+data+`"}}]}`)
	}
	for _, c := range []struct {
		org, data string
		want      int
	}{
		{"clinic", "Observation/o-muni", http.StatusForbidden},
		{"clinic", "Observation/nowhere", http.StatusForbidden},
		{"clinic", "http://elsewhere/Observation/1", http.StatusForbidden},
		{"muni", "Observation/o-muni", http.StatusCreated},
	} {
		if got, answer := w.as(his(c.org)).do(http.MethodPut, "/fhir/Consent/g", grant(c.data)); got != c.want {
			t.Errorf("%s grants %s: %d %s", c.org, c.data, got, answer)
		}
	}
	if got := w.as(drHan).status("Observation/o-muni"); got != http.StatusOK {
		t.Errorf("what its custodian granted: %d", got)
	}
}

// TestConsultationsAreTheExchanges: the workflow grants the documents that its
// Task lists, so a hospital that could write one would grant what it likes.
func TestConsultationsAreTheExchanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	task := func(id, code string) string {
		return `{"resourceType":"Task","id":"` + id + `","status":"requested","intent":"order","for":{"reference":"Patient/muni-1"},
		"code":{"coding":[{"system":"` + profiles.ConsultationItem + `","code":"` + code + `"}]}}`
	}
	if _, err := w.fhir.Put(t.Context(), interact.SystemCaller("clinic"), []byte(task("real", profiles.ConsultationTask))); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		method, id, body, media string
		want                    int
	}{
		"forged":         {http.MethodPut, "forged", task("forged", profiles.ConsultationTask), "application/fhir+json", http.StatusForbidden},
		"changed":        {http.MethodPut, "real", task("real", "other"), "application/fhir+json", http.StatusForbidden},
		"patched":        {http.MethodPatch, "real", `[{"op":"replace","path":"/status","value":"accepted"}]`, "application/json-patch+json", http.StatusForbidden},
		"deleted":        {http.MethodDelete, "real", "", "", http.StatusForbidden},
		"another's code": {http.MethodPut, "own", task("own", "other"), "application/fhir+json", http.StatusCreated},
	} {
		if got, answer := w.as(his("clinic")).do(c.method, "/fhir/Task/"+c.id, c.body, "Content-Type", c.media); got != c.want {
			t.Errorf("%s: %d %s", name, got, answer)
		}
	}
}

// What everybody reads holds no patient: a contained one is in no compartment.
func TestRegistryHoldsNoPatients(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	organization := func(contained string) string {
		return `{"resourceType":"Organization","id":"o9","name":"x","contained":[` + contained + `]}`
	}
	for _, about := range []string{"Patient", "Observation", "Person"} {
		status, body := w.as(his("muni")).do("PUT", "/fhir/Organization/o9", organization(`{"resourceType":"`+about+`","id":"a"}`))
		if status != http.StatusUnprocessableEntity || !strings.Contains(body, "Organization.contained[0]") {
			t.Errorf("a contained %s: %d %s", about, status, body)
		}
	}
	if status, body := w.as(his("muni")).do("PUT", "/fhir/Organization/o9", organization(`{"resourceType":"Endpoint","id":"e"}`)); status != http.StatusCreated {
		t.Errorf("a contained Endpoint: %d %s", status, body)
	}
}
