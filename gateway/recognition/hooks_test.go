package recognition_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/interact"
	"hutong/fhir/search"
	"hutong/fhir/store/disk"
	"hutong/fhir/validate"
	"hutong/gateway/consent"
	"hutong/gateway/principal"
	"hutong/gateway/recognition"
	"hutong/profiles"
	"hutong/testdata/region"
)

// world is the exchange as far as recognition needs it, with the resident's
// records of three hospitals: real store, real search, real consent, real HTTP.
type world struct {
	t       *testing.T
	url     string
	fhir    *interact.Service
	members []fhir.Key
	hero    region.Facts
	who     principal.Principal
	lang    string
	now     time.Time
	mu      sync.Mutex
}

// Members joins the resident's records, as the MPI would.
func (w *world) Members(_ context.Context, k fhir.Key) ([]fhir.Key, error) {
	if slices.Contains(w.members, k) {
		return w.members, nil
	}
	return []fhir.Key{k}, nil
}

func (w *world) ByIdentifier(context.Context, string, string) (fhir.Key, error) {
	return fhir.Key{}, fhir.E(fhir.NotFound)
}

var (
	r4    = sync.OnceValue(definition.R4)
	quiet = sync.OnceFunc(func() { gin.SetMode(gin.TestMode) }) // a global of gin's
)

func newWorld(t *testing.T) *world {
	t.Helper()
	quiet()
	w := &world{t: t, now: region.DefaultNow(), who: zhou()}
	x := search.NewExtractor(r4(), search.Options{})
	parser := search.NewParser(r4(), search.Options{})
	db, err := disk.Open(t.TempDir(), disk.Options{Extract: x.ExtractBody})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	rules, err := validate.New(validate.Options{Profiles: profiles.StructureDefinitions()})
	must(t, err)
	clock := func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now }
	w.fhir, err = interact.New(interact.Config{Store: db, Defs: r4(), Extractor: x, Parser: parser, Validator: rules, Persons: w, Now: clock})
	must(t, err)
	policy, err := consent.New(consent.Config{Reader: consent.StoreReader{Store: db, Parser: parser}, Persons: w, Custodian: region.OrgExchange, Now: clock})
	must(t, err)
	catalogue, err := profiles.NewCatalogue()
	must(t, err)
	s, err := recognition.New(recognition.Config{
		Records: w.fhir, Callers: policy, Catalogue: catalogue, Space: db.Space("recognition"), BaseURL: "https://exchange.example",
		Custodian: region.OrgExchange, Now: clock,
	})
	must(t, err)
	w.load()
	r := gin.New()
	r.Use(func(c *gin.Context) {
		w.mu.Lock()
		defer w.mu.Unlock()
		who := w.who
		c.Request = c.Request.WithContext(principal.With(c.Request.Context(), &who))
	})
	s.Mount(r.Group("/cds-services"), r.Group("/api/recognition"))
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

func zhou() principal.Principal {
	return principal.Principal{
		Subject: "dr.zhou", Name: "周文", Roles: []principal.Role{principal.Clinician}, Organization: region.OrgClinic,
		Practitioner: "prac-zhou", Scopes: []string{"user/*.cruds"}, Purpose: "TREAT",
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// load posts the registry and the resident's bundles, each as its hospital.
func (w *world) load() {
	o := region.Options{People: 1, Seed: 3}
	w.hero = region.Hero(o)
	for p := range region.Generate(o) {
		_, err := w.fhir.Transaction(context.Background(), interact.SystemCaller(p.Org), p.Bundle, interact.BundleOptions{})
		must(w.t, err)
	}
	for _, r := range w.hero.Records {
		b, err := w.fhir.Search(context.Background(), interact.SystemCaller(""), interact.SearchRequest{Type: "Patient", Query: "identifier=" + r.System + "|" + r.MRN})
		must(w.t, err)
		w.members = append(w.members, b.Entries[0].Resource.Key)
	}
}

type reply struct {
	t      *testing.T
	status int
	body   []byte
}

func (w *world) do(method, path string, body any) reply {
	w.t.Helper()
	var sent io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		must(w.t, err)
		sent = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, w.url+path, sent)
	must(w.t, err)
	req.Header.Set("Accept-Language", w.lang)
	res, err := http.DefaultClient.Do(req)
	must(w.t, err)
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	must(w.t, err)
	return reply{w.t, res.StatusCode, out}
}

func (r reply) is(status int) reply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	return r
}

