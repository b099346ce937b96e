package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gin-gonic/gin"

	"hutong/fhir/interact"
	"hutong/fhir/rest"
)

// seed puts two patients with observations and an organisation.
func seed(w *world) {
	w.t.Helper()
	entries := []string{
		entry("PUT", "Organization/o1", "", `{"resourceType":"Organization","id":"o1","name":"First","partOf":{"reference":"Organization/o2"}}`),
		entry("PUT", "Organization/o2", "", `{"resourceType":"Organization","id":"o2","name":"Second","partOf":{"reference":"Organization/o3"}}`),
		entry("PUT", "Organization/o3", "", `{"resourceType":"Organization","id":"o3","name":"Third"}`),
		entry("PUT", "Patient/p1", "", `{"resourceType":"Patient","id":"p1","gender":"male","birthDate":"1970-01-01","name":[{"family":"Zhao"}],"identifier":[{"system":"urn:x","value":"1"}],"managingOrganization":{"reference":"Organization/o1"},"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">p</div>"},"contact":[{"name":{"family":"C"}}]}`),
		entry("PUT", "Patient/p2", "", `{"resourceType":"Patient","id":"p2","gender":"female","birthDate":"1980-01-01","name":[{"family":"Qian"}]}`),
	}
	for i := range 10 {
		p := "p1"
		if i >= 7 {
			p = "p2"
		}
		entries = append(entries, entry("PUT", fmt.Sprintf("Observation/ob%d", i), "", fmt.Sprintf(
			`{"resourceType":"Observation","id":"ob%d","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"718-7"}]},"subject":{"reference":"Patient/%s"},"effectiveDateTime":"2024-01-%02d","valueQuantity":{"value":%d.50,"unit":"g/L","system":"http://unitsofmeasure.org","code":"g/L"}}`,
			i, p, i+1, 100+i)))
	}
	w.do("POST", "", bundleOf("transaction", entries...)).must(200)
}

func TestSearches(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	seed(w)
	for query, want := range map[string]string{
		"/Patient?family=zhao":                                     "Patient/p1",
		"/Patient?_id=p2":                                          "Patient/p2",
		"/Patient?gender=male&birthdate=lt1975":                    "Patient/p1",
		"/Patient?_sort=-birthdate":                                "Patient/p2 Patient/p1",
		"/Patient?_has:Observation:patient:date=2024-01-09":        "Patient/p2",
		"/Observation?subject:Patient.family=Qian&_sort=date":      "Observation/ob7 Observation/ob8 Observation/ob9",
		"/Observation?patient.identifier=urn:x|1&date=2024-01-03":  "Observation/ob2",
		"/Observation?patient=p1&_count=2":                         "Observation/ob6 Observation/ob5",
		"/Observation?value-quantity=gt108":                        "Observation/ob9 Observation/ob8",
		"/Observation?_id=ob1,ob3&_sort=_id":                       "Observation/ob1 Observation/ob3",
		"/Patient/p2/Observation?_sort=date":                       "Observation/ob7 Observation/ob8 Observation/ob9",
		"/Patient/p2/*?_type=Patient":                              "Patient/p2",
		"/Patient/p2/Condition":                                    "",
		"/Patient?organization.name=First":                         "Patient/p1",
		"/?_type=Organization,Patient&_id=p1,o2&_sort=_id":         "Organization/o2 Patient/p1",
		"/Observation?code=http://loinc.org|718-7&date=2024-01-05": "Observation/ob4",
	} {
		b := w.do("GET", query, "").must(200).bundle()
		if got := strings.Join(b.ids("match"), " "); got != want {
			t.Errorf("%s gives %q, want %q", query, got, want)
		}
		if b.Type != "searchset" || b.link("self") == "" {
			t.Errorf("%s: type %s, self %q", query, b.Type, b.link("self"))
		}
	}
	form := "family=zhao"
	if got := w.do("POST", "/Patient/_search?gender=male", form, "Content-Type", "application/x-www-form-urlencoded").must(200).bundle().ids("match"); len(got) != 1 {
		t.Errorf("a posted search gives %v", got)
	}
	w.do("POST", "/Patient/_search", form).must(415)
	w.do("GET", "/Account/p1/Observation", "").must(404)
}

