package disk_test

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/fhir/store/disk"
	"hutong/fhir/store/storetest"
)

// TestAPageCostsAPage: what a page examines does not grow with the store.
func TestAPageCostsAPage(t *testing.T) {
	t.Parallel()
	small, large := pageCosts(t, 100), pageCosts(t, 1000)
	for query, cost := range small {
		if big := large[query]; big > cost+cost/10 {
			t.Errorf("%s: cost %d of 100 patients, %d of 1,000", query, cost, big)
		}
	}
}

// pageCosts gives what pages of 10 cost in a store of n patients with ten
// observations each, by query.
func pageCosts(t *testing.T, n int) map[string]int {
	t.Helper()
	w := storetest.NewWorld()
	s, err := disk.Open("db", disk.Options{Extract: w.Extract, VFS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for p := range n {
		srcs := []string{fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","gender":"female"}`, p)}
		for i := range 10 {
			srcs = append(srcs, fmt.Sprintf(`{"resourceType":"Observation","id":"o%[1]d-%[2]d","status":"final","code":{"coding":[{"code":"c%[3]d"}]},"subject":{"reference":"Patient/p%[1]d"},"effectiveDateTime":"2024-03-%02[4]dT%02[5]d:%02[2]d:%02[6]dZ"}`,
				p, i, i%2, 1+p%28, p/28%24, p/28/24))
		}
		var tx store.Tx
		for _, src := range srcs {
			op, err := w.Op(fhir.Updated, src)
			if err != nil {
				t.Fatal(err)
			}
			tx.Ops = append(tx.Ops, op)
		}
		if _, err := s.Commit(t.Context(), tx); err != nil {
			t.Fatal(err)
		}
	}
	snap, err := s.Snapshot(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	costs := map[string]int{}
	for _, query := range []string{
		"Observation", "Observation?status=final", "Observation?code=c1", "Observation?code=c1&_sort=-date", "Observation?date=ge2024-03-01&date=lt2025",
		"Observation?date=lt2024-03-20", "Observation?patient=p7", "Patient?gender=female&_has:Observation:patient:code=c1",
	} {
		q, err := w.Query(query)
		if err != nil {
			t.Fatal(err)
		}
		q.Count, q.TotalWithin = 10, 30
		text, err := snap.Explain(t.Context(), q)
		found := regexp.MustCompile(`10 matches on the page, cost (\d+)`).FindStringSubmatch(text)
		if err != nil || found == nil {
			t.Fatalf("%s: %v\n%s", query, err, text)
		}
		costs[query], _ = strconv.Atoi(found[1])
	}
	return costs
}
