package disk_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/fhir/store/disk"
	"hutong/fhir/store/storetest"
)

// benchPatients is the size of the store that the reading benchmarks use; each
// patient has perPatient observations. BENCH_PATIENTS overrides it.
func benchPatients() int {
	if n, err := strconv.Atoi(os.Getenv("BENCH_PATIENTS")); err == nil {
		return n
	}
	return 300
}

const perPatient = 100

var benchCodes = []string{"718-7", "8867-4", "8310-5", "2339-0", "2345-7", "2160-0", "6690-2", "777-3", "789-8", "4544-3",
	"3094-0", "1742-6", "1920-8", "1975-2", "2885-2", "1751-7", "2823-3", "2951-2", "2075-0", "17861-6"}

// benchObservation is a laboratory result of the size and shape that hospitals
// send: about 0.9 KB.
func benchObservation(r *rand.Rand, patient, n int) string {
	code := benchCodes[r.IntN(len(benchCodes))]
	at := time.Date(2015+r.IntN(10), time.Month(1+r.IntN(12)), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), 0, time.UTC)
	return fmt.Sprintf(`{"resourceType":"Observation","id":"o%d-%d-%08x","status":"final",`+
		`"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory","display":"Laboratory"}]}],`+
		`"code":{"coding":[{"system":"http://loinc.org","code":%q,"display":"Something [Mass/volume] in Blood"}],"text":"Something in blood"},`+
		`"subject":{"reference":"Patient/p%d","display":"A patient"},"encounter":{"reference":"Encounter/e%d-%d"},"effectiveDateTime":%q,"issued":%q,`+
		`"performer":[{"reference":"Organization/lab%d"}],"valueQuantity":{"value":%d.%d,"unit":"mmol/L","system":"http://unitsofmeasure.org","code":"mmol/L"},`+
		`"interpretation":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation","code":"N"}]}],`+
		`"referenceRange":[{"low":{"value":3.9,"unit":"mmol/L"},"high":{"value":6.1,"unit":"mmol/L"}}],`+
		`"meta":{"tag":[{"system":"http://example.org/custodian","code":"org%d"}]}}`,
		patient, n, r.Uint32(), code, patient, patient, n/10, at.Format(time.RFC3339), at.Format(time.RFC3339), r.IntN(5), r.IntN(20), r.IntN(100), r.IntN(3))
}

func benchPatient(n int) string {
	return fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","identifier":[{"system":"http://example.org/mrn","value":"m%d"},{"system":"http://example.org/card","value":"%010d"}],`+
		`"name":[{"family":"Fam%d","given":["Given%d"]}],"gender":"female","birthDate":"19%02d-03-04","telecom":[{"system":"phone","value":"138%08d"}],"address":[{"city":"City%d","line":["Road %d"]}]}`,
		n, n, n, n%1000, n%777, n%100, n, n%50, n)
}

type benchStore struct {
	*disk.Store
	*storetest.World
	dir string
}

func openBench(b *testing.B) *benchStore {
	b.Helper()
	w := storetest.NewWorld()
	dir := b.TempDir()
	s, err := disk.Open(dir, disk.Options{Extract: w.Extract})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return &benchStore{Store: s, World: w, dir: dir}
}

func (s *benchStore) op(b *testing.B, src string) store.Op {
	op, err := s.Op(fhir.Created, src)
	if err != nil {
		b.Fatal(err)
	}
	return op
}