func TestTotals(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	seed(w)
	for query, want := range map[string]int{
		"/Observation?patient=p1":                            7,
		"/Observation?patient=p1&_count=2":                   7,
		"/Observation?patient=p1&_count=0":                   7,
		"/Observation?patient=p1&_summary=count":             7,
		"/Observation?patient=p1&_summary=count&_total=none": 7,
		"/Observation?patient=p1&_total=accurate":            7,
		"/Observation?patient=nobody":                        0,
	} {
		if b := w.do("GET", query, "").must(200).bundle(); b.Total == nil || *b.Total != want {
			t.Errorf("%s: total %v, want %d", query, b.Total, want)
		}
	}
	if b := w.do("GET", "/Observation?_total=none", "").must(200).bundle(); b.Total != nil {
		t.Errorf("_total=none gives %d", *b.Total)
	}
	if b := w.do("GET", "/Observation?_summary=count", "").must(200).bundle(); len(b.Entry) != 0 {
		t.Errorf("_summary=count gives entries")
	}
}

func TestIncludes(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	seed(w)
	for query, want := range map[string]string{
		"/Observation?_id=ob1&_include=Observation:subject":                                            "Patient/p1",
		"/Observation?_id=ob1,ob9&_include=Observation:subject:Patient":                                "Patient/p1 Patient/p2",
		"/Observation?_id=ob1&_include=Observation:subject:Group":                                      "",
		"/Observation?_id=ob1&_include=Observation:*":                                                  "Patient/p1",
		"/Patient?_id=p2&_revinclude=Observation:subject":                                              "Observation/ob7 Observation/ob8 Observation/ob9",
		"/Patient?_id=p2&_revinclude=Observation:*":                                                    "Observation/ob7 Observation/ob8 Observation/ob9",
		"/Patient?_id=p1&_include=Patient:organization":                                                "Organization/o1",
		"/Patient?_id=p1&_include=Patient:organization&_include:iterate=Organization:partof":           "Organization/o1 Organization/o2 Organization/o3",
		"/Observation?_id=ob1&_include=Observation:subject&_include:iterate=Patient:organization":      "Organization/o1 Patient/p1",
		"/Organization?_id=o3&_revinclude:iterate=Organization:partof":                                 "Organization/o1 Organization/o2",
		"/Organization?_id=o3&_revinclude=Organization:partof":                                         "Organization/o2",
		"/Observation?_id=ob1&_include=Observation:subject&_include=Observation:patient&_summary=data": "Patient/p1",
	} {
		b := w.do("GET", query, "").must(200).bundle()
		got := b.ids("include")
		slices.Sort(got)
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s includes %q, want %q", query, s, want)
		}
	}
	w.do("GET", "/Observation?_include=Observation:nonsense", "").must(400)
}

func TestIncludesAreBoundedAloud(t *testing.T) {
	t.Parallel()
	w := start(t, func(c *interact.Config, _ *rest.Config) { c.Limits.Includes, c.Limits.IncludeDepth = 2, 1 })
	seed(w)
	for _, query := range []string{
		"/Patient?_id=p2&_revinclude=Observation:subject",
		"/Organization?_id=o3&_revinclude:iterate=Organization:partof",
	} {
		b := w.do("GET", query, "").must(200).bundle()
		if len(b.ids("include")) > 2 || len(b.ids("outcome")) != 1 {
			t.Errorf("%s: includes %v, outcome %v", query, b.ids("include"), b.ids("outcome"))
		}
	}
	if b := w.do("GET", "/Patient?_id=p1&_include=Patient:organization", "").bundle(); len(b.ids("outcome")) != 0 {
		t.Error("an outcome where nothing was cut")
	}
}

func TestSubsets(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	seed(w)
	for query, want := range map[string]string{
		"_summary=true":            "birthDate gender id identifier managingOrganization meta name resourceType",
		"_summary=text":            "id meta resourceType text",
		"_summary=data":            "birthDate contact gender id identifier managingOrganization meta name resourceType",
		"_elements=gender,contact": "contact gender id meta resourceType",
		"_summary=false":           "birthDate contact gender id identifier managingOrganization meta name resourceType text",
	} {
		b := w.do("GET", "/Patient?_id=p1&"+query, "").must(200).bundle()
		r := tree(t, b.Entry[0].Resource)
		var names []string
		for name := range r {
			names = append(names, name)
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s leaves %s, want %s", query, got, want)
		}
		if marked := bytes.Contains(b.Entry[0].Resource, []byte("SUBSETTED")); marked != (query != "_summary=false") {
			t.Errorf("%s: SUBSETTED is %v", query, marked)
		}
	}
	if r := w.do("GET", "/Patient/p1?_elements=gender", "").must(200).tree(); r["gender"] == nil || r["birthDate"] != nil {
		t.Errorf("a read with _elements=gender gives %v", r)
	}
	b := w.do("GET", "/Observation?_id=ob1&_elements=value", "").must(200).bundle()
	if r := tree(t, b.Entry[0].Resource); r["valueQuantity"] == nil || r["status"] == nil || r["code"] == nil || r["subject"] != nil {
		t.Errorf("_elements=value leaves %v", r)
	}
}

