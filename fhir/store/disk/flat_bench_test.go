package disk_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/fhir/store/disk"
	"hutong/fhir/store/storetest"
)

// The flatness benchmark asks one set of questions of stores of growing size,
// at random patients, and reports processor time, block reads and cache misses
// an answer: what the size of the store may not change.
//
//	FLAT_PATIENTS=1000,10000,100000 FLAT_DIR=/var/tmp/flat \
//	    go test -run xxx -bench Flat -benchtime 2000x ./fhir/store/disk
//
// FLAT_DIR keeps the stores between runs, one directory a size.

// flatSizes are the numbers of patients.
func flatSizes() (sizes []int) {
	for _, s := range strings.Split(os.Getenv("FLAT_PATIENTS"), ",") {
		if n, err := strconv.Atoi(s); err == nil {
			sizes = append(sizes, n)
		}
	}
	if len(sizes) == 0 {
		return []int{200}
	}
	return sizes
}

const (
	flatObservations = 7    // of every patient, beside an encounter and a condition
	flatHeavy        = 20   // the first patients have a long record
	flatLong         = 1000 // resources of a long record
)

func flatPatient(p int) (srcs []string) {
	r := rand.New(rand.NewPCG(7, uint64(p)))
	tag := fmt.Sprintf(`"meta":{"tag":[{"system":"http://example.org/custodian","code":"org%d"}]}`, p%20)
	at := fmt.Sprintf("20%02d-%02d-%02dT%02d:%02d:00Z", 15+r.IntN(10), 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60))
	srcs = []string{
		strings.TrimSuffix(benchPatient(p), "}") + "," + tag + "}",
		fmt.Sprintf(`{"resourceType":"Encounter","id":"e%d","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/p%d"},"period":{"start":%q,"end":%q},%s}`, p, p, at, at, tag),
		fmt.Sprintf(`{"resourceType":"Condition","id":"c%d","code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10","code":"E%02d"}]},"subject":{"reference":"Patient/p%d"},"encounter":{"reference":"Encounter/e%d"},"recordedDate":%q,%s}`, p, r.IntN(90), p, p, at, tag),
	}
	n := flatObservations
	if p < flatHeavy {
		n = flatLong
	}
	for i := range n {
		srcs = append(srcs, strings.Replace(benchObservation(r, p, i), fmt.Sprintf("Encounter/e%d-%d", p, i/10), fmt.Sprintf("Encounter/e%d", p), 1))
	}
	return srcs
}

// flatStore opens the store of n patients, building it first if it is not
// there.
func flatStore(b *testing.B, n int) *benchStore {
	b.Helper()
	w := storetest.NewWorld()
	dir := filepath.Join(os.Getenv("FLAT_DIR"), fmt.Sprintf("flat-%d", n))
	if os.Getenv("FLAT_DIR") == "" {
		dir = b.TempDir()
	}
	s, err := disk.Open(dir, disk.Options{Extract: w.Extract})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	fs := &benchStore{Store: s, World: w, dir: dir}
	fs.build(b, n)
	return fs
}

