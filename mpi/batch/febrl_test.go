package batch_test

import (
	"cmp"
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hutong/mpi/batch"
	"hutong/mpi/normal"
	"hutong/testdata/sharedata"
)

var now = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// rows reads a CSV file as maps from trimmed header to trimmed cell.
func rows(t *testing.T, path string) []map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.TrimLeadingSpace = true
	all, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []map[string]string
	for _, cells := range all[1:] {
		m := map[string]string{}
		for i, c := range cells {
			m[strings.TrimSpace(all[0][i])] = strings.TrimSpace(c)
		}
		out = append(out, m)
	}
	return out
}

// record reads a row; bare leaves numbers and phones out.
func record(m map[string]string, bare bool) *normal.Record {
	n := normal.NewName("", cmp.Or(m["surname"], "x"), m["given_name"], "")
	if m["surname"] == "" {
		n.Family, n.FamilySound, n.FamilyFuzzy, n.Text = "", nil, "", n.Given
	}
	r := &normal.Record{Names: []normal.Name{n}}
	r.Birth, _ = normal.ParseDate(m["date_of_birth"])
	line := strings.TrimSpace(m["street_number"] + " " + m["address_1"] + " " + m["address_2"])
	if a := normal.NewAddress(m["state"], m["suburb"], "", m["postcode"], line, ""); !a.IsZero() {
		r.Addresses = []normal.Address{a}
	}
	if bare {
		return r
	}
	if p := normal.Phone(m["phone_number"]); p != "" {
		r.Phones = []string{p}
	}
	if id, ok := normal.NewIdentifier(normal.RawIdentifier{System: "urn:ssn", TypeCode: "SS", Value: m["soc_sec_id"]}, "", now); ok {
		r.IDs = []normal.Identifier{id}
	}
	return r
}

type set struct {
	records []*normal.Record
	truth   []string
	split   int
}

func load(t *testing.T, dir string, bare bool, files ...string) *set {
	t.Helper()
	s := &set{}
	for i, name := range files {
		if i == 1 {
			s.split = len(s.records)
		}
		cluster := map[string]string{}
		for _, m := range rows(t, filepath.Join(dir, "truth", name+".csv")) {
			cluster[m["record_id"]] = m["cluster_id"]
		}
		for _, m := range rows(t, filepath.Join(dir, name+".csv")) {
			s.records = append(s.records, record(m, bare))
			s.truth = append(s.truth, cluster[m["rec_id"]])
		}
	}
	return s
}

func (s *set) file() *batch.File {
	f := batch.NewFile(now)
	for _, r := range s.records {
		f.Add(r)
	}
	return f
}

// measure gives pairwise precision and recall of the clusters.
func (s *set) measure(r *batch.Result) (precision, recall float64) {
	var hit, found, real float64
	for i := range s.records {
		for j := i + 1; j < len(s.records); j++ {
			if s.split > 0 && (i >= s.split || j < s.split) {
				continue
			}
			same, joined := s.truth[i] == s.truth[j], r.Clusters[i] == r.Clusters[j]
			if same {
				real++
			}
			if joined {
				found++
			}
			if same && joined {
				hit++
			}
		}
	}
	return hit / max(found, 1), hit / max(real, 1)
}

// TestAccuracy measures the unlabelled matcher on sets with known truth, and
// holds it to floors a little below what it reached when they were set.
func TestAccuracy(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(sharedata.Dir(t), "mpi")
	type sample struct {
		files             []string
		bare              bool
		precision, recall float64
	}
	cases := []sample{
		{[]string{"dataset1"}, true, 0.995, 0.99},
		{[]string{"dataset_C_1000"}, true, 0.995, 0.98},
		{[]string{"dataset_F_org_1000", "dataset_F_dup_1000"}, true, 0.995, 0.99},
	}
	if os.Getenv("HUTONG_MPI_FULL") != "" { // every set: the table in DESIGN.md
		cases = append(cases, sample{[]string{"dataset1"}, false, 0.995, 0.995}, sample{[]string{"dataset2"}, false, 0.99, 0.99}, sample{[]string{"dataset2"}, true, 0.99, 0.98})
		for _, size := range []string{"1000", "2500", "5000"} {
			for _, bare := range []bool{false, true} {
				cases = append(cases, sample{[]string{"dataset_A_" + size}, bare, 0.995, 0.995}, sample{[]string{"dataset_C_" + size}, bare, 0.99, 0.98},
					sample{[]string{"dataset_D_org_" + size, "dataset_D_dup_" + size}, bare, 0.995, 0.995},
					sample{[]string{"dataset_F_org_" + size, "dataset_F_dup_" + size}, bare, 0.99, 0.985})
			}
		}
	}
	for _, c := range cases {
		s := load(t, dir, c.bare, c.files...)
		begin := time.Now()
		r, err := batch.Match(t.Context(), s.file(), batch.Options{Split: s.split})
		if err != nil {
			t.Fatal(err)
		}
		p, recall := s.measure(r)
		t.Logf("%-40s bare=%-5v precision %.4f recall %.4f F1 %.4f  (%d records, %d pairs, %v)", strings.Join(c.files, "+"), c.bare, p, recall, 2*p*recall/(p+recall), len(s.records), r.Compared, time.Since(begin).Round(time.Millisecond))
		if p < c.precision || recall < c.recall {
			t.Errorf("%v bare=%v: precision %.4f recall %.4f below %.4f %.4f", c.files, c.bare, p, recall, c.precision, c.recall)
		}
	}
}
