package consent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
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
	"hutong/fhir/rest"
	"hutong/fhir/search"
	"hutong/fhir/store/disk"
	"hutong/gateway/audit"
	"hutong/gateway/consent"
	"hutong/gateway/principal"
)

const custodian = "org-exchange"

// world is a repository behind the policy: real store, real search, real HTTP.
type world struct {
	t      testing.TB
	url    string
	fhir   *interact.Service
	policy *consent.Policy
	who    principal.Principal // of the next request
	now    time.Time
	events []audit.Event
	mu     sync.Mutex
}

// people: Patient/muni-1 and Patient/dist-1 are one person, who is the resident.
type people struct{}

func (people) Members(_ context.Context, k fhir.Key) ([]fhir.Key, error) {
	one := []fhir.Key{{Type: "Patient", ID: "muni-1"}, {Type: "Patient", ID: "dist-1"}}
	if slices.Contains(one, k) || k.ID == "person-1" {
		return one, nil
	}
	return []fhir.Key{k}, nil
}

func (people) ByIdentifier(_ context.Context, _, value string) (fhir.Key, error) {
	if value == "card-1" {
		return fhir.Key{Type: "Patient", ID: "person-1"}, nil
	}
	if value == "card-2" {
		return fhir.Key{Type: "Patient", ID: "other"}, nil
	}
	return fhir.Key{}, fhir.E(fhir.NotFound)
}

func (w *world) Event(_ context.Context, e audit.Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
	return nil
}

var setOnce = sync.OnceValue(definition.R4)

