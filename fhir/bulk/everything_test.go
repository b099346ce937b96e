package bulk_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"hutong/fhir/bulk"
)

// family stores two records of one person in two hospitals, and a stranger.
func family(w *world) {
	w.put("h1", `{"resourceType":"Organization","id":"o1","name":"First"}`, patient("p1"),
		observation("a", "p1", "2020-01-01"), observation("b", "p1", "2021-06-15"))
	w.put("h2", patient("q1"), observation("c", "q1", "2022-01-01"))
	w.put("h2", patient("stranger"), observation("d", "stranger", "2022-01-01"))
}

func TestEverything(t *testing.T) {
	t.Parallel()
	w := start(t, bulk.Limits{})
	family(w)
	for name, c := range map[string]struct {
		as, query string
		want      string
	}{
		"one record":         {"all", "", "Observation/a Observation/b Patient/p1 + Organization/o1"},
		"all of the person":  {"joined", "", "Observation/a Observation/b Observation/c Patient/p1 Patient/q1 + Organization/o1"},
		"start":              {"all", "?start=2021", "Observation/b Patient/p1 + Organization/o1"},
		"end is inclusive":   {"all", "?end=2020-01", "Observation/a Patient/p1 + Organization/o1"},
		"a day":              {"joined", "?start=2021-06-15&end=2021-06-15", "Observation/b Patient/p1 Patient/q1 + Organization/o1"},
		"types":              {"all", "?_type=Observation", "Observation/a Observation/b + "},
		"a type and support": {"all", "?_type=Observation,Organization", "Observation/a Observation/b + Organization/o1"},
		"since":              {"all", "?_since=2100-01-01T00:00:00Z", " + "},
		"what is kept":       {"h1", "", "Observation/a Observation/b Patient/p1 + Organization/o1"},
	} {
		a := w.do(c.as, "GET", "/Patient/p1/$everything"+c.query, "").must(200)
		b := a.bundle()
		got := strings.Join(b.ids("match"), " ") + " + " + strings.Join(b.ids("include"), " ")
		if got != c.want || b.Total != len(b.ids("match")) || b.Type != "searchset" {
			t.Errorf("%s: %s, total %d, want %s", name, got, b.Total, c.want)
		}
	}
	for path, status := range map[string]int{
		"/Patient/nobody/$everything": 404, "/Patient/p1/$everything?start=x": 400, "/Patient/p1/$everything?start=ge2020": 400,
		"/Patient/p1/$everything?name=x": 400, "/Patient/p1/$everything?_type=Nonsense": 400,
	} {
		w.do("all", "GET", path, "").must(status)
	}
	w.do("h1", "GET", "/Patient/q1/$everything", "").must(404)
	posted := w.do("all", "POST", "/Patient/p1/$everything", `{"resourceType":"Parameters","parameter":[{"name":"start","valueDate":"2021-01-01"}]}`, "Content-Type", "application/fhir+json").must(200).bundle()
	if posted.Total != 2 {
		t.Errorf("posted: total %d", posted.Total)
	}
	for _, d := range w.audit.of("$everything") {
		if d.Err == nil && d.Total > 0 && (len(d.Keys) < d.Total || len(d.Patients) == 0) {
			t.Errorf("the trail has %d keys, %d patients for %d matches", len(d.Keys), len(d.Patients), d.Total)
		}
	}
}

func TestEverythingIsPaged(t *testing.T) {
	t.Parallel()
	w := start(t, bulk.Limits{})
	family(w)
	var more []string
	for i := range 40 {
		more = append(more, observation(fmt.Sprintf("m%d", i), "p1", fmt.Sprintf("2019-01-%02d", i%28+1)))
	}
	w.put("h1", more...)
	var got []string
	for next := base + "/Patient/p1/$everything?_count=7"; next != ""; {
		b := w.do("all", "GET", next, "").must(200).bundle()
		if b.Total != 43 || len(b.ids("match")) > 7 {
			t.Fatalf("total %d, %d on a page", b.Total, len(b.ids("match")))
		}
		got, next = append(got, b.ids("match")...), b.next()
		w.put("h1", observation("late", "p1", "2030-01-01")) // not of this snapshot
	}
	slices.Sort(got)
	if len(slices.Compact(got)) != 43 || slices.Contains(got, "Observation/late") {
		t.Errorf("%d matches: %v", len(got), got)
	}
}

func TestCapabilityStatementListsThem(t *testing.T) {
	t.Parallel()
	w := start(t, bulk.Limits{})
	var s struct {
		Rest []struct {
			Operation []struct{ Name string }
			Resource  []struct {
				Type      string
				Operation []struct{ Name string }
			}
		}
	}
	w.must(json.Unmarshal(w.do("all", "GET", "/metadata", "").must(200).body, &s))
	got := fmt.Sprint(s.Rest[0].Operation)
	for _, r := range s.Rest[0].Resource {
		if len(r.Operation) > 0 {
			got += r.Type + fmt.Sprint(r.Operation)
		}
	}
	if got != "[{export} {import}]Patient[{everything} {export}]" {
		t.Error(got)
	}
}
