package region

import (
	"bytes"
	"encoding/json"
	"runtime"
	"strings"
	"testing"

	"hutong/profiles"
)

type entry struct {
	FullURL  string
	Resource map[string]any
	Request  struct{ Method, URL, IfNoneExist string }
}

type bundle struct {
	ResourceType, Type string
	Entry              []entry
}

func parse(t *testing.T, p Post) bundle {
	t.Helper()
	var b bundle
	if err := json.Unmarshal(p.Bundle, &b); err != nil {
		t.Fatalf("person %d at %s: %v", p.Person, p.Org, err)
	}
	if b.Type != "transaction" || len(b.Entry) != p.Resources {
		t.Fatalf("person %d at %s: type %q, %d entries, %d announced", p.Person, p.Org, b.Type, len(b.Entry), p.Resources)
	}
	return b
}

var options = Options{People: 150, Seed: 7}

func TestSameSeedSameBytes(t *testing.T) {
	t.Parallel()
	a, b := all(options), all(options)
	other := all(Options{People: 150, Seed: 8})
	if !bytes.Equal(a, b) {
		t.Error("two runs of one seed differ")
	}
	if bytes.Equal(a, other) {
		t.Error("two seeds give the same region")
	}
	small := all(Options{People: 40, Seed: 7})
	if !bytes.HasPrefix(a, small) {
		t.Error("a small region is not the beginning of a large one")
	}
}

func all(o Options) []byte {
	var out []byte
	for p := range Generate(o) {
		out = append(out, p.Bundle...)
	}
	return out
}

// Every urn:uuid resolves within its bundle, every other reference within the
// registry, ids are unique in the region, and requests can be repeated.
func TestReferencesResolve(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for p := range Generate(options) {
		b := parse(t, p)
		urns := map[string]bool{}
		for _, e := range b.Entry {
			if urns[e.FullURL] || !strings.HasPrefix(e.FullURL, "urn:uuid:") || len(e.FullURL) != 45 {
				t.Fatalf("fullUrl %q", e.FullURL)
			}
			urns[e.FullURL] = true
			checkRequest(t, e, known)
		}
		for _, e := range b.Entry {
			eachReference(e.Resource, func(ref string) {
				if !urns[ref] && !known[ref] {
					t.Fatalf("%s: reference to nothing: %s", e.Request.URL, ref)
				}
			})
		}
	}
}

func checkRequest(t *testing.T, e entry, known map[string]bool) {
	t.Helper()
	switch e.Request.Method {
	case "PUT":
		typ, id := e.Resource["resourceType"], e.Resource["id"]
		if e.Request.URL != typ.(string)+"/"+id.(string) || known[e.Request.URL] {
			t.Fatalf("PUT %s of %v/%v, or twice", e.Request.URL, typ, id)
		}
		known[e.Request.URL] = true
	case "POST":
		if e.Resource["resourceType"] != "Patient" || !strings.HasPrefix(e.Request.IfNoneExist, "identifier=https://") {
			t.Fatalf("POST that would repeat: %v", e.Request)
		}
	default:
		t.Fatalf("request %v", e.Request)
	}
}

func eachReference(v any, visit func(string)) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if s, ok := x.(string); ok && k == "reference" {
				visit(s)
			}
			eachReference(x, visit)
		}
	case []any:
		for _, x := range v {
			eachReference(x, visit)
		}
	}
}

func TestTruthAgreesWithBundles(t *testing.T) {
	t.Parallel()
	var truth []Record
	for r := range Truth(options) {
		truth = append(truth, r)
	}
	i, people, several := 0, map[int]int{}, 0
	for p := range Generate(options) {
		if p.Person < 0 {
			continue
		}
		r, patient := truth[i], parse(t, p).Entry[0].Resource
		i++
		if r.Person != p.Person || r.Org != p.Org {
			t.Fatalf("row %d is %+v, the bundle is of person %d at %s", i, r, p.Person, p.Org)
		}
		id, _ := patient["id"].(string)
		mrn := patient["identifier"].([]any)[0].(map[string]any)
		if id != r.Patient || mrn["system"] != r.System || mrn["value"] != r.MRN {
			t.Fatalf("row %d: %+v; Patient %v %v", i, r, id, mrn)
		}
		people[p.Person]++
		if people[p.Person] == 2 {
			several++
		}
	}
	if i != len(truth) || len(people) != options.People {
		t.Errorf("%d rows, %d bundles, %d people", len(truth), i, len(people))
	}
	if share := float64(several) / float64(len(people)); share < 0.25 || share > 0.45 {
		t.Errorf("%.2f of the people are known to several hospitals, want a third", share)
	}
}

func TestCitizenIDs(t *testing.T) {
	t.Parallel()
	g := newGenerator(Options{Seed: 3})
	g.o.People = 10_000
	seen := map[string]int{}
	for p := range g.people() {
		id := p.citizen
		if p.role == newborn {
			continue
		}
		if len(id) != 18 || withCheck(id[:17]) != id || id[6:14] != p.born.Format("20060102") || (id[16]-'0')%2 == 0 != p.female {
			t.Fatalf("person %d, born %s, female %v: id %s", p.index, p.born.Format("2006-01-02"), p.female, id)
		}
		if q, dup := seen[id]; dup {
			t.Fatalf("persons %d and %d have one id", q, p.index)
		}
		seen[id] = p.index
		if p.born.After(g.now) {
			t.Fatalf("person %d is born in the future", p.index)
		}
	}
	for in, want := range map[string]string{"11010519491231002": "11010519491231002X", "44052418800101001": "440524188001010014", "13050319670401001": "130503196704010016"} {
		if got := withCheck(in); got != want {
			t.Errorf("withCheck(%s) = %s, want %s", in, got, want)
		}
	}
}