func (r reply) into(v any) {
	r.t.Helper()
	must(r.t, json.Unmarshal(r.body, v))
}

type card struct {
	UUID, Summary, Detail, Indicator, SelectionBehavior string
	Suggestions                                         []struct {
		UUID, Label string
		Actions     []struct {
			Type, ResourceID string
			Resource         map[string]any
		}
	}
	OverrideReasons []struct{ Code, System, Display string }
	Links           []struct{ Label, URL, Type string }
}

func (w *world) sign(hook string, selections []string, orders ...[]byte) []card {
	w.t.Helper()
	var entries []any
	for _, o := range orders {
		entries = append(entries, map[string]any{"resource": json.RawMessage(o)})
	}
	var out struct{ Cards []card }
	w.do("POST", "/cds-services/"+hook, w.call(hook, selections, entries)).is(200).into(&out)
	return out.Cards
}

func (w *world) call(hook string, selections []string, entries []any) map[string]any {
	return map[string]any{
		"hook": hook, "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
		"context": map[string]any{
			"userId": "Practitioner/prac-zhou", "patientId": w.members[0].ID, "encounterId": w.hero.Encounter, "selections": selections,
			"draftOrders": map[string]any{"resourceType": "Bundle", "entry": entries},
		},
	}
}

func TestCards(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var services struct{ Services []struct{ Hook, ID string } }
	w.do("GET", "/cds-services", nil).is(200).into(&services)
	if len(services.Services) != 2 || services.Services[0].ID != "order-select" || services.Services[1].Hook != "order-sign" {
		t.Errorf("discovery: %+v", services)
	}
	cards := w.sign("order-sign", nil, w.hero.Order, w.hero.OrderBloodCount)
	if len(cards) != 2 {
		t.Fatalf("%d cards for two orders", len(cards))
	}
	for _, c := range cards {
		if !strings.Contains(c.Summary, "互认") || len([]rune(c.Summary)) >= 140 || len(c.OverrideReasons) != 6 || len(c.Links) == 0 {
			t.Errorf("card: %+v", c)
		}
		a := c.Suggestions[0].Actions
		if len(a) != 2 || a[0].Type != "delete" || !strings.HasPrefix(a[0].ResourceID, "ServiceRequest/draft-") || a[1].Resource["resourceType"] != "Task" {
			t.Errorf("actions: %+v", a)
		}
	}
	if !strings.Contains(cards[0].Summary, "mmol/L") || !strings.Contains(cards[0].Links[0].URL, w.hero.Potassium) {
		t.Errorf("potassium: %+v", cards[0])
	}
	if strings.Count(cards[1].Detail, "10*9/L") != 2 || !strings.Contains(cards[1].Detail, "室间质评合格") || !strings.Contains(cards[1].Detail, "互认标识已核验") {
		t.Errorf("blood count: %s", cards[1].Detail)
	}
	w.lang = "en-GB,en;q=0.9"
	if c := w.sign("order-sign", nil, w.hero.Order); !strings.HasPrefix(c[0].Summary, "Recognised") || !strings.Contains(c[0].OverrideReasons[5].Display, "text required") {
		t.Errorf("in English: %+v", c[0])
	}
	if c := w.sign("order-select", []string{"ServiceRequest/draft-cbc"}, w.hero.Order, w.hero.OrderBloodCount); len(c) != 1 || !strings.Contains(c[0].Summary, "Complete blood count") {
		t.Errorf("only what is selected: %+v", c)
	}
}

