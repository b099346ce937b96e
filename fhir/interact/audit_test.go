package interact_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"hutong/fhir"
	"hutong/fhir/interact"
)

func TestEverythingIsAudited(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	h.put("org-a", pat("pa", "1"), obs("oa", "pa"))
	h.put("org-b", pat("pb", "2"), obs("ob", "pb"))
	ctx := context.Background()
	a := hospital("org-a")
	oa, ob := fhir.Key{Type: "Observation", ID: "oa"}, fhir.Key{Type: "Observation", ID: "ob"}
	pa, pb := patientKey("pa"), patientKey("pb")
	for _, c := range []struct {
		name     string
		run      func() error
		op       string
		keys     []fhir.Key
		patients []fhir.Key
		total    int
		refused  bool
	}{
		{"read", func() error { return second(h.Read(ctx, a, oa)) }, "read", []fhir.Key{oa}, []fhir.Key{pa}, -1, false},
		{"denied read", func() error { return second(h.Read(ctx, a, ob)) }, "read", []fhir.Key{ob}, []fhir.Key{pb}, -1, true},
		{"absent", func() error { return second(h.Read(ctx, a, patientKey("none"))) }, "read", []fhir.Key{patientKey("none")}, []fhir.Key{patientKey("none")}, -1, true},
		{"vread", func() error { return second(h.VRead(ctx, a, oa, 1)) }, "vread", []fhir.Key{oa}, []fhir.Key{pa}, -1, false},
		{"search", func() error {
			return second(h.Search(ctx, a, interact.SearchRequest{Type: "Observation", Query: "_include=Observation:subject"}))
		}, "search-type", []fhir.Key{oa, pa}, []fhir.Key{pa}, 1, false},
		{"bad search", func() error {
			return second(h.Search(ctx, a, interact.SearchRequest{Type: "Observation", Query: "nonsense=1"}))
		}, "search-type", nil, nil, -1, true},
		{"history", func() error { return second(h.History(ctx, a, interact.HistoryRequest{Key: oa})) }, "history-instance", []fhir.Key{oa}, []fhir.Key{pa}, 1, false},
		{"update", func() error {
			return second(h.Update(ctx, a, oa, []byte(obs("oa", "pa")), interact.WriteOptions{}))
		}, "update", []fhir.Key{oa}, []fhir.Key{pa}, -1, false},
		{"denied update", func() error {
			return second(h.Update(ctx, a, ob, []byte(obs("ob", "pb")), interact.WriteOptions{}))
		}, "update", []fhir.Key{ob}, []fhir.Key{pb}, -1, true},
		{"transaction", func() error {
			return second(h.Transaction(ctx, a, []byte(`{"resourceType":"Bundle","type":"transaction","entry":[{"resource":`+obs("oa", "pa")+`,"request":{"method":"PUT","url":"Observation/oa"}}]}`), interact.BundleOptions{}))
		}, "transaction", []fhir.Key{oa}, []fhir.Key{pa}, -1, false},
		{"bad transaction", func() error {
			return second(h.Transaction(ctx, a, []byte(`{`), interact.BundleOptions{}))
		}, "transaction", nil, nil, -1, true},
		{"delete", func() error { return second(h.Delete(ctx, a, oa, interact.WriteOptions{})) }, "delete", []fhir.Key{oa}, []fhir.Key{pa}, -1, false},
	} {
		before := h.audit.len()
		err := c.run()
		d := h.audit.last()
		if (err != nil) != c.refused || h.audit.len() != before+1 {
			t.Errorf("%s: error %v, %d records", c.name, err, h.audit.len()-before)
			continue
		}
		if d.Op.Interaction != c.op || !slices.Equal(d.Keys, c.keys) || !slices.Equal(d.Patients, c.patients) || d.Total != c.total ||
			(d.Err != nil) != c.refused || d.At.IsZero() || d.Caller != a {
			t.Errorf("%s: recorded %+v", c.name, d)
		}
	}
}

func TestNoAuditNoAnswer(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	h.put("org-a", pat("pa", "1"))
	h.audit.err = errors.New("disk full")
	ctx := context.Background()
	a := hospital("org-a")
	r, err := h.Read(ctx, a, patientKey("pa"))
	if !errors.Is(err, fhir.E(fhir.Busy)) || len(r.Body.Raw) != 0 {
		t.Errorf("read: %v, %d bytes", err, len(r.Body.Raw))
	}
	b, err := h.Search(ctx, a, interact.SearchRequest{Type: "Patient"})
	if !errors.Is(err, fhir.E(fhir.Busy)) || b != nil {
		t.Errorf("search: %v", err)
	}
	if _, err := h.Read(ctx, a, patientKey("none")); !errors.Is(err, fhir.E(fhir.Busy)) {
		t.Errorf("even a refusal is recorded: %v", err)
	}
	w, err := h.Create(ctx, a, "Patient", []byte(`{"resourceType":"Patient"}`), interact.WriteOptions{})
	if !errors.Is(err, fhir.E(fhir.Busy)) || len(w.Resource.Body.Raw) != 0 {
		t.Errorf("create: %v", err)
	}
}