// pages follows next links and gives all matches.
func pages(t *testing.T, w *world, first string, between func()) (all []string, totals []int) {
	t.Helper()
	for next := first; next != ""; {
		b := w.do("GET", next, "").must(200).bundle()
		all = append(all, b.ids("match")...)
		totals = append(totals, *b.Total)
		next = b.link("next")
		if between != nil {
			between()
		}
	}
	return all, totals
}

// TestPagingWhileWriting: the pages of one search are of one moment, whatever
// is written, changed or deleted meanwhile.
func TestPagingWhileWriting(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	seed(w)
	want, _ := pages(t, w, "/Observation?code=718-7&_count=100", nil)
	for _, sort := range []string{"", "&_sort=date", "&_sort=-value-quantity", "&_sort=_lastUpdated"} {
		n := 0
		got, totals := pages(t, w, "/Observation?code=718-7&_count=3"+sort, func() {
			n++
			w.do("POST", "/Observation", fmt.Sprintf(`{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"718-7"}]},"effectiveDateTime":"2030-01-%02d"}`, n)).must(201)
			w.do("DELETE", fmt.Sprintf("/Observation/ob%d", n), "").must(204)
			w.do("PUT", "/Observation/ob9", fmt.Sprintf(`{"resourceType":"Observation","id":"ob9","status":"amended","code":{"coding":[{"system":"http://loinc.org","code":"other"}]},"effectiveDateTime":"2000-01-%02d"}`, n)).must(200)
		})
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) || slices.ContainsFunc(totals, func(n int) bool { return n != len(want) }) {
			t.Errorf("sort %q: pages give %v with totals %v, want %v", sort, got, totals, want)
		}
		seed(w)
		for _, k := range extra(w) {
			w.do("DELETE", "/"+k, "").must(204)
		}
	}
}

func extra(w *world) []string {
	all := w.do("GET", "/Observation?date=ge2030&_count=1000", "").bundle().ids("match")
	return all
}

func TestPageTokensAreBound(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	seed(w)
	next := w.do("GET", "/Observation?patient=p1&_count=2", "").must(200).bundle().link("next")
	u, err := url.Parse(next)
	if err != nil {
		t.Fatal(err)
	}
	token := u.Query().Get("_page")
	w.do("GET", next, "").must(200)
	for name, path := range map[string]string{
		"another query":  "/Observation?patient=p2&_count=2&_page=" + token,
		"another count":  "/Observation?patient=p1&_count=3&_page=" + token,
		"another type":   "/Condition?patient=p1&_count=2&_page=" + token,
		"changed":        "/Observation?patient=p1&_count=2&_page=" + flip(token),
		"cut":            "/Observation?patient=p1&_count=2&_page=" + token[:len(token)-3],
		"of another use": "/Observation/_history?_count=2&_page=" + token,
		"empty":          "/Observation?patient=p1&_count=2&_page=AAAA",
	} {
		if a := w.do("GET", path, ""); a.status != 400 {
			t.Errorf("%s: %d", name, a.status)
		}
	}
	other := start(t, nil)
	seed(other)
	other.do("GET", "/Observation?patient=p1&_count=2&_page="+token, "").must(400)
}

func flip(token string) string {
	b := []byte(token)
	if b[12] == 'A' {
		b[12] = 'B'
	} else {
		b[12] = 'A'
	}
	return string(b)
}

func TestHistories(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for i := range 5 {
		w.do("PUT", "/Patient/h", fmt.Sprintf(`{"resourceType":"Patient","id":"h","multipleBirthInteger":%d}`, i))
		w.do("PUT", fmt.Sprintf("/Organization/h%d", i), fmt.Sprintf(`{"resourceType":"Organization","id":"h%d","name":"x"}`, i))
	}
	for path, want := range map[string]int{"/Patient/h/_history": 5, "/Patient/_history": 5, "/Organization/_history": 5, "/_history": 10} {
		seen := 0
		for next := path + "?_count=2"; next != ""; {
			b := w.do("GET", next, "").must(200).bundle()
			if b.Type != "history" || *b.Total != want {
				t.Errorf("%s: type %s, total %d, want %d", path, b.Type, *b.Total, want)
			}
			seen += len(b.Entry)
			next = b.link("next")
		}
		if seen != want {
			t.Errorf("%s: %d versions over the pages, want %d", path, seen, want)
		}
	}
	updated := func(version int) string {
		return tree(t, w.do("GET", fmt.Sprintf("/Patient/h/_history/%d", version), "").must(200).body)["meta"].(map[string]any)["lastUpdated"].(string)
	}
	at, want := updated(3), 3
	for version := 2; version > 0 && updated(version) == at; version-- {
		want++ // stored within the same millisecond
	}
	since := w.do("GET", "/Patient/h/_history?_since="+at, "").must(200).bundle()
	if len(since.Entry) != want {
		t.Errorf("_since gives %d versions, want %d", len(since.Entry), want)
	}
	then := w.do("GET", "/Patient/h/_history?_at="+at, "").must(200).bundle()
	if len(then.Entry) != 1 || then.Entry[0].Response.Etag != `W/"3"` {
		t.Errorf("_at gives %v", then.Entry)
	}
	w.do("GET", "/Patient/h/_history?nonsense=1", "").must(400)
	w.do("GET", "/Patient/h/_history?_since=nonsense", "").must(400)
	w.do("GET", "/Patient/none/_history", "").must(404)
	w.do("GET", "/Patient/h/_history/6", "").must(404)
	w.do("GET", "/Patient/h/_history/x", "").must(404)
}