// No card where a clause fails: too old, no such item, one's own result.
func TestNoCard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.now = w.hero.Collected.Add(7 * 24 * time.Hour)
	if c := w.sign("order-sign", nil, w.hero.Order); len(c) != 1 {
		t.Errorf("at the end of the window: %d cards", len(c))
	}
	w.now = w.now.Add(time.Second)
	if c := w.sign("order-sign", nil, w.hero.Order); len(c) != 0 {
		t.Errorf("after the window: %+v", c)
	}
	w.now = region.DefaultNow()
	unknown := []byte(`{"resourceType":"ServiceRequest","id":"x","status":"draft","intent":"order","code":{"coding":[{"system":"http://loinc.org","code":"0-0"}]},"subject":{"reference":"Patient/1"}}`)
	if c := w.sign("order-sign", nil, unknown); len(c) != 0 {
		t.Errorf("an order of no item: %+v", c)
	}
	w.who.Organization = region.OrgMuni
	if c := w.sign("order-sign", nil, w.hero.Order); len(c) != 0 {
		t.Errorf("the hospital's own result: %+v", c)
	}
	w.who = zhou()
	w.who.Purpose = "HOPERAT"
	if r := w.do("POST", "/cds-services/order-sign", w.call("order-sign", nil, []any{map[string]any{"resource": json.RawMessage(w.hero.Order)}})); r.status == 200 && strings.Contains(string(r.body), `"uuid"`) {
		t.Errorf("a card for another purpose: %s", r.body)
	}
}

func TestHookErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := func() map[string]any { return w.call("order-sign", nil, nil) }
	for name, tt := range map[string]struct {
		path   string
		body   func() any
		status int
	}{
		"wrong hook":   {"/cds-services/order-select", func() any { return good() }, 400},
		"unknown hook": {"/cds-services/patient-view", func() any { b := good(); b["hook"] = "patient-view"; return b }, 404},
		"no instance":  {"/cds-services/order-sign", func() any { b := good(); delete(b, "hookInstance"); return b }, 400},
		"no patient":   {"/cds-services/order-sign", func() any { b := good(); b["context"] = map[string]any{"patientId": "a b"}; return b }, 400},
		"not JSON":     {"/cds-services/order-sign", func() any { return "x" }, 400},
		"no feedback":  {"/cds-services/order-sign/feedback", func() any { return map[string]any{} }, 400},
		"no card":      {"/cds-services/order-sign/feedback", func() any { return feedback("nobody", nil) }, 404},
	} {
		w.do("POST", tt.path, tt.body()).is(tt.status)
		_ = name
	}
	// A clinician who does not treat the patient gets no results.
	w.who.Organization, w.who.Practitioner = region.OrgDist, "prac-han"
	b := w.call("order-sign", nil, []any{map[string]any{"resource": json.RawMessage(w.hero.Order)}})
	w.do("POST", "/cds-services/order-sign", b).is(403)
}

func feedback(card string, more map[string]any) map[string]any {
	f := map[string]any{"card": card, "outcome": "accepted", "outcomeTimestamp": "2026-11-20T02:00:00Z"}
	for k, v := range more {
		f[k] = v
	}
	return map[string]any{"feedback": []any{f}}
}

func declined(code, comment string) map[string]any {
	return map[string]any{"outcome": "overridden", "overrideReason": map[string]any{
		"reason": map[string]any{"code": code, "system": profiles.HRDecline}, "userComment": comment,
	}}
}

func (w *world) tasks() []fhir.Resource {
	w.t.Helper()
	b, err := w.fhir.Search(context.Background(), interact.SystemCaller(""), interact.SearchRequest{Type: "Task", Query: "code=mutual-recognition-decision&_count=100"})
	must(w.t, err)
	var out []fhir.Resource
	for _, e := range b.Entries {
		out = append(out, e.Resource)
	}
	return out
}

