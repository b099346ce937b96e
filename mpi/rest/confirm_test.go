package rest_test

import (
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
)

const citizenID = `"identifier":[{"system":"urn:oid:2.16.156.10011.1.3","value":"500112198005010028"}]`

// contradiction is two records with one citizen id and different names.
func contradiction() map[string]string {
	return map[string]string{
		"a": fmt.Sprintf(zhuge, "a", ","+citizenID),
		"b": strings.Replace(fmt.Sprintf(zhuge, "b", ","+citizenID), "诸葛雨桐", "李娜", 1),
	}
}

// TestSecondPersonStory: a risky link waits for another steward, who sees what
// it rests on, and whom nobody can stand in for.
func TestSecondPersonStory(t *testing.T) {
	t.Parallel()
	s := newServer(t, contradiction())
	item := at(s.call("GET", "/api/identity/queue", "", 200), "items", 0)
	s.want(item, "high", "risk")
	path := "/api/identity/queue/" + at(item, "id").(string)
	waiting := s.call("POST", path, `{"decision":"link","reason":"核对户口簿"}`, 202)
	s.want(waiting, "open", "status")
	id, _ := at(waiting, "proposal").(string)
	s.call("POST", path, `{"decision":"reject","reason":"x"}`, 409)
	list := s.call("GET", "/api/identity/proposals", "", 200)
	s.want(list, id, "items", 0, "id")
	s.want(list, true, "items", 0, "own")
	s.want(list, "same-id-other-name", "items", 0, "rules", 0, "code")
	proposal := "/api/identity/proposals/" + id
	s.call("POST", proposal, `{"decision":"confirm","reason":"自己确认"}`, 403)
	s.actor = "steward.ye"
	shown := s.call("GET", proposal, "", 200)
	s.want(shown, false, "own")
	s.want(shown, "review", "explanation", "verdict")
	s.want(shown, "诸葛**", "a", "name")
	s.call("POST", proposal, `{"decision":"maybe","reason":"x"}`, 400)
	s.call("POST", proposal, `{"decision":"confirm"}`, 422)
	done := s.call("POST", proposal, `{"decision":"confirm","reason":"已电话核实"}`, 200)
	s.want(done, "confirmed", "status")
	person := s.call("GET", "/api/identity/persons/b", "", 200)
	s.want(person, "Patient/a", "members", 0, "patient")
	s.want(person, "steward.ye", "journal", 0, "second")
	s.want(person, "hutong-policy-1", "policy")
	s.want(s.call("GET", path, "", 200), "steward.ye", "decision", "second")
	s.call("POST", proposal, `{"decision":"decline","reason":"x"}`, 409)

	undo := s.call("POST", "/api/identity/journal/"+at(done, "journal").(string)+"/undo", `{"reason":"弄错了"}`, 202)
	s.want(undo, "undo", "proposal", "action")
	shown = s.call("GET", "/api/identity/proposals/"+at(undo, "proposal", "id").(string), "", 200)
	s.want(shown, "decide-link", "entry", "action")
	s.call("POST", "/api/identity/proposals/"+at(undo, "proposal", "id").(string), `{"decision":"decline","reason":"没有弄错"}`, 200)
	s.want(s.call("GET", "/api/identity/proposals?status=done", "", 200), "declined", "items", 0, "status")
	page := s.call("GET", "/api/identity/proposals?status=done&limit=1", "", 200)
	s.want(s.call("GET", "/api/identity/proposals?status=done&limit=1&after="+at(page, "next").(string), "", 200), "confirmed", "items", 0, "status")
	s.call("GET", "/api/identity/proposals?status=odd", "", 400)
	s.call("GET", "/api/identity/proposals/w-none", "", 404)
}

func TestLinkWaits(t *testing.T) {
	t.Parallel()
	p := people()
	p["x"] = `{"resourceType":"Patient","id":"x","name":[{"text":"无名氏"}],"identifier":[{"system":"https://hutong.example/sid/emergency-temp","value":"E1"}]}`
	s := newServer(t, p)
	out := s.call("POST", "/api/identity/persons/a/link", `{"patient":"Patient/x","reason":"家属辨认"}`, 202)
	s.want(out, "link", "proposal", "action")
	s.want(out, "pending", "proposal", "status")
	s.want(s.call("GET", "/api/identity/persons/x", "", 200), nil, "members", 1)
}

// TestReports: per hospital, as JSON by pages and as CSV, with the same rows.
func TestReports(t *testing.T) {
	t.Parallel()
	record := func(id string) string { return fmt.Sprintf(zhuge, id, ","+citizenID) }
	s := newServer(t, map[string]string{"muni-1": record("muni-1"), "muni-2": record("muni-2"), "dist-1": record("dist-1"), "dist-2": record("dist-2"), "county-1": record("county-1")})
	s.feed("county-1", `{"resourceType":"Patient","id":"county-1","name":[{"text":"王建国"}],"birthDate":"1951-02-11","gender":"male"}`)
	page := s.call("GET", "/api/identity/reports/duplicates?limit=1", "", 200)
	s.want(page, "org-dist", "items", 0, "organization")
	s.want(page, "Patient/dist-1", "items", 0, "patients", 0)
	page = s.call("GET", "/api/identity/reports/duplicates?limit=1&after="+at(page, "next").(string), "", 200)
	s.want(page, "org-muni", "items", 0, "organization")
	s.want(page, nil, "next")
	s.want(s.call("GET", "/api/identity/reports/duplicates?organization=org-county", "", 200), nil, "items", 0)
	overlays := s.call("GET", "/api/identity/reports/overlays?organization=org-county", "", 200)
	s.want(overlays, "Patient/county-1", "items", 0, "patient")
	s.want(overlays, "other-name", "items", 0, "reasons", 0, "code")
	sums := s.call("GET", "/api/identity/reports/summary", "", 200)
	s.want(sums, "org-county", "organizations", 0, "organization")
	s.want(sums, float64(1), "organizations", 0, "overlays")
	s.want(sums, float64(2), "organizations", 2, "records")

	for report, want := range map[string]string{
		"duplicates?format=csv&organization=org-muni": "organization|org-muni",
		"overlays?format=csv":                         "organization|org-county",
	} {
		w := s.send("GET", "/api/identity/reports/"+report, "", 200)
		rows, err := csv.NewReader(w.Body).ReadAll()
		if err != nil || len(rows) != 2 || rows[0][0]+"|"+rows[1][0] != want || w.Header().Get("Content-Type") != "text/csv; charset=utf-8" {
			t.Errorf("%s: %v %v", report, rows, err)
		}
		if strings.Contains(fmt.Sprint(rows), "诸葛") || strings.Contains(fmt.Sprint(rows), "500112") {
			t.Errorf("%s: a report names a person: %v", report, rows)
		}
	}
	s.call("GET", "/api/identity/reports/overlays?format=xml", "", 400)
	s.call("GET", "/api/identity/reports/overlays?after=!", "", 400)
	s.want(s.call("GET", "/api/identity/reports/shadow", "", 200), nil, "models", 0)
	s.call("GET", "/api/identity/reports/shadow?model=none", "", 404)
	s.want(s.call("GET", "/api/identity/policy", "", 200), "hutong-policy-1", "version")
	s.noAudit = true
	s.send("GET", "/api/identity/reports/duplicates?format=csv", "", 503)
}