func TestHero(t *testing.T) {
	t.Parallel()
	f := Hero(options)
	if len(f.Records) != 3 || f.Records[0].Org != OrgClinic || f.Encounter == "" || !json.Valid(f.Order) {
		t.Fatalf("%+v", f)
	}
	if want := DefaultNow().AddDate(0, 0, -3); !f.Collected.Equal(want) {
		t.Errorf("collected %s, want %s", f.Collected, want)
	}
	found := map[string]map[string]any{}
	for p := range Generate(options) {
		if p.Person > 0 {
			break
		}
		for _, e := range parse(t, p).Entry {
			found[e.Request.URL] = e.Resource
		}
	}
	k := found["Observation/"+f.Potassium]
	if k == nil || k["effectiveDateTime"] != f.Collected.Format("2006-01-02T15:04:05+08:00") || !strings.Contains(string(mustJSON(k["code"])), "2823-3") {
		t.Errorf("potassium: %s", mustJSON(k))
	}
	if e := found["Encounter/"+f.Encounter]; e == nil || e["status"] != "in-progress" {
		t.Errorf("active encounter: %s", mustJSON(e))
	}
	if r := found["DiagnosticReport/"+f.BloodCount]; r == nil || !strings.Contains(string(mustJSON(r["code"])), "58410-2") {
		t.Errorf("blood count: %s", mustJSON(r))
	}
	trend := 0
	for _, r := range found {
		if r["resourceType"] == "Observation" && strings.Contains(string(mustJSON(r["code"])), "2823-3") {
			trend++
		}
	}
	if trend < 12 {
		t.Errorf("%d potassium values, too few for a trend", trend)
	}
}

func mustJSON(v any) []byte { b, _ := json.Marshal(v); return b }

func TestPairs(t *testing.T) {
	t.Parallel()
	same, different := 0, 0
	for _, p := range Pairs(options) {
		if p.Same != (p.A.Person == p.B.Person) {
			t.Errorf("pair says same=%v of persons %d and %d", p.Same, p.A.Person, p.B.Person)
		}
		if p.Same {
			same++
		} else {
			different++
		}
	}
	if same < 2 || different < 2 {
		t.Errorf("%d same, %d different", same, different)
	}
}

func TestDifferencesOccur(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for r := range Truth(Options{People: 3000, Seed: 1}) {
		for _, d := range r.Differences {
			seen[d]++
		}
	}
	for _, d := range []string{"no-id", "id-typo", "id-15", "phone", "moved", "pinyin", "homophone", "glyph", "traditional", "birth-date"} {
		if seen[d] == 0 {
			t.Errorf("no record differs by %q; %v", d, seen)
		}
	}
}

// One person's values of one item lie closer together than values of several
// people, also across hospitals.
func TestValuesBelongToThePerson(t *testing.T) {
	t.Parallel()
	g := newGenerator(Options{Seed: 5, People: 60})
	var within, total, n float64
	var all []float64
	for p := range g.people() {
		if g.age(p) < 20 {
			continue
		}
		a, _ := g.measure(p, "Alb", g.now.AddDate(-1, 0, 0), nil)
		b, _ := g.measure(p, "Alb", g.now.AddDate(0, -6, 0), nil)
		within += (a.value - b.value) * (a.value - b.value) / 2
		all = append(all, a.value)
		n++
	}
	mean := 0.0
	for _, v := range all {
		mean += v / n
	}
	for _, v := range all {
		total += (v - mean) * (v - mean)
	}
	if within*2 > total {
		t.Errorf("variance within a person %.2f, between people %.2f", within/n, total/n)
	}
}

func TestLabCodesAreMapped(t *testing.T) {
	t.Parallel()
	c, err := profiles.NewCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	g := newGenerator(options)
	for code, p := range panels {
		for _, item := range p.items {
			it, ok := c.Item(item)
			if !ok {
				t.Errorf("panel %s: no item %s in the catalogue", code, item)
			}
			for org := range g.cast {
				system := profiles.LabSystem(g.cast[org].USCC)
				if l, ok := c.Local(system, item); ok {
					if back, _ := c.ByCoding(system, l.Code); back.Code != it.Code {
						t.Errorf("%s at %s maps to %s", item, g.cast[org].ID, back.Code)
					}
				} else if org == laboratory || org == muni {
					t.Errorf("%s has no code for %s", g.cast[org].ID, item)
				}
			}
		}
	}
}

func TestMemoryIsConstant(t *testing.T) {
	heap := func(people int) uint64 {
		var m runtime.MemStats
		var high uint64
		i := 0
		for range Generate(Options{People: people, Seed: 2}) {
			if i++; i%100 == 0 {
				runtime.GC()
				runtime.ReadMemStats(&m)
				high = max(high, m.HeapAlloc)
			}
		}
		return high
	}
	small, large := heap(200), heap(1200)
	if large > small+4<<20 {
		t.Errorf("heap grows with the region: %d, then %d bytes", small, large)
	}
}

func BenchmarkGenerate(b *testing.B) {
	resources, bytes, posts := 0, 0, 0
	for range b.N {
		for p := range Generate(Options{People: 500, Seed: 1}) {
			resources += p.Resources
			bytes += len(p.Bundle)
			posts++
		}
	}
	b.ReportMetric(float64(resources)/b.Elapsed().Seconds(), "resources/s")
	b.ReportMetric(float64(resources)/float64(posts), "resources/bundle")
	b.ReportMetric(float64(bytes)/float64(resources), "bytes/resource")
}
