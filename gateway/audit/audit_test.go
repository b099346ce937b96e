package audit_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/definition"
	"hutong/fhir/interact"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/fhir/store/disk"
	"hutong/fhir/validate"
	"hutong/gateway/audit"
	"hutong/gateway/principal"
)

var (
	defs      = sync.OnceValue(definition.R4)
	extractor = sync.OnceValue(func() *search.Extractor { return search.NewExtractor(defs(), search.Options{}) })
	validator = sync.OnceValues(func() (*validate.Validator, error) { return validate.New(validate.Options{}) })
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openStore(t *testing.T, dir string) *disk.Store {
	t.Helper()
	st, err := disk.Open(dir, disk.Options{Extract: extractor().ExtractBody})
	must(t, err)
	return st
}

func openLog(t *testing.T, st store.Store, change func(*audit.Config)) *audit.Log {
	t.Helper()
	cfg := audit.Config{Store: st, Extractor: extractor(), Custodian: "org-exchange", Persons: people{}, Log: zerolog.Nop()}
	if change != nil {
		change(&cfg)
	}
	l, err := audit.Open(t.Context(), cfg)
	must(t, err)
	return l
}

// closeAll ends the log before its store, as a server does.
func closeAll(t *testing.T, l *audit.Log, st store.Store) {
	t.Helper()
	must(t, l.Close(context.Background()))
	must(t, st.Close())
}

// people: Patient/a1 and Patient/a2 are one person.
type people struct{}

func (people) Members(_ context.Context, k fhir.Key) ([]fhir.Key, error) {
	one := []fhir.Key{{Type: "Patient", ID: "a1"}, {Type: "Patient", ID: "a2"}}
	if slices.Contains(one, k) {
		return one, nil
	}
	return []fhir.Key{k}, nil
}

var drLin = &principal.Principal{
	Subject: "dr.lin", Name: "林清", Client: "console-app", Organization: "org-muni", Practitioner: "prac-lin",
	Roles: []principal.Role{principal.Clinician}, Purpose: "TREAT",
}

// caller stands for the gateway's caller.
type caller struct {
	interact.Caller
	purpose string
}

func (caller) Principal() *principal.Principal { return drLin }
func (c caller) Purpose() string               { return c.purpose }

func disclosure(patients ...string) interact.Disclosure {
	d := interact.Disclosure{
		Op: interact.Op{Interaction: "search-type", Type: "Observation"}, Query: "patient=a1&code=718-7", Total: 1,
		Keys: []fhir.Key{{Type: "Observation", ID: "o1"}}, Caller: caller{purpose: "BTG"},
		At: time.Date(2026, 3, 1, 4, 5, 6, 0, time.UTC),
	}
	for _, id := range patients {
		d.Patients = append(d.Patients, fhir.Key{Type: "Patient", ID: id})
	}
	return d
}

// find searches AuditEvents as the resident's page does.
func find(t *testing.T, st store.Store, query string) []fhir.Resource {
	t.Helper()
	req, err := search.NewParser(defs(), search.Options{}).Parse("AuditEvent", query+"&_count=1000")
	must(t, err)
	snap, err := st.Snapshot(t.Context(), 0)
	must(t, err)
	defer snap.Close()
	req.Query.Restriction = search.Unrestricted()
	page, err := snap.Search(t.Context(), &req.Query)
	must(t, err)
	return page.Matches
}

func valid(t *testing.T, r *fhir.Resource) {
	t.Helper()
	d, err := codec.Parse(r.JSON(), codec.DefaultLimits())
	must(t, err)
	v, err := validator()
	must(t, err)
	for _, issue := range v.Resource(d, 0, "AuditEvent") {
		if issue.Severity == fhir.ErrorLevel || issue.Severity == fhir.Fatal {
			t.Errorf("%s: %s\n%s", issue.Expression, issue.Text, r.JSON())
		}
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	st := openStore(t, t.TempDir())
	l := openLog(t, st, nil)
	defer closeAll(t, l, st)
	ctx := principal.WithOrigin(t.Context(), principal.Origin{Address: "192.0.2.7"})
	must(t, l.Record(ctx, disclosure("a1", "a2")))
	got := find(t, st, "patient=Patient/a2")
	if len(got) != 1 || got[0].ID != "audit-000000000001" || got[0].Facts.Custodian != "org-exchange" {
		t.Fatalf("%+v", got)
	}
	valid(t, &got[0])
	var e struct {
		Type, PurposeOfEvent any
		Subtype              []struct{ Code string }
		Action, Recorded     string
		Outcome              string
		Agent                []struct {
			Who       struct{ Reference string }
			AltID     string
			Requestor bool
			Network   struct{ Address string }
		}
		Entity []struct {
			What  struct{ Reference string }
			Query string
		}
	}
	must(t, json.Unmarshal(got[0].JSON(), &e))
	if e.Action != "E" || e.Outcome != "0" || e.Recorded != "2026-03-01T04:05:06.000Z" || e.Subtype[0].Code != "search-type" || !strings.Contains(fmt.Sprint(e.PurposeOfEvent), "BTG") {
		t.Errorf("%+v", e)
	}
	if e.Agent[0].Who.Reference != "Practitioner/prac-lin" || e.Agent[0].AltID != "dr.lin" || !e.Agent[0].Requestor || e.Agent[0].Network.Address != "192.0.2.7" || len(e.Agent) != 3 {
		t.Errorf("agents %+v", e.Agent)
	}
	query, err := base64.StdEncoding.DecodeString(e.Entity[3].Query)
	if err != nil || string(query) != "patient=a1&code=718-7" || e.Entity[2].What.Reference != "Observation/o1" {
		t.Errorf("entities %+v %v", e.Entity, err)
	}
	for _, query := range []string{"agent=Practitioner/prac-lin", "entity=Observation/o1", "agent=Organization/org-muni", "subtype=search-type", "outcome=0", "address=192.0.2.7"} {
		if n := len(find(t, st, query)); n != 1 {
			t.Errorf("%s: %d", query, n)
		}
	}
}

// TestOneResidentHearsOfNobodyElse: an answer about several people makes one
// event a person, and none of them names another.
func TestOneResidentHearsOfNobodyElse(t *testing.T) {
	t.Parallel()
	st := openStore(t, t.TempDir())
	l := openLog(t, st, nil)
	defer closeAll(t, l, st)
	d := disclosure("a1", "b", "a2")
	d.Query = "name=Wang"
	d.Keys = []fhir.Key{{Type: "Patient", ID: "a1"}, {Type: "Patient", ID: "b"}, {Type: "Patient", ID: "a2"}}
	must(t, l.Record(t.Context(), d))
	for id, others := range map[string][]string{"a1": {"Patient/b"}, "a2": {"Patient/b"}, "b": {"Patient/a1", "Patient/a2"}} {
		got := find(t, st, "patient=Patient/"+id)
		if len(got) != 1 {
			t.Fatalf("%s has %d events", id, len(got))
		}
		valid(t, &got[0])
		for _, other := range others {
			if body := string(got[0].Body.Raw); strings.Contains(body, other) || strings.Contains(body, base64.StdEncoding.EncodeToString([]byte(d.Query))) {
				t.Errorf("%s hears of others: %s", id, body)
			}
		}
	}
	all := find(t, st, "")
	if len(all) != 3 {
		t.Errorf("%d events", len(all))
	}
	if whole := find(t, st, "_id=audit-000000000001"); len(whole) != 1 || len(whole[0].Facts.Patients) != 0 {
		t.Errorf("the whole is in a patient's compartment: %+v", whole)
	}
}

// TestAnUnmatchedAlternativeIsNotTold: of two people that a query names one is
// found; her log tells what was seen, not the query that names the other.
func TestAnUnmatchedAlternativeIsNotTold(t *testing.T) {
	t.Parallel()
	for query, told := range map[string]bool{
		"patient=a1&code=718-7&_sort=-date,code": true, "patient=a1,b": false, "patient=a1%2cb": false, "_id=a1,b": false,
	} {
		st := openStore(t, t.TempDir())
		l := openLog(t, st, nil)
		d := disclosure("a1")
		d.Query = query
		must(t, l.Record(t.Context(), d))
		got := find(t, st, "patient=Patient/a1")
		if len(got) != 1 {
			t.Fatalf("%s: %d events", query, len(got))
		}
		valid(t, &got[0])
		body := string(got[0].Body.Raw)
		if strings.Contains(body, base64.StdEncoding.EncodeToString([]byte(query))) != told || !strings.Contains(body, d.Keys[0].String()) {
			t.Errorf("%s: %s", query, body)
		}
		closeAll(t, l, st)
	}
}

func TestManyResources(t *testing.T) {
	t.Parallel()
	st := openStore(t, t.TempDir())
	l := openLog(t, st, nil)
	defer closeAll(t, l, st)
	d := disclosure("a1")
	d.Op, d.Keys, d.Query, d.Total = interact.Op{Interaction: "transaction"}, nil, "", -1
	for i := range 300 {
		d.Keys = append(d.Keys, fhir.Key{Type: "Observation", ID: fmt.Sprint("o", i)})
	}
	must(t, l.Record(t.Context(), d))
	got := find(t, st, "patient=Patient/a1")
	valid(t, &got[0])
	for _, id := range []string{"o0", "o31", "o32", "o299"} {
		if !strings.Contains(string(got[0].Body.Raw), `"Observation/`+id+`"`) {
			t.Errorf("%s is not on record", id)
		}
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	st := openStore(t, t.TempDir())
	l := openLog(t, st, nil)
	defer closeAll(t, l, st)
	actions := []audit.Action{
		audit.Login, audit.LoginFailed, audit.Logout, audit.TokenIssued, audit.TokenRefused, audit.TokenRevoked, audit.Denied,
		audit.BreakGlass, audit.ConsentChange, audit.AccountChange, audit.Workflow, audit.Identity, "something-new",
	}
	for _, a := range actions {
		must(t, l.Event(t.Context(), audit.Event{Action: a, Subject: "dr.lin", Failed: a == audit.LoginFailed, Reason: "why", Patients: []fhir.Key{{Type: "Patient", ID: "a1"}}}))
	}
	must(t, l.Event(principal.With(t.Context(), drLin), audit.Event{Action: audit.Denied, Failed: true}))
	for _, a := range actions {
		got := find(t, st, "subtype="+string(a)+"&patient=Patient/a1")
		if len(got) != 1 {
			t.Fatalf("%s: %d", a, len(got))
		}
		valid(t, &got[0])
	}
	if n := len(find(t, st, "outcome=4")); n != 2 {
		t.Errorf("%d failures", n)
	}
	if n := len(find(t, st, "agent=Practitioner/prac-lin")); n != 1 {
		t.Errorf("the principal of the context: %d", n)
	}
}

func TestRefusedInteraction(t *testing.T) {
	t.Parallel()
	st := openStore(t, t.TempDir())
	l := openLog(t, st, nil)
	defer closeAll(t, l, st)
	for kind, outcome := range map[fhir.Kind]string{fhir.Forbidden: "4", fhir.NotFound: "4", fhir.Internal: "8"} {
		d := disclosure("a1")
		d.Err = fhir.Errorf(kind, "the name is Wang")
		must(t, l.Record(t.Context(), d))
		got := find(t, st, "patient=Patient/a1&outcome="+outcome+"&_sort=-date")
		if len(got) == 0 || strings.Contains(string(got[0].Body.Raw), "Wang") {
			t.Errorf("%d: %d events", kind, len(got))
		}
	}
}
