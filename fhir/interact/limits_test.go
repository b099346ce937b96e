package interact_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/fhir/interact/outcome"
	"hutong/fhir/search"
	"hutong/fhir/store"
)

// forgetful is a store that keeps no snapshot but the newest.
type forgetful struct{ store.Store }

func (s forgetful) Snapshot(ctx context.Context, t fhir.T) (store.Snapshot, error) {
	if t != 0 {
		return nil, fhir.Errorf(fhir.Gone, "the snapshot is no longer kept")
	}
	return s.Store.Snapshot(ctx, t)
}

func TestAnExpiredPageIsGone(t *testing.T) {
	t.Parallel()
	h := build(t, func(c *interact.Config) { c.Store = forgetful{c.Store} })
	h.put("", pat("a", "1"), pat("b", "2"))
	ctx, c := context.Background(), interact.SystemCaller("")
	b, err := h.Search(ctx, c, interact.SearchRequest{Type: "Patient", Query: "_count=1"})
	if err != nil {
		t.Fatal(err)
	}
	next := b.Links[len(b.Links)-1]
	_, err = h.Search(ctx, c, interact.SearchRequest{Type: "Patient", Query: next.URL[len(base+"/Patient?"):]})
	if next.Relation != "next" || !errors.Is(err, fhir.E(fhir.Gone)) {
		t.Errorf("%+v: %v", next, err)
	}
}

// stubborn is a store in which somebody else is always first.
type stubborn struct {
	store.Store
	commits int
}

func (s *stubborn) Commit(context.Context, store.Tx) (store.Result, error) {
	s.commits++
	return store.Result{}, &store.OpError{Err: fhir.Errorf(fhir.Conflict, "another version")}
}

func TestAttemptsAreBounded(t *testing.T) {
	t.Parallel()
	s := &stubborn{}
	h := build(t, func(c *interact.Config) { s.Store, c.Store, c.Limits.Retries = c.Store, s, 3 })
	ctx, c := context.Background(), interact.SystemCaller("")
	if _, err := h.Update(ctx, c, patientKey("p"), []byte(pat("p", "1")), interact.WriteOptions{}); !errors.Is(err, fhir.E(fhir.Conflict)) || s.commits != 3 {
		t.Errorf("%d commits: %v", s.commits, err)
	}
}