func newWorld(t testing.TB) *world {
	t.Helper()
	gin.SetMode(gin.TestMode)
	defs, options := setOnce(), search.Options{}
	extractor, parser := search.NewExtractor(defs, options), search.NewParser(defs, options)
	st, err := disk.Open(t.TempDir(), disk.Options{Extract: extractor.ExtractBody})
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	w := &world{t: t, now: time.Now()}
	w.fhir, err = interact.New(interact.Config{Store: st, Defs: defs, Extractor: extractor, Parser: parser, Persons: people{}, Now: func() time.Time { return w.now }})
	must(t, err)
	w.policy, err = consent.New(consent.Config{
		Reader: consent.StoreReader{Store: st, Parser: parser}, Persons: people{}, Writer: w.fhir, Auditor: w,
		Custodian: custodian, Now: func() time.Time { return w.now },
	})
	must(t, err)
	server, err := rest.New(rest.Config{Service: w.fhir, Caller: w.policy.FromRequest})
	must(t, err)
	r := gin.New()
	as := func(c *gin.Context) {
		who := w.who
		c.Request = c.Request.WithContext(principal.With(c.Request.Context(), &who))
	}
	server.Mount(r.Group("/fhir", as))
	w.policy.Mount(r.Group("/api", as))
	hs := httptest.NewServer(r)
	t.Cleanup(hs.Close)
	w.url = hs.URL
	w.seed()
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// as sets who asks next.
func (w *world) as(p principal.Principal) *world { w.who = p; return w }

func his(org string) principal.Principal {
	return principal.Principal{Subject: "his-" + org, Roles: []principal.Role{principal.HIS}, Organization: org, Scopes: []string{"system/*.cruds"}}
}

func doctor(name, org string, roles ...principal.Role) principal.Principal {
	return principal.Principal{
		Subject: name, Roles: append(roles, principal.Clinician), Organization: org, Practitioner: name, Scopes: []string{"user/*.rs"},
	}
}

var (
	drZhou   = doctor("zhou", "clinic")
	drLin    = doctor("lin", "muni")
	drHan    = doctor("han", "county", principal.Emergency)
	resident = principal.Principal{
		Subject: "resident", Roles: []principal.Role{principal.Resident}, IdentifierSystem: "s", IdentifierValue: "card-1",
		Scopes: []string{"patient/*.rs", "patient/Consent.cruds"},
	}
	steward = principal.Principal{Subject: "qi", Roles: []principal.Role{principal.Steward}, Scopes: []string{"user/*.rs"}}
	auditor = principal.Principal{Subject: "shen", Roles: []principal.Role{principal.Auditor}, Scopes: []string{"user/*.rs"}}
)

func (w *world) do(method, path, body string, header ...string) (int, string) {
	w.t.Helper()
	req, err := http.NewRequest(method, w.url+path, strings.NewReader(body))
	must(w.t, err)
	req.Header.Set("Content-Type", "application/fhir+json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	must(w.t, err)
	defer res.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(res.Body)
	must(w.t, err)
	return res.StatusCode, b.String()
}

func (w *world) put(org, body string) {
	w.t.Helper()
	var k struct{ ResourceType, ID string }
	must(w.t, json.Unmarshal([]byte(body), &k))
	if status, answer := w.as(his(org)).do(http.MethodPut, "/fhir/"+k.ResourceType+"/"+k.ID, body); status != http.StatusCreated && status != http.StatusOK {
		w.t.Fatalf("put %s/%s: %d %s", k.ResourceType, k.ID, status, answer)
	}
}

// found gives the ids of a search, and holds the total to them.
func (w *world) found(path string) []string {
	w.t.Helper()
	status, answer := w.do(http.MethodGet, "/fhir/"+path, "")
	var b struct {
		Total int
		Entry []struct {
			Resource struct{ ID string }
			Search   struct{ Mode string }
		}
	}
	if status != http.StatusOK {
		w.t.Fatalf("%s: %d %s", path, status, answer)
	}
	must(w.t, json.Unmarshal([]byte(answer), &b))
	ids := []string{}
	for _, e := range b.Entry {
		if e.Search.Mode == "match" {
			ids = append(ids, e.Resource.ID)
		}
	}
	if b.Total != len(ids) {
		w.t.Errorf("%s: total %d, %d matches", path, b.Total, len(ids))
	}
	slices.Sort(ids)
	return ids
}

func (w *world) status(path string) int {
	w.t.Helper()
	status, _ := w.do(http.MethodGet, "/fhir/"+path, "")
	return status
}

func (w *world) expect(who principal.Principal, path string, want ...string) {
	w.t.Helper()
	if got := w.as(who).found(path); !slices.Equal(got, want) {
		w.t.Errorf("%s, %s: %v, want %v", who.Subject, path, got, want)
	}
}

func observation(id, patient, more string) string {
	return fmt.Sprintf(`{"resourceType":"Observation","id":%q,"status":"final","code":{"coding":[{"system":"http://loinc.org","code":"718-7"}]},"subject":{"reference":"Patient/%s"},"effectiveDateTime":"2026-01-02"%s}`, id, patient, more)
}

func encounter(id, patient, status, more string) string {
	return fmt.Sprintf(`{"resourceType":"Encounter","id":%q,"status":%q,"class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"},"subject":{"reference":"Patient/%s"}%s}`, id, status, patient, more)
}

// seed: the person has records at muni and dist; the clinic treats them.
// Patient/other is somebody else, at dist.
func (w *world) seed() {
	for _, org := range []string{"muni", "dist", "clinic", "county"} {
		w.put(org, fmt.Sprintf(`{"resourceType":"Organization","id":%q,"name":%q}`, org, org))
	}
	w.put("muni", `{"resourceType":"Patient","id":"muni-1","name":[{"family":"Wang"}]}`)
	w.put("dist", `{"resourceType":"Patient","id":"dist-1","name":[{"family":"Wang"}]}`)
	w.put("dist", `{"resourceType":"Patient","id":"other","name":[{"family":"Li"}]}`)
	w.put("muni", observation("o-muni", "muni-1", ""))
	w.put("dist", observation("o-dist", "dist-1", ""))
	w.put("dist", observation("o-hiv", "dist-1", `,"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"HIV"}]}`))
	w.put("dist", observation("o-other", "other", ""))
	w.put("clinic", encounter("e-clinic", "muni-1", "in-progress", ""))
}
