package rest_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/store/disk"
	"hutong/mpi"
	"hutong/mpi/policy"
	"hutong/mpi/report"
	"hutong/mpi/rest"
)

// server is the API over an index with a handful of people. full is what
// Authorize says of unmasked values.
type server struct {
	t         *testing.T
	h         http.Handler
	full      bool
	deny      string // action refused
	noAudit   bool
	disclosed []fhir.Key
	actor     string // "" is steward.qi
	x         *mpi.Index
	tick      atomic.Int64
	patients  map[string]string
	versions  map[string]uint64
}

func newServer(t *testing.T, patients map[string]string) *server {
	t.Helper()
	s := &server{t: t, patients: patients, versions: map[string]uint64{}}
	st, err := disk.Open("mpi", disk.Options{VFS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	now := time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC)
	read := func(_ context.Context, k fhir.Key) (fhir.Resource, error) {
		raw, ok := patients[k.ID]
		if !ok {
			return fhir.Resource{}, fhir.E(fhir.NotFound)
		}
		return fhir.Resource{Version: fhir.Version{Key: k, VersionID: s.versions[k.ID], LastUpdated: now, Method: fhir.Created}, Body: fhir.Body{Raw: []byte(raw)}, Facts: fhir.Facts{Custodian: custodianOf(k.ID)}}, nil
	}
	x, err := mpi.Open(t.Context(), mpi.Config{Space: st.Space("mpi"), Read: read, Now: func() time.Time { return now.Add(time.Duration(s.tick.Add(1)) * time.Millisecond) }})
	if err != nil {
		t.Fatal(err)
	}
	s.x = x
	for _, id := range slices.Sorted(maps.Keys(patients)) {
		s.feed(id, patients[id])
	}
	rules, err := policy.Default()
	if err != nil {
		t.Fatal(err)
	}
	h, err := rest.New(rest.Config{Index: x, BaseURL: "https://hie.example/fhir", Reports: report.Reader{Space: st.Space("mpi")}, Policy: rules, Authorize: s.authorize, Disclosed: s.disclose})
	if err != nil {
		t.Fatal(err)
	}
	gin.SetMode(gin.TestMode)
	r := gin.New()
	h.Mount(r.Group("/api/identity"))
	r.POST("/fhir/Patient/$match", h.Match)
	r.GET("/fhir/Patient/:id/$person", h.Person)
	r.GET("/fhir/Patient/$ihe-pix", h.CrossReference)
	s.h = r
	return s
}

// custodianOf: the part of an id before a dash names its hospital.
func custodianOf(id string) string {
	org, _, _ := strings.Cut(id, "-")
	return "org-" + org
}

// feed stores a new version of a Patient and lets the index hear of it.
func (s *server) feed(id, body string) {
	s.t.Helper()
	s.patients[id] = body
	s.versions[id]++
	if err := s.x.Feed(s.t.Context(), fhir.Key{Type: "Patient", ID: id}, s.versions[id]); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) authorize(_ *gin.Context, action string) (string, error) {
	if action == s.deny || action == rest.ActionFull && !s.full {
		return "", fhir.Errorf(fhir.Forbidden, "not allowed")
	}
	return cmp.Or(s.actor, "steward.qi"), nil
}

func (s *server) disclose(_ *gin.Context, _ string, about []fhir.Key) error {
	s.disclosed = append(s.disclosed, about...)
	if s.noAudit {
		return fhir.Errorf(fhir.Busy, "the audit trail cannot be written")
	}
	return nil
}

// send sends a request.
func (s *server) send(method, path, body string, status int) *httptest.ResponseRecorder {
	s.t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/fhir+json")
	s.h.ServeHTTP(w, r)
	if w.Code != status {
		s.t.Fatalf("%s %s: status %d, want %d: %s", method, path, w.Code, status, w.Body)
	}
	return w
}

// bodyForms sends a body as the FHIR interface takes it and as it does not.
func (s *server) bodyForms(path, body string) {
	s.t.Helper()
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(body))
	_ = z.Close()
	for _, c := range []struct {
		kind, encoding, body string
		status               int
	}{
		{"application/fhir+json", "gzip", zipped.String(), 200},
		{"application/json; charset=utf-8", "", body, 200},
		{"application/fhir+json", "br", body, 415},
		{"application/x-www-form-urlencoded", "", body, 415},
		{"", "", body, 415},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", path, strings.NewReader(c.body))
		r.Header.Set("Content-Type", c.kind)
		r.Header.Set("Content-Encoding", c.encoding)
		if s.h.ServeHTTP(w, r); w.Code != c.status {
			s.t.Errorf("%s as %q, %q: status %d, want %d", path, c.kind, c.encoding, w.Code, c.status)
		}
	}
}

