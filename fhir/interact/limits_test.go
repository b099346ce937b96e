package interact_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/fhir/interact/outcome"
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
