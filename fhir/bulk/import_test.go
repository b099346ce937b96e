package bulk_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"hutong/fhir"
	"hutong/fhir/bulk"
	"hutong/fhir/interact"
)

// imported is the answer of $import.
type imported struct {
	lines, stored, failed int
	faults                map[int]string // line to the first issue: code, expression
	stopped               string
}

type issues struct {
	Issue []struct {
		Code       string
		Expression []string
	}
}

func (o issues) String() string {
	if len(o.Issue) == 0 {
		return "none"
	}
	return o.Issue[0].Code + " " + strings.Join(o.Issue[0].Expression, ",")
}

func (a *answer) imported() imported {
	a.t.Helper()
	var p struct {
		Parameter []struct {
			Name         string
			ValueInteger int
			Resource     issues
			Part         []struct {
				ValueInteger int
				Resource     issues
			}
		}
	}
	if err := json.Unmarshal(a.body, &p); err != nil {
		a.t.Fatalf("%v: %s", err, a.body)
	}
	got := imported{faults: map[int]string{}}
	for _, x := range p.Parameter {
		switch x.Name {
		case "lines":
			got.lines = x.ValueInteger
		case "stored":
			got.stored = x.ValueInteger
		case "failed":
			got.failed = x.ValueInteger
		case "stopped":
			got.stopped = x.Resource.String()
		case "fault":
			got.faults[x.Part[0].ValueInteger] = x.Part[1].Resource.String()
		}
	}
	return got
}

var ndjson = []string{"Content-Type", "application/fhir+ndjson"}

func TestImport(t *testing.T) {
	t.Parallel()
	w := start(t, bulk.Limits{Batch: 20})
	var body strings.Builder
	for i := range 500 {
		id := fmt.Sprintf("i%d", i)
		body.WriteString(patient(id) + "\n" + observation(id, id, "2020-01-01") + "\r\n\n")
	}
	got := w.do("h1", "POST", "/$import", body.String(), ndjson...).must(200).imported()
	if got.lines != 1500 || got.stored != 1000 || got.failed != 0 || len(got.faults) != 0 || got.stopped != "" {
		t.Errorf("%+v", got)
	}
	for _, kind := range []string{"Patient", "Observation"} {
		if n := w.do("h1", "GET", "/"+kind+"?_summary=count", "").bundle().Total; n != 500 {
			t.Errorf("%d of %s", n, kind)
		}
	}
	// Again, gzipped: the same resources, a version more.
	var z bytes.Buffer
	zw := gzip.NewWriter(&z)
	_, _ = zw.Write([]byte(body.String()))
	w.must(zw.Close())
	got = w.do("h1", "POST", "/$import", z.String(), append(ndjson, "Content-Encoding", "gzip")...).must(200).imported()
	if n := w.do("h1", "GET", "/Patient?_summary=count", "").bundle().Total; got.stored != 1000 || n != 500 {
		t.Errorf("%+v, %d patients", got, n)
	}
	if n := len(w.audit.of("$import")); n != 100 {
		t.Errorf("%d records of 100 transactions", n)
	}
}

func TestImportReportsEveryBadLine(t *testing.T) {
	t.Parallel()
	w := start(t, bulk.Limits{Batch: 8, LineBytes: 4000})
	w.put("h2", patient("theirs"))
	lines := []string{
		1:  patient("ok1"),
		2:  `{"resourceType":"Patient","id":"x2","birthDate":"yesterday"}`,
		3:  `{"resourceType":"Patient"}`,
		4:  `{broken`,
		5:  `{"resourceType":"Nonsense","id":"x"}`,
		6:  patient("theirs"), // of another custodian
		7:  `{"resourceType":"Observation","id":"x7","status":"final","code":{"text":"x"},"subject":{"reference":"Patient?identifier=s|nobody"}}`,
		8:  `"text"`,
		9:  patient(strings.Repeat("long", 2000)),
		10: patient("twice"),
		11: strings.Replace(patient("twice"), "1980", "1990", 1),
		12: `[]`,
		13: patient("bad id"),
		14: patient("ok14"),
	}
	got := w.do("h1", "POST", "/$import", strings.Join(lines[1:], "\n"), ndjson...).must(200).imported()
	want := map[int]string{
		2: "value Patient.birthDate", 3: "invalid Patient.id", 4: "structure ", 5: "not-found Nonsense", 6: "forbidden Patient",
		7: "conflict Observation.subject", 8: "invalid resourceType", 9: "too-long ", 12: "invalid resourceType", 13: "invalid Patient",
	}
	if got.lines != 14 || got.stored != 4 || got.failed != 10 || len(got.faults) != len(want) {
		t.Errorf("%+v", got)
	}
	for line, fault := range want {
		if had, ok := got.faults[line]; !ok || !strings.HasPrefix(had, fault) {
			t.Errorf("line %d: %q, want %q", line, had, fault)
		}
	}
	for id, status := range map[string]int{"ok1": 200, "ok14": 200, "twice": 200, "x2": 404} {
		w.do("all", "GET", "/Patient/"+id, "").must(status)
	}
	if a := w.do("all", "GET", "/Patient/twice", ""); !bytes.Contains(a.body, []byte("1990")) {
		t.Errorf("the later line does not win: %s", a.body)
	}
}