// call sends a request and reads the JSON answer.
func (s *server) call(method, path, body string, status int) map[string]any {
	s.t.Helper()
	w := s.send(method, path, body, status)
	var out map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		s.t.Fatalf("%s %s: %v: %s", method, path, err, w.Body)
	}
	return out
}

// at walks a JSON value: at(v, "items", 0, "id").
func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

func (s *server) want(v any, want any, path ...any) {
	s.t.Helper()
	if got := at(v, path...); got != want {
		s.t.Errorf("%v: got %v, want %v", path, got, want)
	}
}

const zhuge = `{"resourceType":"Patient","id":"%s","name":[{"text":"诸葛雨桐"}],"birthDate":"1980-05-01","gender":"female","telecom":[{"system":"phone","value":"13812345678"}],"address":[{"text":"澄江市青溪区柳荫路十二号院三单元"}]%s}`

func people() map[string]string {
	return map[string]string{
		"a": fmt.Sprintf(zhuge, "a", `,"identifier":[{"system":"urn:oid:2.16.156.10011.1.3","value":"500112198005010028"}]`),
		"b": fmt.Sprintf(zhuge, "b", ""),
	}
}

func TestQueueStory(t *testing.T) {
	t.Parallel()
	s := newServer(t, people())
	list := s.call("GET", "/api/identity/queue", "", 200)
	s.want(list, float64(1), "open")
	s.want(list, "诸葛**", "items", 0, "a", "name")
	s.want(list, "org-a", "items", 0, "a", "organization")
	s.want(list, "likely", "items", 0, "kind")
	if len(s.disclosed) == 0 {
		t.Error("the list was disclosed without a record")
	}
	path := "/api/identity/queue/" + at(list, "items", 0, "id").(string)
	task := s.call("GET", path, "", 200)
	s.want(task, "citizenId", "explanation", "fields", 0, "field")
	s.want(task, "review", "explanation", "verdict")
	s.want(task, "**", "explanation", "fields", 3, "a")
	if w := at(task, "explanation", "fields", 3, "words", "zh-CN"); w == "" || w == nil {
		t.Error("no words")
	}
	if share, ok := at(task, "explanation", "fields", 3, "frequency").(float64); !ok || share <= 0 || share > 0.01 {
		t.Errorf("how common the given name is: %v", share)
	}
	s.call("POST", path, `{"decision":"link","reason":"  "}`, 422)
	s.call("POST", path, `{"decision":"maybe","reason":"x"}`, 400)
	done := s.call("POST", path, `{"decision":"link","reason":"核对户口簿"}`, 200)
	s.want(done, "done", "status")
	s.want(done, "steward.qi", "decision", "by")
	s.call("POST", path, `{"decision":"reject","reason":"x"}`, 409)
	person := s.call("GET", "/api/identity/persons/b", "", 200)
	s.want(person, "Patient/a", "members", 0, "patient")
	s.want(person, "steward.qi", "links", 0, "by")
	s.want(person, "decide-link", "journal", 0, "action")
	undone := s.call("POST", "/api/identity/journal/"+at(done, "decision", "journal").(string)+"/undo", `{"reason":"弄错了"}`, 200)
	s.want(undone, "undo", "action")
	s.want(s.call("GET", "/api/identity/queue", "", 200), float64(1), "open")
	s.call("POST", "/api/identity/journal/"+at(done, "decision", "journal").(string)+"/undo", `{"reason":"弄错了"}`, 409)
}

func TestSplitStory(t *testing.T) {
	t.Parallel()
	p := people()
	p["b"] = fmt.Sprintf(zhuge, "b", `,"identifier":[{"system":"urn:oid:2.16.156.10011.1.3","value":"500112198005010028"}]`)
	s := newServer(t, p)
	s.call("POST", "/api/identity/persons/a/split", `{"members":["Patient/x"],"reason":"r"}`, 422)
	s.call("POST", "/api/identity/persons/a/split", `{"members":["b"],"reason":"r"}`, 400)
	out := s.call("POST", "/api/identity/persons/a/split", `{"members":["Patient/b"],"reason":"冒用"}`, 200)
	s.want(out, "split", "journal", "action")
	s.want(s.call("GET", "/api/identity/persons/b", "", 200), nil, "members", 1)
}