func TestCapabilities(t *testing.T) {
	t.Parallel()
	w := start(t, func(c *interact.Config, _ *rest.Config) {
		c.About = interact.About{Version: "1.2.3", SMART: map[string]string{"token": "https://x/token"},
			Operations: []interact.Operation{{Type: "Patient", Name: "$match", Definition: "http://hl7.org/fhir/OperationDefinition/Patient-match"}}}
	})
	a := w.do("GET", "/metadata", "").must(200)
	var s struct {
		FHIRVersion string
		Rest        []struct {
			Security json.RawMessage
			Resource []struct {
				Type        string
				SearchParam []struct{ Name, Type string }
				Operation   []struct{ Name string }
			}
		}
	}
	if err := json.Unmarshal(a.body, &s); err != nil {
		t.Fatal(err)
	}
	if s.FHIRVersion != "4.0.1" || len(s.Rest[0].Resource) != 146 || !bytes.Contains(s.Rest[0].Security, []byte("https://x/token")) {
		t.Fatalf("version %s, %d types, security %s", s.FHIRVersion, len(s.Rest[0].Resource), s.Rest[0].Security)
	}
	for _, r := range s.Rest[0].Resource {
		if len(r.SearchParam) < 5 {
			t.Errorf("%s has %d search parameters", r.Type, len(r.SearchParam))
		}
		if r.Type == "Patient" && (len(r.Operation) != 1 || r.Operation[0].Name != "match") {
			t.Errorf("operations of Patient: %v", r.Operation)
		}
	}
	// It is a valid resource of its own kind.
	w.do("POST", "/CapabilityStatement", string(a.body)).must(201)
}

// TestReadYourWrites: what was acknowledged is found by the next request.
func TestReadYourWrites(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 10 {
				value := fmt.Sprintf("%d-%d", i, j)
				a, err := w.try("POST", "/Patient", fmt.Sprintf(`{"resourceType":"Patient","identifier":[{"system":"urn:rw","value":%q}]}`, value))
				if err != nil || a.status != 201 {
					t.Errorf("create %s: %v", value, err)
					return
				}
				b, err := w.service.Search(context.Background(), interact.SystemCaller(""), interact.SearchRequest{Type: "Patient", Query: "identifier=urn:rw|" + value})
				if err != nil || b.Total != 1 {
					t.Errorf("find %s: %+v %v", value, b, err)
				}
			}
		})
	}
	wg.Wait()
}

// plain is a caller who is no operator.
type plain struct{ interact.Caller }

// TestExplain: operators are told the plan, others nothing, and what is
// explained is what would run.
func TestExplain(t *testing.T) {
	t.Parallel()
	caller := interact.SystemCaller("")
	w := start(t, func(_ *interact.Config, rc *rest.Config) {
		rc.Caller = func(c *gin.Context) (interact.Caller, error) {
			if c.GetHeader("X-Plain") != "" {
				return plain{caller}, nil
			}
			return caller, nil
		}
	})
	seed(w)
	for query, want := range map[string]string{
		"/Observation?patient=Patient/p1&code=718-7&_explain=true": "drive patient+code",
		"/Patient/p1/Observation?_explain=true":                    "drive compartment",
		"/Patient?family=zh&_explain=true&_pretty=true":            "drive family",
	} {
		if got := string(w.do("GET", query, "").must(200).body); !strings.Contains(got, want) || strings.Contains(got, "Bundle") {
			t.Errorf("%s: %s", query, got)
		}
	}
	w.do("GET", "/Patient?nonsense=1&_explain=true", "").must(400)
	w.do("GET", "/Patient?family=zh&_explain=true", "", "X-Plain", "1").must(403)
}