func TestImportIsRefused(t *testing.T) {
	t.Parallel()
	w := start(t, bulk.Limits{})
	w.do("h1", "POST", "/$import", patient("a"), "Content-Type", "application/fhir+json").must(415)
	w.do("h1", "POST", "/$import", patient("a"), append(ndjson, "Content-Encoding", "br")...).must(415)
	w.do("h1", "POST", "/$import", patient("a"), append(ndjson, "Content-Encoding", "gzip")...).must(400)
	w.do("h1", "GET", "/$import", "").must(405)
	w.do("doctor", "POST", "/$import", patient("a"), ndjson...).must(403)
	if n := w.do("all", "GET", "/Patient?_summary=count", "").bundle().Total; n != 0 {
		t.Errorf("%d patients stored", n)
	}
	if list := w.audit.of("$import"); len(list) != 1 || list[0].Err == nil {
		t.Errorf("the trail: %+v", list)
	}
	got := w.do("h1", "POST", "/$import", "\n\n", ndjson...).must(200).imported()
	if got.lines != 2 || got.stored != 0 || got.stopped != "" {
		t.Errorf("%+v", got)
	}
}

func TestImportSaysWhereItStopped(t *testing.T) {
	t.Parallel()
	w := start(t, bulk.Limits{Batch: 10, Faults: 15})
	text := ""
	for i := range 25 {
		text += patient(fmt.Sprintf("s%d", i)) + "\n"
	}
	r := w.bulk.Import(t.Context(), caller("h1"), bulk.Source{Reader: io.MultiReader(strings.NewReader(text), iotest.ErrReader(io.ErrUnexpectedEOF))})
	if r.Lines != 25 || r.Stored != 25 || !errors.Is(r.Stopped, fhir.E(fhir.Structure)) {
		t.Errorf("a stream that breaks off: %+v", r)
	}
	bad := strings.Repeat("{}\n", 100)
	enough := 0
	r = w.bulk.Import(t.Context(), caller("h1"), bulk.Source{Reader: strings.NewReader(bad), Enough: func() { enough++ }})
	if r.Lines != 20 || len(r.Faults) != 20 || !errors.Is(r.Stopped, fhir.E(fhir.Unprocessable)) || enough != 1 {
		t.Errorf("faults only: %d lines, %d faults, %v, %d", r.Lines, len(r.Faults), r.Stopped, enough)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if r = w.bulk.Import(gone, caller("h1"), bulk.Source{Reader: strings.NewReader(text)}); r.Stopped == nil || r.Lines != 0 {
		t.Errorf("a sender who has gone: %+v", r)
	}
}

// FuzzImport: every line is stored or has a fault, whatever the stream.
func FuzzImport(f *testing.F) {
	f.Add([]byte(patient("a") + "\n" + patient("b")))
	f.Add([]byte("\n\n{}\r\n[1]\n\x00"))
	f.Add([]byte(strings.Repeat("x", 5000) + "\n" + patient("c")))
	w := start(f, bulk.Limits{Batch: 3, LineBytes: 2000})
	f.Fuzz(func(t *testing.T, body []byte) {
		r := w.bulk.Import(context.Background(), caller("h1"), bulk.Source{Reader: bytes.NewReader(body)})
		blank, n := 0, 0
		for line := range bytes.SplitSeq(bytes.TrimSuffix(body, []byte("\n")), []byte("\n")) {
			if n++; len(bytes.TrimSpace(line)) == 0 && len(line) < 2000 {
				blank++
			}
		}
		if len(body) == 0 {
			n, blank = 0, 0
		}
		if r.Stopped != nil || r.Lines != n || r.Stored+len(r.Faults) != n-blank {
			t.Fatalf("%d lines, %d blank: %+v", n, blank, r)
		}
	})
}

// TestBatchesThatMeet: two batches are under way at a time, and still the later
// line wins, and a conditional reference finds what stands before it.
func TestBatchesThatMeet(t *testing.T) {
	t.Parallel()
	w := start(t, bulk.Limits{Batch: 1})
	var body strings.Builder
	for i := range 40 {
		id := fmt.Sprintf("m%d", i)
		for year := 1950; year < 1955; year++ {
			fmt.Fprintf(&body, `{"resourceType":"Patient","id":%q,"identifier":[{"system":"urn:s","value":%q}],"birthDate":"%d"}`+"\n", id, id, year)
		}
		fmt.Fprintf(&body, `{"resourceType":"Observation","id":%q,"status":"final","code":{"text":"x"},"subject":{"reference":"Patient?identifier=urn:s|%s"}}`+"\n", "o"+id, id)
	}
	got := w.do("h1", "POST", "/$import", body.String(), ndjson...).must(200).imported()
	if got.stored != 240 || got.failed != 0 {
		t.Fatalf("%+v", got)
	}
	for i := range 40 {
		if a := w.do("all", "GET", fmt.Sprintf("/Patient/m%d", i), ""); !bytes.Contains(a.body, []byte(`"birthDate":"1954"`)) {
			t.Errorf("the later line does not win: %s", a.body)
		}
		if a := w.do("all", "GET", fmt.Sprintf("/Observation/om%d", i), ""); !bytes.Contains(a.body, []byte(fmt.Sprintf(`Patient/m%d`, i))) {
			t.Errorf("the reference: %s", a.body)
		}
	}
}

// curator may change what is there, and create nothing.
type curator struct{ org }

func (curator) MayWrite(_ context.Context, _ interact.Op, _ fhir.Key, existing *fhir.Facts) error {
	if existing == nil {
		return fhir.Errorf(fhir.Forbidden, "nothing new")
	}
	return nil
}

// TestImportOfWhatIsThere: lines are taken to be new until the commit knows
// better; then each is judged by what is there, which may also be a deletion.
func TestImportOfWhatIsThere(t *testing.T) {
	t.Parallel()
	w := start(t, bulk.Limits{Batch: 4})
	w.put("h1", patient("a"), patient("gone"), patient("c"))
	w.do("h1", "DELETE", "/Patient/gone", "").must(204)
	text := strings.Join([]string{patient("a"), patient("new1"), patient("gone"), patient("new2"), patient("new3"), patient("c")}, "\n")
	r := w.bulk.Import(t.Context(), curator{caller("h1")}, bulk.Source{Reader: strings.NewReader(text)})
	var faults []int
	for _, f := range r.Faults {
		faults = append(faults, f.Line)
		if !errors.Is(f.Err, fhir.E(fhir.Forbidden)) {
			t.Errorf("line %d: %v", f.Line, f.Err)
		}
	}
	if r.Stored != 2 || !slices.Equal(faults, []int{2, 3, 4, 5}) || r.Stopped != nil {
		t.Errorf("%+v", r)
	}
	r = w.bulk.Import(t.Context(), caller("h1"), bulk.Source{Reader: strings.NewReader(text)})
	if r.Stored != 6 || len(r.Faults) != 0 {
		t.Errorf("%+v", r)
	}
	for id, version := range map[string]string{"a": `W/"3"`, "gone": `W/"3"`, "c": `W/"3"`, "new3": `W/"1"`} {
		if got := w.do("h1", "GET", "/Patient/"+id, "").must(200).header.Get("ETag"); got != version {
			t.Errorf("%s is at %s, want %s", id, got, version)
		}
	}
}