func TestLinkStory(t *testing.T) {
	t.Parallel()
	s := newServer(t, people())
	out := s.call("POST", "/api/identity/persons/a/link", `{"patient":"Patient/b","reason":"家属辨认"}`, 200)
	s.want(out, "decide-link", "journal", "action")
	s.want(s.call("GET", "/api/identity/queue", "", 200), float64(0), "open")
	s.call("POST", "/api/identity/persons/a/link", `{"patient":"Patient/b","reason":"again"}`, 409)
	s.call("POST", "/api/identity/persons/a/link", `{"patient":"b","reason":"r"}`, 400)
}

func TestMatch(t *testing.T) {
	t.Parallel()
	s := newServer(t, people())
	ask := func(extra string) string {
		return `{"resourceType":"Parameters","parameter":[{"name":"resource","resource":{"resourceType":"Patient","identifier":[{"system":"urn:oid:2.16.156.10011.1.3","value":"500112198005010028"}],"name":[{"text":"Zhuge Yutong"}],"gender":"female"}}` + extra + `]}`
	}
	b := s.call("POST", "/fhir/Patient/$match", ask(`,{"name":"onlyCertainMatches","valueBoolean":true}`), 200)
	s.want(b, "searchset", "type")
	s.want(b, float64(1), "total")
	if url, _ := at(b, "entry", 0, "fullUrl").(string); !strings.HasPrefix(url, "https://hie.example/fhir/Patient/person-") {
		t.Errorf("fullUrl is %q", url)
	}
	s.want(b, "certain", "entry", 0, "search", "extension", 0, "valueCode")
	s.want(b, "500112********0028", "entry", 0, "resource", "identifier", 0, "value")
	s.want(b, "138****5678", "entry", 0, "resource", "telecom", 0, "value")
	s.want(b, "refer", "entry", 0, "resource", "link", 0, "type")
	s.full = true
	s.want(s.call("POST", "/fhir/Patient/$match", ask(""), 200), "500112198005010028", "entry", 0, "resource", "identifier", 0, "value")
	s.bodyForms("/fhir/Patient/$match", ask(""))
	demographics := s.call("POST", "/fhir/Patient/$match", fmt.Sprintf(zhuge, "q", ""), 200)
	s.want(demographics, float64(2), "total")
	s.call("POST", "/fhir/Patient/$match", ask(`,{"name":"extra","valueBoolean":true}`), 400)
	s.call("POST", "/fhir/Patient/$match", `{"resourceType":"Parameters"}`, 400)
	s.call("POST", "/fhir/Patient/$match", `{"resourceType":"Patient"}`, 422)
	s.call("POST", "/fhir/Patient/$match", `{`, 400)
	for _, count := range []string{"0", "-1", "101"} {
		s.call("POST", "/fhir/Patient/$match", ask(`,{"name":"count","valueInteger":`+count+`}`), 400)
	}
	s.call("POST", "/fhir/Patient/$match", `{"resourceType":"Patient","name":[{"text":"诸葛明"}],"telecom":[{"system":"phone","value":"13800001111"}],"birthDate":"1.5.1980"}`, 400)
	s.noAudit = true
	if out := s.call("POST", "/fhir/Patient/$match", ask(""), 503); bytes.Contains([]byte(fmt.Sprint(out)), []byte("诸葛")) {
		t.Error("an answer left without its audit record")
	}
}

func TestPerson(t *testing.T) {
	t.Parallel()
	s := newServer(t, people())
	g := s.call("GET", "/fhir/Patient/a/$person", "", 200)
	s.want(g, "Patient/a", "link", 0, "other", "reference")
	s.call("GET", "/fhir/Patient/"+at(g, "id").(string)+"/$person", "", 200)
	s.call("GET", "/fhir/Patient/nobody/$person", "", 404)
}