func TestDecisions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cards := w.sign("order-sign", nil, w.hero.Order, w.hero.OrderBloodCount)
	give := func(card string, more map[string]any) reply {
		return w.do("POST", "/cds-services/order-sign/feedback", feedback(card, more))
	}
	k, cbc := cards[0].UUID, cards[1].UUID
	for name, more := range map[string]map[string]any{
		"no reason":          {"outcome": "overridden"},
		"unknown reason":     declined("tired", ""),
		"the system's own":   declined("out-of-window", ""),
		"other, no words":    declined("other", "  "),
		"too many words":     declined("other", strings.Repeat("字", 601)),
		"reason on adopt":    {"outcome": "accepted", "overrideReason": declined("emergency", "")["overrideReason"]},
		"no outcome":         {"outcome": ""},
		"wrong suggestion":   {"acceptedSuggestions": []any{map[string]any{"id": "x"}}},
		"supersedes nothing": {"supersedes": "Task/x", "outcome": "maybe"},
	} {
		if r := give(k, more); r.status != 422 || !strings.Contains(string(r.body), "feedback[0]") {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	if n := len(w.tasks()); n != 0 {
		t.Fatalf("%d decisions recorded of refused feedback", n)
	}
	// Another hospital's card is not there.
	w.who.Organization = region.OrgDist
	give(k, nil).is(404)
	w.who = zhou()
	w.who.Roles = []principal.Role{principal.Coordinator}
	give(k, nil).is(403)
	w.who = zhou()
	give(k, map[string]any{"acceptedSuggestions": []any{map[string]any{"id": cards[0].Suggestions[0].UUID}}}).is(200)
	give(k, nil).is(409)
	give(k, declined("emergency", "")).is(409)
	give(cbc, declined("other", "术前复查")).is(200)
	tasks := w.tasks()
	if len(tasks) != 2 {
		t.Fatalf("%d decisions", len(tasks))
	}
	for _, task := range tasks {
		if task.Facts.Custodian != region.OrgExchange || task.VersionID != 1 {
			t.Errorf("kept by %q, version %d", task.Facts.Custodian, task.VersionID)
		}
		w.checkTask(task, k)
	}
}

func (w *world) checkTask(task fhir.Resource, adopted string) {
	w.t.Helper()
	body := string(task.Body.Raw)
	want := []string{`"decline"`, `"other"`, "术前复查", "58410-2", "DiagnosticReport/" + w.hero.BloodCount + "/_history/1"}
	if strings.Contains(body, adopted) {
		want = []string{`"adopt"`, "2823-3", "Observation/" + w.hero.Potassium + "/_history/1"}
	}
	for _, s := range append(want, `"Practitioner/prac-zhou"`, `"#order"`, "Encounter/"+w.hero.Encounter) {
		if !strings.Contains(body, s) {
			w.t.Errorf("Task without %s: %s", s, body)
		}
	}
	p, err := w.fhir.Read(context.Background(), interact.SystemCaller(""), fhir.Key{Type: "Provenance", ID: task.ID + "-p"})
	if err != nil || !strings.Contains(string(p.Body.Raw), "Task/"+task.ID) {
		w.t.Errorf("Provenance: %v %s", err, p.Body.Raw)
	}
}

// A correction supersedes the newest decision; both are kept.
func TestCorrection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	card := w.sign("order-sign", nil, w.hero.Order)[0].UUID
	decide := func(more map[string]any) reply {
		f := feedback(card, more)["feedback"].([]any)[0]
		return w.do("POST", "/api/recognition/decisions", f)
	}
	decide(map[string]any{"supersedes": "Task/none"}).is(422)
	var first, second struct{ Task string }
	decide(nil).is(201).into(&first)
	decide(declined("rapid-progression", "")).is(409)
	change := declined("rapid-progression", "")
	change["supersedes"] = first.Task
	decide(change).is(201).into(&second)
	decide(change).is(409)
	back := map[string]any{"supersedes": first.Task}
	decide(back).is(409) // only the newest can be corrected
	if len(w.tasks()) != 2 || first.Task == second.Task {
		t.Errorf("decisions %v", w.tasks())
	}
	for _, task := range w.tasks() {
		if task.String() == second.Task && !strings.Contains(string(task.Body.Raw), first.Task) {
			t.Errorf("the correction does not name what it corrects: %s", task.Body.Raw)
		}
	}
}

// Of many decisions at once one is made.
func TestRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	card := w.sign("order-sign", nil, w.hero.Order)[0].UUID
	codes := []string{"condition-mismatch", "rapid-progression", "before-major-measure", "emergency", "forensic-disability", "serial-monitoring"}
	var wg sync.WaitGroup
	statuses := make([]int, 24)
	for i := range statuses {
		wg.Go(func() {
			statuses[i] = w.do("POST", "/cds-services/order-sign/feedback", feedback(card, declined(codes[i%len(codes)], fmt.Sprint(i)))).status
		})
	}
	wg.Wait()
	made := 0
	for _, s := range statuses {
		if s == 200 {
			made++
		} else if s != 409 {
			t.Errorf("status %d", s)
		}
	}
	if made != 1 || len(w.tasks()) != 1 {
		t.Errorf("%d decisions made, %d recorded", made, len(w.tasks()))
	}
}