// build loads the patients that are missing, newest number last.
func (s *benchStore) build(b *testing.B, n int) {
	b.Helper()
	snap, err := s.Snapshot(b.Context(), 0)
	if err != nil {
		b.Fatal(err)
	}
	_, err = snap.Get(b.Context(), fhir.Key{Type: "Patient", ID: fmt.Sprintf("p%d", n-1)})
	if err == nil {
		return
	}
	if !errors.Is(err, fhir.E(fhir.NotFound)) {
		b.Fatal(err)
	}
	feed := make(chan store.Tx, 4)
	go func() {
		defer close(feed)
		var tx store.Tx
		for p := range n {
			for _, src := range flatPatient(p) {
				tx.Ops = append(tx.Ops, s.op(b, src))
			}
			if len(tx.Ops) >= 200 || p == n-1 {
				feed <- tx
				tx = store.Tx{}
			}
		}
	}()
	for tx := range feed {
		if _, err := s.Commit(b.Context(), tx); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Compact(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// flatQuestions are the questions by name; p is a random patient.
var flatQuestions = []struct {
	name string
	ask  func(p int) string
}{
	{"patient+code newest 20", func(p int) string {
		return fmt.Sprintf("Observation?patient=p%d&code=http://loinc.org|%s&_count=20", p, benchCodes[p%20])
	}},
	{"long patient+code newest 20", func(p int) string {
		return fmt.Sprintf("Observation?patient=p%d&code=http://loinc.org|%s&_count=20", p%flatHeavy, benchCodes[p%20])
	}},
	{"patient+date", func(p int) string { return fmt.Sprintf("Observation?patient=p%d&date=ge2020&_count=20", p) }},
	{"identifier", func(p int) string { return fmt.Sprintf("Patient?identifier=http://example.org/mrn|m%d", p) }},
	{"chain", func(p int) string { return fmt.Sprintf("Observation?patient.identifier=m%d&_count=20", p) }},
	{"has", func(p int) string { return fmt.Sprintf("Patient?_has:Condition:patient:encounter=Encounter/e%d", p) }},
	{"code newest 20", func(p int) string { return "Observation?code=" + benchCodes[p%20] + "&_count=20&_total=none" }},
	{"count code", func(p int) string { return "Observation?code=http://loinc.org|" + benchCodes[p%20] + "&_count=0" }},
	{"count date", func(p int) string { return fmt.Sprintf("Observation?date=%d-%02d&_count=0", 2015+p%10, 1+p%12) }},
	{"count since 2019", func(int) string { return "Observation?date=ge2019&_count=0" }},
	{"newest 20 of a day", func(p int) string {
		return fmt.Sprintf("Observation?date=ge%d-03-%02d&date=lt%[1]d-03-%02[3]d&_count=20", 2015+p%10, 1+p%20, 2+p%20)
	}},
	{"newest 20 of a day, exact total", func(p int) string {
		return fmt.Sprintf("Observation?date=ge%d-03-%02d&date=lt%[1]d-03-%02[3]d&_count=20&_total=accurate", 2015+p%10, 1+p%20, 2+p%20)
	}},
	{"newest 20 of a code by date", func(p int) string { return "Observation?code=" + benchCodes[p%20] + "&_sort=-date&_count=20" }},
	{"record of a patient", func(p int) string { return fmt.Sprintf("Observation?patient=p%d&_count=20", p) }},
	{"newest 20 of a week", func(p int) string {
		return fmt.Sprintf("Observation?date=ge%d-03-%02d&date=lt%[1]d-03-%02[3]d&_count=20", 2015+p%10, 1+p%20, 8+p%20)
	}},
	{"newest 20 of a status", func(int) string { return "Observation?status=final&_count=20" }},
	{"has code of a gender", func(p int) string {
		return "Patient?gender=female&_has:Observation:patient:code=" + benchCodes[p%20]
	}},
	{"count code+status+date", func(p int) string {
		return fmt.Sprintf("Observation?code=%s&status=final&date=ge%d&_count=0", benchCodes[p%20], 2015+p%10)
	}},
}

// BenchmarkFlat asks the questions at each size, unrestricted and as a
// hospital that may not see one of the twenty custodians.
func BenchmarkFlat(b *testing.B) {
	deny := search.Restriction{Decided: true, Permit: []search.Rule{{}}, Deny: []search.Rule{{Custodians: []string{"org1"}}}}
	for _, n := range flatSizes() {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			s := flatStore(b, n)
			snap, err := s.Snapshot(b.Context(), 0)
			if err != nil {
				b.Fatal(err)
			}
			b.Run("get", func(b *testing.B) {
				s.measure(b, n, func(p int) (int, error) {
					_, err := snap.Get(b.Context(), fhir.Key{Type: "Patient", ID: fmt.Sprintf("p%d", p)})
					return 1, err
				})
			})
			b.Run("get condition", func(b *testing.B) {
				s.measure(b, n, func(p int) (int, error) {
					_, err := snap.Get(b.Context(), fhir.Key{Type: "Condition", ID: fmt.Sprintf("c%d", p)})
					return 1, err
				})
			})
			for _, q := range flatQuestions {
				b.Run(q.name, func(b *testing.B) { s.search(b, snap, n, q.ask, search.Unrestricted(), nil) })
				b.Run(q.name+" restricted", func(b *testing.B) { s.search(b, snap, n, q.ask, deny, nil) })
			}
			b.Run("everything of 1000", func(b *testing.B) {
				s.measure(b, n, func(p int) (int, error) {
					page, err := snap.Search(b.Context(), &search.Query{Count: 1000, Total: true, Restriction: compartmentOf(fmt.Sprintf("p%d", p%flatHeavy))})
					return len(page.Matches), err
				})
			})
			s.pages(b, snap, n)
		})
	}
}

// pages measures the first page of a long list and the thousandth.
func (s *benchStore) pages(b *testing.B, snap store.Snapshot, n int) {
	ask := func(int) string { return "Observation?status=final&_count=20&_total=none" }
	q, err := s.Query("Observation?status=final&_count=1000&_total=none")
	if err != nil {
		b.Fatal(err)
	}
	for range 20 {
		page, err := snap.Search(b.Context(), q)
		if err != nil || page.Next == nil {
			b.Fatalf("the list is too short: %v", err)
		}
		q.After = page.Next
	}
	b.Run("page 1", func(b *testing.B) { s.search(b, snap, n, ask, search.Unrestricted(), nil) })
	b.Run("page 1000", func(b *testing.B) { s.search(b, snap, n, ask, search.Unrestricted(), q.After) })
}

func (s *benchStore) search(b *testing.B, snap store.Snapshot, n int, ask func(int) string, see search.Restriction, after []byte) {
	s.measure(b, n, func(p int) (int, error) {
		q, err := s.Query(ask(p))
		if err != nil {
			return 0, err
		}
		q.Restriction, q.After = see, after
		page, err := snap.Search(context.Background(), q)
		return max(page.Total, len(page.Matches)), err
	})
}

// measure runs ask at random patients, after a lap that is not counted and
// fills the caches as steady use would.
func (s *benchStore) measure(b *testing.B, n int, ask func(p int) (hits int, err error)) {
	r := rand.New(rand.NewPCG(3, 4))
	hits := 0
	run := func(laps int) {
		for range laps {
			found, err := ask(r.IntN(n))
			if err != nil {
				b.Fatal(err)
			}
			hits += found
		}
	}
	run(min(b.N, 2000))
	hits = 0
	reads, misses := disk.BlockReads(s.Store)
	cpu(b)
	run(b.N)
	r2, m2 := disk.BlockReads(s.Store)
	b.ReportMetric(float64(r2-reads)/float64(b.N), "blocks/op")
	b.ReportMetric(float64(m2-misses)/float64(b.N), "misses/op")
	b.ReportMetric(float64(hits)/float64(b.N), "hits/op")
	b.ReportMetric(0, "ns/op")
}
