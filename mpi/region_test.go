package mpi_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"hutong/fhir"
	"hutong/mpi"
	"hutong/testdata/region"
)

// regionRecords feeds the Patients of a synthetic region and gives, for each
// Patient id, its true person and how it departs from the truth.
func regionRecords(t *testing.T, b *bench, o region.Options) (person map[string]int, wrong map[string][]string) {
	t.Helper()
	person, wrong = map[string]int{}, map[string][]string{}
	truth := map[string]region.Record{}
	for r := range region.Truth(o) {
		truth[fmt.Sprintf("%d/%s", r.Person, r.Org)] = r
	}
	for p := range region.Generate(o) {
		if p.Person < 0 {
			continue
		}
		var bundle struct {
			Entry []struct{ Resource json.RawMessage }
		}
		if err := json.Unmarshal(p.Bundle, &bundle); err != nil {
			t.Fatal(err)
		}
		for _, e := range bundle.Entry {
			var body map[string]any
			if err := json.Unmarshal(e.Resource, &body); err != nil {
				t.Fatal(err)
			}
			if body["resourceType"] != "Patient" {
				continue
			}
			rec := truth[fmt.Sprintf("%d/%s", p.Person, p.Org)]
			id := fmt.Sprintf("%s-%d", p.Org, p.Person)
			if rec.Patient != "" {
				id = rec.Patient
			}
			b.feed(p.Org, id, body)
			person[id], wrong[id] = p.Person, rec.Differences
		}
	}
	return person, wrong
}

// TestRegion holds the automatic links on a synthetic region to its truth: none
// is wrong, every pair that the identity rules allow is found, and what is left
// is in the steward's queue.
func TestRegion(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	o := region.Options{People: 160, Seed: 11}
	person, wrong := regionRecords(t, b, o)
	var ids []string
	for id := range person {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	asked := map[[2]string]bool{}
	for _, task := range tasks(t, b) {
		a, c := homeOf(t, b, task.A), homeOf(t, b, task.B)
		asked[[2]string{a, c}], asked[[2]string{c, a}] = true, true
	}
	var same, linked, queued int
	var lost []string
	for i, a := range ids {
		for _, c := range ids[i+1:] {
			joined, err := b.x.Certain(t.Context(), key(a), key(c))
			if err != nil {
				t.Fatal(err)
			}
			if person[a] != person[c] {
				if joined {
					t.Errorf("%s %v and %s %v were joined and are two people", a, wrong[a], c, wrong[c])
				}
				continue
			}
			same++
			switch {
			case joined:
				linked++
			case asked[[2]string{homeOf(t, b, a), homeOf(t, b, c)}]:
				queued++
			default:
				lost = append(lost, fmt.Sprintf("%s %v / %s %v", a, wrong[a], c, wrong[c]))
			}
		}
	}
	t.Logf("%d true pairs: %d linked (%.1f%%), %d in the queue, %d unseen; %d tasks", same, linked, 100*float64(linked)/float64(same), queued, len(lost), len(tasks(t, b)))
	if found := float64(linked+queued) / float64(same); found < 0.97 {
		t.Errorf("only %.3f of the true pairs are linked or asked about:\n%s", found, strings.Join(lost, "\n"))
	}
	if share := float64(linked) / float64(same); share < 0.7 {
		t.Errorf("only %.3f of the true pairs are linked", share)
	}
	checkPairs(t, b, o)
}

// checkPairs asks the index about the pairs that the region made for stewards.
func checkPairs(t *testing.T, b *bench, o region.Options) {
	t.Helper()
	for _, p := range region.Pairs(o) {
		a, c := patientOf(p.A), patientOf(p.B)
		joined, err := b.x.Certain(t.Context(), key(a), key(c))
		if err != nil {
			t.Fatal(err)
		}
		e, err := b.x.Explain(t.Context(), key(a), key(c))
		if err != nil {
			t.Fatal(err)
		}
		if joined {
			t.Errorf("a steward's pair (same=%v) was joined: %s %s %v", p.Same, a, c, e.Rules)
		}
		if e.Verdict != "review" {
			t.Errorf("a steward's pair (same=%v) is not asked about: %s %v / %s %v: %s %.4f %v", p.Same, a, p.A.Differences, c, p.B.Differences, e.Verdict, e.Probability, e.Rules)
		}
	}
}

func patientOf(r region.Record) string {
	if r.Patient != "" {
		return r.Patient
	}
	return fmt.Sprintf("%s-%d", r.Org, r.Person)
}

func homeOf(t *testing.T, b *bench, id string) string {
	t.Helper()
	p, ok, err := b.x.PersonOf(t.Context(), fhir.Key{Type: "Patient", ID: id})
	if err != nil || !ok {
		t.Fatal(id, ok, err)
	}
	return p.ID
}

// tasks lists the whole open queue, page by page.
func tasks(t *testing.T, b *bench) []*mpi.Task {
	t.Helper()
	var out []*mpi.Task
	after := ""
	for {
		p, err := b.x.Queue(t.Context(), mpi.StatusOpen, after, 50)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p.Tasks...)
		if after = p.Next; after == "" {
			return out
		}
	}
}
