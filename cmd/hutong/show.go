package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"hutong/profiles"
	"hutong/testdata/region"
)

// show is what the demonstration tells its audience: addresses, logins and
// commands that work as printed.
type show struct {
	dir, url string
	hero     region.Facts
	guest    guest
}

// files are the request bodies that the printed commands send.
func (s *show) files() (map[string]any, error) {
	var order, count map[string]any
	if err := json.Unmarshal(s.hero.Order, &order); err != nil {
		return nil, fmt.Errorf("the demonstration's order: %w", err)
	}
	if err := json.Unmarshal(s.hero.OrderBloodCount, &count); err != nil {
		return nil, fmt.Errorf("the demonstration's order: %w", err)
	}
	type m = map[string]any
	type l = []any
	return map[string]any{
		"match.json": m{"resourceType": "Parameters", "parameter": l{m{"name": "resource", "resource": m{
			"resourceType": "Patient", "identifier": l{m{"system": profiles.HealthCard, "value": s.hero.HealthCard}},
		}}}},
		"order-sign.json": m{
			"hook": "order-sign", "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea", "fhirServer": s.url + "/fhir",
			"context": m{
				"userId": "Practitioner/prac-zhou", "patientId": s.clinicRecord(), "encounterId": s.hero.Encounter,
				"draftOrders": m{"resourceType": "Bundle", "type": "collection", "entry": l{m{"resource": order}, m{"resource": count}}},
			},
		},
		"consultation.json": m{
			"patient": s.guest.Patient, "invitedOrg": region.OrgMuni, "priority": "routine",
			"question": "反复乏力一周，请会诊指导用药。", "documents": s.guest.Documents,
		},
		"break-glass.json": m{"patient": "Patient/" + s.clinicRecord(), "reasonCode": "unconscious", "reason": "昏迷入院，无法取得授权"},
	}, nil
}

// clinicRecord is the Patient id of the resident at the township clinic.
func (s *show) clinicRecord() string {
	for _, r := range s.hero.Records {
		if r.Org == region.OrgClinic {
			return r.Patient
		}
	}
	return ""
}

func (s *show) writeFiles() error {
	files, err := s.files()
	if err != nil {
		return err
	}
	for name, content := range files {
		raw, err := json.MarshalIndent(content, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(s.dir, name), append(raw, '\n'), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// command is one line that the audience can copy.
type command struct{ says, line string }

// tokens set the shell variables that the other commands use.
func (s *show) tokens() []command {
	user := func(name, variable string) string {
		return fmt.Sprintf("%s=$(bin/hutong token --url %s --user %s --password-file %s/password)", variable, s.url, name, s.dir)
	}
	return []command{
		{"a hospital's system (signed JWT, client credentials)", fmt.Sprintf("HIS=$(bin/hutong token --url %s --client his-muni --key %s/keys/his-muni.pem)", s.url, s.dir)},
		{"a clinician of the township clinic", user("dr.zhou", "ZHOU")},
		{"a specialist of the municipal hospital", user("dr.lin", "LIN")},
		{"an emergency doctor of the district hospital", user("dr.han", "HAN")},
		{"a data steward", user("steward.qi", "STEWARD")},
		{"an auditor", user("auditor.shen", "AUDITOR")},
	}
}

// steps are the story.
func (s *show) steps() []command {
	const body = `-H 'Content-Type: application/fhir+json'`
	const plain = `-H 'Content-Type: application/json'`
	get := func(token, path string) string {
		return fmt.Sprintf("curl -sg -H \"Authorization: Bearer $%s\" '%s%s'", token, s.url, path)
	}
	post := func(token, kind, file, path string) string {
		return fmt.Sprintf("curl -s -H \"Authorization: Bearer $%s\" %s --data @%s/%s '%s%s'", token, kind, s.dir, file, s.url, path)
	}
	patient := "Patient/" + s.clinicRecord()
	return []command{
		{"the hospital reads what it posted", get("HIS", "/fhir/Patient?_count=1&_summary=true")},
		{"one card, one person: all records of the holder of a health card", post("ZHOU", body, "match.json", "/fhir/Patient/$match")},
		{"one history across hospitals, newest first, exact total", get("ZHOU", "/fhir/Observation?patient="+patient+"&category=laboratory&_count=5")},
		{"the same result was measured three days ago elsewhere: 互认", post("ZHOU", plain, "order-sign.json", "/cds-services/order-sign")},
		{"ask a specialist for a consultation on two documents", post("ZHOU", plain, "consultation.json", "/api/consultations")},
		{"outside the documents of a grant: 403", get("LIN", "/fhir/"+s.guest.Outside)},
		{"break the glass, with a reason that the resident sees", post("HAN", plain, "break-glass.json", "/api/breakglass")},
		{"possible matches that wait for a steward", get("STEWARD", "/api/identity/queue?status=open&limit=5")},
		{"the audit chain is whole", fmt.Sprintf("bin/hutong verify-audit --url %s --user auditor.shen --password-file %s/password", s.url, s.dir)},
	}
}

// print tells the audience.
func (s *show) print(w io.Writer) {
	password, _ := os.ReadFile(filepath.Join(s.dir, "password"))
	fmt.Fprintf(w, "\nHutong 互通 is running: %s   (Ctrl-C stops it; delete %s to start anew)\n\n", s.url, s.dir)
	fmt.Fprintf(w, "  resident   %s/resident/   login: resident   (%s, health card %s)\n", s.url, s.hero.Name, s.hero.HealthCard)
	fmt.Fprintf(w, "  console    %s/console/    logins: %s\n", s.url, strings.Join(consoleLogins(), ", "))
	fmt.Fprintf(w, "  password   %s   (all of them)\n", strings.TrimSpace(string(password)))
	fmt.Fprintf(w, "  FHIR R4    %s/fhir/metadata\n\nTokens, each good for some minutes:\n\n", s.url)
	printCommands(w, s.tokens())
	fmt.Fprintf(w, "The story:\n\n")
	printCommands(w, s.steps())
	fmt.Fprintf(w, "Ready at %s.\n", time.Now().Format(time.TimeOnly))
}

func printCommands(w io.Writer, list []command) {
	for _, c := range list {
		fmt.Fprintf(w, "  # %s\n  %s\n\n", c.says, c.line)
	}
}

func consoleLogins() []string {
	var out []string
	for _, u := range region.Users() {
		if !u.Resident {
			out = append(out, u.Login)
		}
	}
	return out
}
