package interact_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"testing"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/testdata/sharedata"
)

// taps is a store that remembers what is committed.
type taps struct {
	store.Store
	ops []store.Op
}

func (s *taps) Commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	s.ops = append(s.ops, tx.Ops...)
	return s.Store.Commit(ctx, tx)
}

// TestIndexEqualsTheStoredBody: entries and facts taken from the sender's
// parse, with what the server stamped, are those of the stored body. Engines
// rely on it when they clear the postings of a superseded version.
func TestIndexEqualsTheStoredBody(t *testing.T) {
	t.Parallel()
	tap := &taps{}
	h := build(t, func(c *interact.Config) { tap.Store, c.Store = c.Store, tap })
	caller := hospital("org-a")
	caller.stamp.Source = "urn:source"
	caller.stamp.Labels = []fhir.Coding{{System: "urn:label", Code: "restricted"}, {System: "urn:label", Code: "sent"}}
	files := sharedata.Files(t, "synthea-train/*.json")[:2]
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b = bytes.Replace(b, []byte(`"meta":{"tag":[`), []byte(`"link":[{"other":{"reference":"Patient/other"},"type":"seealso"}],"meta":{"source":"urn:theirs","security":[{"system":"urn:label","code":"sent"}],"tag":[{"system":"urn:t","code":"x"},{"system":"https://hutong.example/fhir/CodeSystem/custodian","code":"forged"},`), 1)
		if _, err := h.Transaction(context.Background(), caller, b, interact.BundleOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, op := range tap.ops {
		entries, facts, err := h.extractor.ExtractBody(op.Body, op.Key)
		if err != nil {
			t.Fatal(err)
		}
		facts.Custodian = "org-a"
		if !reflect.DeepEqual(facts, op.Facts) {
			t.Errorf("%s: facts %+v, of the body %+v", op.Key, op.Facts, facts)
		}
		if got, want := bag(t, op.Entries), bag(t, entries); !slices.Equal(got, want) {
			t.Errorf("%s: entries %v, of the body %v", op.Key, got, want)
		}
	}
	if len(tap.ops) < 100 {
		t.Errorf("only %d resources compared", len(tap.ops))
	}
}

// bag writes entries in a comparable order.
func bag(t *testing.T, entries []search.Entry) []string {
	t.Helper()
	list := make([]string, len(entries))
	for i, e := range entries {
		e.Param = nil
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		list[i] = entries[i].Param.Code + " " + string(b)
	}
	slices.Sort(list)
	return list
}