func TestCrossReference(t *testing.T) {
	t.Parallel()
	p := people()
	p["b"] = fmt.Sprintf(zhuge, "b", `,"identifier":[{"system":"urn:oid:2.16.156.10011.1.3","value":"500112198005010028"},{"system":"https://hutong.example/sid/social-card","value":"A12345678"}]`)
	s := newServer(t, p)
	const path = "/fhir/Patient/$ihe-pix?sourceIdentifier="
	out := s.call("GET", path+"urn:oid:2.16.156.10011.1.3|500112800501002", "", 200)
	s.want(out, "targetIdentifier", "parameter", 0, "name")
	out = s.call("GET", path+"urn:oid:2.16.156.10011.1.3|500112198005010028", "", 200)
	s.want(out, "A12345678", "parameter", 0, "valueIdentifier", "value")
	s.want(out, "targetId", "parameter", 1, "name")
	s.want(out, "targetId", "parameter", 2, "name")
	const id = "urn:oid:2.16.156.10011.1.3|500112198005010028"
	out = s.call("GET", path+id+"&targetSystem=https://hutong.example/sid/social-card", "", 200)
	s.want(out, "A12345678", "parameter", 0, "valueIdentifier", "value")
	s.want(out, "Patient/b", "parameter", 1, "valueReference", "reference") // the record that carries it
	s.want(out, nil, "parameter", 2)
	out = s.call("GET", path+"https://hie.example/fhir|Patient/b", "", 200)
	s.want(out, "500112198005010028", "parameter", 0, "valueIdentifier", "value")
	s.want(out, "Patient/a", "parameter", 2, "valueReference", "reference")
	s.want(out, nil, "parameter", 3)
	// The failures have the status and the words of ITI-83, 2:3.83.4.2.2.
	for _, c := range []struct {
		query      string
		status     int
		code, text string
	}{
		{"https://hutong.example/sid/social-card|ZZZ", 404, "not-found", "sourceIdentifier Patient Identifier not found"},
		{"https://hie.example/fhir|Patient/none", 404, "not-found", "sourceIdentifier Patient Identifier not found"},
		{"urn:nobody|1", 400, "code-invalid", "sourceIdentifier Assigning Authority not found"},
		{id + "&targetSystem=urn:none", 403, "code-invalid", "targetSystem not found"},
		{id + "&targetSystem=https://hutong.example/sid/social-card&targetSystem=urn:none", 403, "code-invalid", "targetSystem not found"},
	} {
		out := s.call("GET", path+c.query, "", c.status)
		s.want(out, c.code, "issue", 0, "code")
		s.want(out, c.text, "issue", 0, "diagnostics")
	}
	s.call("GET", path+"500112198005010028", "", 400)
	s.call("GET", path+id+"&sourceIdentifier="+id, "", 400)
	s.call("GET", path+id+"&targetsystem=urn:none", "", 400) // not dropped
	// A number that its hospital merged away still finds the person and is not told any more (ITI-104).
	s.feed("b", fmt.Sprintf(zhuge, "b", `,"active":false,"link":[{"other":{"identifier":{"system":"urn:oid:2.16.156.10011.1.3","value":"500112198005010028"}},"type":"replaced-by"}],"identifier":[{"system":"https://hutong.example/sid/social-card","value":"A12345678"},{"system":"urn:oid:2.16.156.10011.1.3","value":"500112198005010028"}]`))
	out = s.call("GET", path+"https://hutong.example/sid/social-card|A12345678", "", 200)
	s.want(out, "500112198005010028", "parameter", 0, "valueIdentifier", "value")
	s.want(out, "Patient/a", "parameter", 1, "valueReference", "reference")
	s.want(s.call("GET", path+id, "", 200), "Patient/a", "parameter", 0, "valueReference", "reference")
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := newServer(t, people())
	for action, calls := range map[string][][2]string{
		rest.ActionMatch:          {{"POST", "/fhir/Patient/$match"}},
		rest.ActionCrossReference: {{"GET", "/fhir/Patient/$ihe-pix"}},
		rest.ActionPerson:         {{"GET", "/fhir/Patient/a/$person"}, {"GET", "/api/identity/persons/a"}},
		rest.ActionQueue:          {{"GET", "/api/identity/proposals"}, {"GET", "/api/identity/proposals/w-1"}, {"GET", "/api/identity/reports/summary"}, {"GET", "/api/identity/reports/duplicates"}, {"GET", "/api/identity/reports/overlays"}, {"GET", "/api/identity/reports/shadow"}, {"GET", "/api/identity/policy"}, {"GET", "/api/identity/queue"}, {"GET", "/api/identity/queue/t-1"}, {"GET", "/api/identity/explain?a=Patient/a&b=Patient/b"}, {"GET", "/api/identity/stats"}},
		rest.ActionDecide:         {{"POST", "/api/identity/proposals/w-1"}, {"POST", "/api/identity/persons/a/link"}, {"POST", "/api/identity/queue/t-1"}, {"POST", "/api/identity/persons/a/split"}, {"POST", "/api/identity/journal/1/undo"}},
	} {
		s.deny = action
		for _, c := range calls {
			s.want(s.call(c[0], c[1], "{}", 403), "OperationOutcome", "resourceType")
		}
	}
	s.deny = ""
	s.want(s.call("GET", "/api/identity/stats", "", 200), 0.95, "thresholds", "probable")
	s.want(s.call("GET", "/api/identity/stats", "", 200), 0.0003, "expected", "probable", "wrong")
	s.call("GET", "/api/identity/queue?limit=0", "", 400)
	s.call("GET", "/api/identity/queue?status=odd", "", 400)
	s.call("GET", "/api/identity/queue?after=xx", "", 400)
	s.call("GET", "/api/identity/queue/t-none", "", 404)
}
