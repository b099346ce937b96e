package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hutong/testdata/region"
)

// hookServer is a hospital's endpoint: it remembers what it was told.
type hookServer struct {
	*httptest.Server
	mu      sync.Mutex
	about   []string // what the calls named, in order
	trouble []string // calls that say more than they may
	down    bool
}

func newHook(t *testing.T, base, secret string) *hookServer {
	h := &hookServer{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		if r.Method != http.MethodPost || len(body) > 0 || r.Header.Get("Authorization") != secret {
			h.trouble = append(h.trouble, fmt.Sprintf("%s %d bytes, %v", r.Method, len(body), r.Header))
		}
		if h.down {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		for _, link := range r.Header.Values("Link") {
			if at, ok := strings.CutSuffix(link, `>; rel="about"`); ok {
				h.about = append(h.about, strings.TrimPrefix(at, "<"+base+"/fhir/"))
			}
		}
	}))
	t.Cleanup(func() {
		h.Close()
		for _, x := range h.trouble {
			t.Error("the endpoint was sent", x)
		}
	})
	return h
}

func (h *hookServer) set(down bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down = down
}

// hears waits until the endpoint has been told of exactly these, repeats aside.
func (h *hookServer) hears(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		h.mu.Lock()
		got = slices.Compact(slices.Clone(h.about))
		h.mu.Unlock()
		if len(got) >= len(want) {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("the endpoint heard of %v, want %v", got, want)
	}
}

// result posts a new laboratory result about a record of the hero, as its
// hospital, and gives its reference.
func (s *stage) result(org string) string {
	s.t.Helper()
	i := slices.IndexFunc(s.hero.Records, func(r region.Record) bool { return r.Org == org })
	r := s.hero.Records[i]
	body := fmt.Sprintf(`{"resourceType":"Observation","status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}]}],`+
		`"code":{"coding":[{"system":"http://loinc.org","code":"2823-3"}]},"subject":{"reference":"Patient/%s"},"effectiveDateTime":%q,"valueQuantity":{"value":3.2,"unit":"mmol/L","system":"http://unitsofmeasure.org","code":"mmol/L"}}`,
		s.recordID(r), time.Now().UTC().Format(time.RFC3339))
	return "Observation/" + decodeResource(s.t, s.do(clientOfOrg(org), "POST", "/fhir/Observation", []byte(body)).is(201).body).ID
}

// subscribe posts a Subscription and waits until it is active.
func (s *stage) subscribe(client, criteria string, h *hookServer, secret string) string {
	s.t.Helper()
	made := s.do(client, "POST", "/fhir/Subscription", map[string]any{
		"resourceType": "Subscription", "status": "requested", "reason": "new results of our patients", "criteria": criteria,
		"channel": map[string]any{"type": "rest-hook", "endpoint": h.URL + "/hook", "header": []string{"Authorization: " + secret}},
	}).is(201)
	id := decodeResource(s.t, made.body).ID
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		a := s.do(client, "GET", "/fhir/Subscription/"+id, nil).is(200)
		if strings.Contains(string(a.body), secret) {
			s.t.Fatalf("the header is shown: %s", a.body)
		}
		if r := decodeResource(s.t, a.body); r.Status == "active" {
			return id
		} else if r.Status == "error" || time.Now().After(end) {
			s.t.Fatalf("not active: %s", a.body)
		}
	}
}

// TestAHospitalHearsOfResultsElsewhere: the clinic, which treats the resident,
// is told that another hospital has a new result, without a word of it, and its
// doctor reads it; once the resident stops that hospital from sharing, nobody
// is told anything. A restart loses nothing.
func TestAHospitalHearsOfResultsElsewhere(t *testing.T) {
	s := raise(t, 6)
	i := slices.IndexFunc(s.hero.Records, func(r region.Record) bool { return r.Org == region.OrgClinic })
	criteria := "Observation?category=laboratory&patient=Patient/" + s.recordID(s.hero.Records[i])
	clinic, stranger := newHook(t, s.url, "Bearer clinic-1"), newHook(t, s.url, "Bearer dist-1")
	id := s.subscribe("his-clinic", criteria, clinic, "Bearer clinic-1")
	s.subscribe("his-dist", "Observation?category=laboratory", stranger, "Bearer dist-1")

	first := s.result(region.OrgMuni)
	clinic.hears(t, first)
	s.do("dr.zhou", "GET", "/fhir/"+first, nil).is(200)
	s.do("his-clinic", "GET", "/fhir/"+first, nil).is(404) // systems read their own; people read across, in their name
	notified := func() (n int) {
		events, _ := s.all("resident", "/fhir/AuditEvent?patient="+s.person()+"&_count=200")
		for _, raw := range events {
			if text := string(raw); strings.Contains(text, "$notify") {
				n++
				if !strings.Contains(text, "his-clinic") || !strings.Contains(text, region.OrgClinic) {
					t.Errorf("the record does not say who was told: %s", text)
				}
			}
		}
		return n
	}
	if n := notified(); n != 1 {
		t.Errorf("the resident sees %d notifications in the log, want 1", n)
	}

	// What a subscriber keeps to itself: other hospitals, doctors, everybody.
	s.do("his-dist", "GET", "/fhir/Subscription/"+id, nil).is(404)
	if a := s.do("dr.zhou", "GET", "/fhir/Subscription/"+id, nil); a.status == 200 {
		t.Errorf("a doctor reads a Subscription: %s", a.body)
	}
	if mine, _ := s.all("his-dist", "/fhir/Subscription"); len(mine) != 1 {
		t.Errorf("the district hospital sees %d subscriptions, want its own", len(mine))
	}
	socket := map[string]any{"resourceType": "Subscription", "status": "requested", "reason": "x", "criteria": "Observation", "channel": map[string]any{"type": "websocket"}}
	s.do("his-clinic", "POST", "/fhir/Subscription", socket).is(422)
	s.do("dr.zhou", "POST", "/fhir/Subscription", socket).is(403)

	// The resident stops the municipal hospital from sharing.
	consent := s.consent("CST", "Organization/"+region.OrgMuni)
	s.do("resident", "POST", "/fhir/Consent", consent).is(201)
	hidden := s.result(region.OrgMuni)
	second := s.result(region.OrgCounty)
	clinic.hears(t, first, second)
	s.do("dr.zhou", "GET", "/fhir/"+hidden, nil).is(403)

	// A receiver that is away, and a restart meanwhile.
	clinic.set(true)
	third := s.result(region.OrgCounty)
	s.stop()
	s.start()
	clinic.set(false)
	fourth := s.result(region.OrgCounty)
	clinic.hears(t, first, second, third, fourth)
	stranger.hears(t)
	if n := notified(); n < 4 {
		t.Errorf("the resident sees %d notifications in the log, want 4 or, with repeats, more", n)
	}

	var statement struct {
		Rest []struct {
			Resource []struct{ Type, Documentation string }
		}
	}
	s.do("", "GET", "/fhir/metadata", nil).is(200).into(&statement)
	if !slices.ContainsFunc(statement.Rest[0].Resource, func(r struct{ Type, Documentation string }) bool {
		return r.Type == "Subscription" && strings.Contains(r.Documentation, "rest-hook")
	}) {
		t.Error("the CapabilityStatement does not say how Subscriptions are served")
	}
	var report struct{ Whole bool }
	if s.do("auditor.shen", "GET", "/api/audit/verify", nil).is(200).into(&report); !report.Whole {
		t.Error("the audit chain is broken")
	}
}