// loaded is a store of benchPatients.
func loaded(b *testing.B) *benchStore {
	b.Helper()
	s := openBench(b)
	r := rand.New(rand.NewPCG(1, 2))
	for p := range benchPatients() {
		ops := []store.Op{s.op(b, benchPatient(p))}
		for n := range perPatient {
			ops = append(ops, s.op(b, benchObservation(r, p, n)))
		}
		if _, err := s.Commit(b.Context(), store.Tx{Ops: ops}); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

// cpu reports the processor time an op takes: the figure that a busy machine
// does not blur.
func cpu(b *testing.B) {
	b.Helper()
	used := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	b.ResetTimer()
	from := used()
	b.Cleanup(func() { b.ReportMetric(float64(used()-from)/float64(b.N)/1e3, "cpu-us/op") })
}

// BenchmarkLoad100 commits transactions of 100 resources, parsed and extracted
// before the clock runs; the figure is resources a second.
func BenchmarkLoad100(b *testing.B) {
	s := openBench(b)
	r := rand.New(rand.NewPCG(1, 2))
	txs := make([]store.Tx, b.N)
	for i := range txs {
		for n := range 100 {
			txs[i].Ops = append(txs[i].Ops, s.op(b, benchObservation(r, i, n)))
		}
	}
	var next atomic.Int64
	cpu(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Commit(b.Context(), txs[next.Add(1)-1]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.ReportMetric(float64(b.N*100)/b.Elapsed().Seconds(), "resources/s")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkSingle commits transactions of one resource by 8 writers.
func BenchmarkSingle(b *testing.B) {
	s := openBench(b)
	r := rand.New(rand.NewPCG(1, 2))
	ops := make([]store.Op, b.N)
	for i := range ops {
		ops[i] = s.op(b, benchObservation(r, i%100, i))
	}
	var next atomic.Int64
	b.SetParallelism(4)
	cpu(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := next.Add(1) - 1
			if _, err := s.Commit(b.Context(), store.Tx{Ops: ops[i : i+1]}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
}

// BenchmarkRead measures reads and searches on a loaded store.
func BenchmarkRead(b *testing.B) {
	s := loaded(b)
	var size int64
	files, _ := filepath.Glob(filepath.Join(s.dir, "*.sst"))
	for _, f := range files {
		if st, err := os.Stat(f); err == nil {
			size += st.Size()
		}
	}
	b.Logf("%d resources, tables %d bytes a resource", benchPatients()*(perPatient+1), size/int64(benchPatients()*(perPatient+1)))
	snap, err := s.Snapshot(b.Context(), 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("get", func(b *testing.B) {
		cpu(b)
		for i := range b.N {
			if _, err := snap.Get(b.Context(), fhir.Key{Type: "Patient", ID: fmt.Sprintf("p%d", i%benchPatients())}); err != nil {
				b.Fatal(err)
			}
		}
	})
	mine := search.Restriction{Decided: true, Permit: []search.Rule{{NotCustody: []string{"org1"}}}}
	for name, query := range map[string]func(i int) string{
		"patient+code newest 20": func(i int) string {
			return fmt.Sprintf("Observation?patient=p%d&code=http://loinc.org|%s&_count=20", i%benchPatients(), benchCodes[i%20])
		},
		"patient newest 20": func(i int) string { return fmt.Sprintf("Observation?patient=p%d&_count=20", i%benchPatients()) },
		"patient+code+date": func(i int) string {
			return fmt.Sprintf("Observation?patient=p%d&code=%s&date=ge2020&_count=20", i%benchPatients(), benchCodes[i%20])
		},
		"token count":         func(i int) string { return "Observation?code=http://loinc.org|" + benchCodes[i%20] + "&_count=0" },
		"token page no total": func(i int) string { return "Observation?code=" + benchCodes[i%20] + "&_count=20&_total=none" },
		"chain": func(i int) string {
			return fmt.Sprintf("Observation?patient.family=fam%d&code=718-7", i%benchPatients())
		},
		"has": func(i int) string {
			return fmt.Sprintf("Patient?_has:Observation:patient:encounter=e%d-1", i%benchPatients())
		},
		"identifier": func(i int) string {
			return fmt.Sprintf("Patient?identifier=http://example.org/mrn|m%d", i%benchPatients())
		},
		"name prefix": func(i int) string { return fmt.Sprintf("Patient?name=fam%d", i%benchPatients()) },
		"sort date asc": func(i int) string {
			return fmt.Sprintf("Observation?patient=p%d&_sort=date&_count=20", i%benchPatients())
		},
		"sort all": func(i int) string { return "Patient?_sort=birthdate&_count=20" },
	} {
		for _, see := range []string{"", " restricted"} {
			b.Run(name+see, func(b *testing.B) {
				cpu(b)
				for i := range b.N {
					q, err := s.Query(query(i))
					if err != nil {
						b.Fatal(err)
					}
					if see != "" {
						q.Restriction = mine
					}
					if _, err := snap.Search(b.Context(), q); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