func TestTimeIsBounded(t *testing.T) {
	t.Parallel()
	h := build(t, func(c *interact.Config) { c.Limits.Request = time.Nanosecond })
	ctx, c := context.Background(), interact.SystemCaller("")
	_, err := h.Search(ctx, c, interact.SearchRequest{Type: "Patient"})
	if outcome.KindOf(err) != fhir.Timeout {
		t.Errorf("search: %v", err)
	}
	if d := h.audit.last(); d.Err == nil {
		t.Errorf("what ran out of time is not recorded: %+v", d)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	if _, err := interact.New(interact.Config{}); err == nil {
		t.Error("nothing is needed")
	}
	h := build(t, nil)
	if h.BaseURL() != base || !h.IsType("Patient") || h.IsType("Nonsense") {
		t.Error("base or types")
	}
}

// TestAPatchIsBounded: 100,000 operations took a minute and a half of one
// processor, whatever time the request had.
func TestAPatchIsBounded(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	h.put("", pat("p", "1"))
	ops := `{"op":"add","path":"/name","value":[]}` + strings.Repeat(`,{"op":"add","path":"/name/0","value":{"text":"a"}}`, 1000)
	_, err := h.Patch(context.Background(), interact.SystemCaller(""), patientKey("p"), []byte("["+ops+"]"), interact.WriteOptions{})
	if !errors.Is(err, fhir.E(fhir.TooCostly)) {
		t.Errorf("a patch of 1001 operations: %v", err)
	}
}

func TestHistoryParameters(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	h.put("", pat("p", "1"))
	for query, want := range map[string]fhir.Kind{
		"_since=2020-01-01T00:00:00+08:00": 0, // an unescaped '+', as clients write it
		"_since=2020-01-01&_since=2021":    fhir.Invalid,
		"_count=1&_count=2":                fhir.Invalid,
	} {
		_, err := h.History(context.Background(), interact.SystemCaller(""), interact.HistoryRequest{Key: patientKey("p"), Query: query})
		if fhir.KindOf(err) != want && (err != nil || want != 0) {
			t.Errorf("%s: %v", query, err)
		}
	}
}

// TestABodyThatIsNoResource says so, and names no element of it.
func TestABodyThatIsNoResource(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	for _, body := range []string{`{}`, `[]`, `null`, `"x"`, `{"resourceType":5}`} {
		_, err := h.Create(context.Background(), interact.SystemCaller(""), "Patient", []byte(body), interact.WriteOptions{})
		if !errors.Is(err, fhir.E(fhir.Structure)) || strings.Contains(err.Error(), ".resourceType") {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// TestReadsInABundleSayWhere the fault is.
func TestReadsInABundleSayWhere(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	for _, kind := range []string{"batch", "transaction"} {
		bundle := `{"resourceType":"Bundle","type":"` + kind + `","entry":[{"request":{"method":"GET","url":"Patient/none"}}]}`
		b, err := h.Transaction(context.Background(), interact.SystemCaller(""), []byte(bundle), interact.BundleOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if answer := string(bytesOf(t, b)); !strings.Contains(answer, `"expression":["Bundle.entry[0]"]`) {
			t.Errorf("%s: %s", kind, answer)
		}
	}
}

// counting is a store that notes which searches ask for a total.
type counting struct {
	store.Store
	asked *[]bool
}

type countingSnapshot struct {
	store.Snapshot
	asked *[]bool
}

func (s counting) Snapshot(ctx context.Context, t fhir.T) (store.Snapshot, error) {
	snap, err := s.Store.Snapshot(ctx, t)
	return countingSnapshot{snap, s.asked}, err
}

func (s countingSnapshot) Search(ctx context.Context, q *search.Query) (store.Page, error) {
	*s.asked = append(*s.asked, q.Total)
	return s.Snapshot.Search(ctx, q)
}

// permitting is a caller whose permissions change.
type permitting struct {
	interact.Caller
	see *search.Restriction
}

func (c permitting) Restrict(context.Context, interact.Op, []fhir.Key) (search.Restriction, error) {
	return *c.see, nil
}

// TestATotalLeftOutStaysOut: what the first page did not count to its end is not
// begun again by the next.
func TestATotalLeftOutStaysOut(t *testing.T) {
	t.Parallel()
	var asked []bool
	h := build(t, func(c *interact.Config) { c.Store = counting{c.Store, &asked} })
	var all []string
	for i := range search.TotalWithin + 10 {
		all = append(all, fmt.Sprintf(`{"resourceType":"Observation","id":"o%d","status":"final","code":{"text":"a"},"effectiveDateTime":"%d"}`, i, 1000+i))
	}
	h.put("", all...)
	for _, c := range []struct {
		query string
		total int
		asked []bool
	}{{"_count=2", -1, []bool{true, false}}, {"_count=2&_total=accurate", len(all), []bool{true, false}}, {"_count=2&_total=none", -1, []bool{false, false}}} {
		asked = nil
		query := c.query
		for range 2 {
			b, err := h.Search(context.Background(), interact.SystemCaller(""), interact.SearchRequest{Type: "Observation", Query: query})
			if err != nil || b.Total != c.total {
				t.Fatalf("%s: total %d, %v", query, b.Total, err)
			}
			query = b.Links[len(b.Links)-1].URL[len(base+"/Observation?"):]
		}
		if !slices.Equal(asked, c.asked) {
			t.Errorf("%s: counted %v", c.query, asked)
		}
	}
}

// TestATotalIsCountedOnce: by the first page; again only if the caller's view
// is another.
func TestATotalIsCountedOnce(t *testing.T) {
	t.Parallel()
	var asked []bool
	h := build(t, func(c *interact.Config) { c.Store = counting{c.Store, &asked} })
	h.put("", pat("a", "1"), pat("b", "2"), pat("c", "3"), pat("d", "4"))
	see := search.Unrestricted()
	c := permitting{interact.SystemCaller(""), &see}
	query, totals := "_count=1", []int{}
	for page := range 3 {
		if page == 2 {
			see = search.Restriction{Decided: true, Permit: []search.Rule{{}}, Deny: []search.Rule{{Keys: []fhir.Key{patientKey("d")}}}}
		}
		b, err := h.Search(context.Background(), c, interact.SearchRequest{Type: "Patient", Query: query})
		if err != nil {
			t.Fatal(err)
		}
		totals = append(totals, b.Total)
		query = b.Links[len(b.Links)-1].URL[len(base+"/Patient?"):]
	}
	if !slices.Equal(totals, []int{4, 4, 3}) || !slices.Equal(asked, []bool{true, false, true}) {
		t.Errorf("totals %v, counted %v", totals, asked)
	}
}

// TestBlanketCallers: whom nothing binds is answered by one search; for another
// the patients whom the query describes are looked up before, without bodies.
func TestBlanketCallers(t *testing.T) {
	t.Parallel()
	var asked []bool
	h := build(t, func(c *interact.Config) { c.Store = counting{c.Store, &asked} })
	h.put("", `{"resourceType":"Patient","id":"p","gender":"female"}`)
	everything := search.Unrestricted()
	for _, c := range []struct {
		caller   interact.Caller
		searches int
	}{{interact.SystemCaller(""), 1}, {permitting{interact.SystemCaller(""), &everything}, 2}} {
		asked = nil
		b, err := h.Search(context.Background(), c.caller, interact.SearchRequest{Type: "Patient", Query: "gender=female"})
		if err != nil || len(b.Entries) != 1 {
			t.Fatalf("%d entries, %v", len(b.Entries), err)
		}
		if len(asked) != c.searches {
			t.Errorf("%T: %d searches, want %d", c.caller, len(asked), c.searches)
		}
	}
}
