package rest_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"hutong/fhir/interact"
	"hutong/fhir/rest"
)

// entry writes one entry of a Bundle.
func entry(method, url, fullURL, resource string, more ...string) string {
	var b strings.Builder
	b.WriteString("{")
	if fullURL != "" {
		fmt.Fprintf(&b, `"fullUrl":%q,`, fullURL)
	}
	if resource != "" {
		fmt.Fprintf(&b, `"resource":%s,`, resource)
	}
	fmt.Fprintf(&b, `"request":{"method":%q,"url":%q`, method, url)
	for i := 0; i < len(more); i += 2 {
		fmt.Fprintf(&b, `,%q:%q`, more[i], more[i+1])
	}
	b.WriteString("}}")
	return b.String()
}

func bundleOf(typ string, entries ...string) string {
	return fmt.Sprintf(`{"resourceType":"Bundle","type":%q,"entry":[%s]}`, typ, strings.Join(entries, ","))
}

const (
	urnPatient = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
	urnVisit   = "urn:uuid:88f151c0-a954-468a-88bd-5ae15c08e059"
)

func observation(subject string) string {
	return fmt.Sprintf(`{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":%q}}`, subject)
}

func TestTransactionResolvesReferences(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.do("PUT", "/Practitioner/doc", `{"resourceType":"Practitioner","id":"doc","identifier":[{"system":"urn:npi","value":"7"}]}`).must(201)
	w.do("PUT", "/Patient/old", `{"resourceType":"Patient","id":"old"}`).must(201)
	body := bundleOf("transaction",
		entry("POST", "Observation", "", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"`+urnPatient+`"},
			"encounter":{"reference":"`+urnVisit+`"},"performer":[{"reference":"Practitioner?identifier=urn:npi|7"}],
			"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"`+urnPatient+`\">p</a></div>"},
			"contained":[{"resourceType":"Specimen","id":"s","subject":{"reference":"`+urnPatient+`"}}],"specimen":{"reference":"#s"}}`),
		entry("PUT", "Encounter/v1", urnVisit, `{"resourceType":"Encounter","id":"v1","status":"finished","class":{"code":"AMB"},"subject":{"reference":"`+urnPatient+`"}}`),
		entry("POST", "Patient", urnPatient, `{"resourceType":"Patient","identifier":[{"system":"urn:mrn","value":"1"}]}`, "ifNoneExist", "identifier=urn:mrn|1"),
		entry("POST", "Condition", "", `{"resourceType":"Condition","subject":{"reference":"Patient?identifier=urn:mrn|1"}}`),
		entry("DELETE", "Patient/old", "", ""),
		entry("GET", "Patient?identifier=urn:mrn|1", "", ""),
		entry("GET", "Encounter/v1", "", ""),
	)
	for round := range 2 { // the second time the conditional create finds its match
		out := w.do("POST", "", body).must(200).bundle()
		status := make([]string, len(out.Entry))
		for i, e := range out.Entry {
			status[i] = e.Response.Status[:3]
		}
		want := "201 201 201 201 204 200 200"
		if round == 1 {
			want = "201 200 200 201 204 200 200"
		}
		if got := strings.Join(status, " "); got != want {
			t.Fatalf("round %d: %s, want %s", round, got, want)
		}
		patient := strings.Join(strings.Split(strings.TrimPrefix(out.Entry[2].Response.Location, base+"/"), "/")[:2], "/")
		stored := string(w.do("GET", out.Entry[0].Response.Location, "").must(200).body)
		if strings.Contains(stored, "urn:uuid") || strings.Count(stored, patient) != 3 ||
			!strings.Contains(stored, `"Encounter/v1"`) || !strings.Contains(stored, `"Practitioner/doc"`) {
			t.Fatalf("round %d: references to %s in %s", round, patient, stored)
		}
		if got := w.do("GET", "/Observation?subject="+patient+"&performer=doc", "").bundle(); *got.Total != round+1 {
			t.Errorf("round %d: %d observations found by the resolved reference", round, *got.Total)
		}
		if got := w.do("GET", "/Condition?subject="+patient, "").bundle(); *got.Total != round+1 {
			t.Errorf("round %d: %d conditions found", round, *got.Total)
		}
		var found bundle
		if err := json.Unmarshal(out.Entry[5].Resource, &found); err != nil || found.ids("match")[0] != patient {
			t.Errorf("round %d: the GET answers %s", round, out.Entry[5].Resource)
		}
	}
	w.do("GET", "/Patient/old", "").must(410)
}

func TestTransactionFailsWhole(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.do("PUT", "/Patient/p1", `{"resourceType":"Patient","id":"p1","identifier":[{"system":"urn:x","value":"1"}]}`).must(201)
	w.do("PUT", "/Patient/p2", `{"resourceType":"Patient","id":"p2","identifier":[{"system":"urn:x","value":"1"}]}`).must(201)
	good := entry("POST", "Observation", "", observation("Patient/p1"))
	for name, c := range map[string]struct {
		entry      string
		status     int
		expression string
	}{
		"invalid resource":         {entry("POST", "Patient", "", `{"resourceType":"Patient","birthDate":"1970-02-30"}`), 400, "Bundle.entry[1].resource.birthDate"},
		"other type":               {entry("POST", "Patient", "", observation("Patient/p1")), 400, "Bundle.entry[1].resource.resourceType"},
		"unknown type":             {entry("POST", "Nonsense", "", `{"resourceType":"Nonsense"}`), 404, "Bundle.entry[1]"},
		"no request":               {`{"resource":{"resourceType":"Patient"}}`, 400, "Bundle.entry[1].request"},
		"no resource":              {entry("POST", "Patient", "", ""), 400, "Bundle.entry[1].resource"},
		"bad method":               {entry("FETCH", "Patient", "", ""), 400, "Bundle.entry[1].request.method"},
		"PUT without id":           {entry("PUT", "Patient", "", `{"resourceType":"Patient"}`), 400, "Bundle.entry[1].request.url"},
		"PUT of another id":        {entry("PUT", "Patient/a", "", `{"resourceType":"Patient","id":"b"}`), 400, "Bundle.entry[1].resource.id"},
		"dangling urn":             {entry("POST", "Observation", "", observation(urnVisit)), 400, "Bundle.entry[1].resource.subject.reference"},
		"conditional without hit":  {entry("POST", "Observation", "", observation("Patient?identifier=urn:x|9")), 412, "Bundle.entry[1].resource.subject.reference"},
		"conditional ambiguous":    {entry("POST", "Observation", "", observation("Patient?identifier=urn:x|1")), 412, "Bundle.entry[1].resource.subject.reference"},
		"ifMatch":                  {entry("PUT", "Patient/p1", "", `{"resourceType":"Patient","id":"p1"}`, "ifMatch", `W/"7"`), 412, "Bundle.entry[1]"},
		"ifNoneExist ambiguous":    {entry("POST", "Patient", "", `{"resourceType":"Patient"}`, "ifNoneExist", "identifier=urn:x|1"), 412, "Bundle.entry[1]"},
		"bad search":               {entry("GET", "Patient?nonsense=1", "", ""), 400, "Bundle.entry[1].request.url"},
		"operation":                {entry("POST", "Patient/$nonsense", "", `{"resourceType":"Patient"}`), 400, "Bundle.entry[1].request.url"},
		"FHIRPath patch":           {entry("PATCH", "Patient/p1", "", `{"resourceType":"Parameters"}`), 400, "Bundle.entry[1].resource"},
		"patch of what is not":     {entry("PATCH", "Patient/none", "", jsonPatch(`[]`)), 404, "Bundle.entry[1]"},
		"malformed inside a patch": {entry("PATCH", "Patient/p1", "", jsonPatch(`{`)), 400, "Bundle.entry[1]"},
	} {
		a := w.do("POST", "", bundleOf("transaction", good, c.entry))
		_, expression, text := a.outcome()
		if a.status != c.status || expression != c.expression {
			t.Errorf("%s: %d at %s (%s), want %d at %s", name, a.status, expression, text, c.status, c.expression)
		}
	}
	twice := entry("PUT", "Patient/p1", "", `{"resourceType":"Patient","id":"p1"}`)
	if _, expression, _ := w.do("POST", "", bundleOf("transaction", good, twice, twice)).must(400).outcome(); expression != "Bundle.entry[2]" {
		t.Errorf("the same resource twice: at %s", expression)
	}
	same := entry("POST", "Patient", urnPatient, `{"resourceType":"Patient"}`)
	if _, expression, _ := w.do("POST", "", bundleOf("transaction", same, same)).must(400).outcome(); expression != "Bundle.entry[1].fullUrl" {
		t.Errorf("the same fullUrl twice: at %s", expression)
	}
	if got := w.do("GET", "/Observation?_summary=count", "").bundle(); *got.Total != 0 {
		t.Errorf("%d observations of failed transactions are stored", *got.Total)
	}
	if got := w.do("GET", "/Patient/p1", "").must(200); got.header.Get("ETag") != `W/"1"` {
		t.Errorf("a failed transaction changed p1: %s", got.body)
	}
}

func jsonPatch(patch string) string {
	return fmt.Sprintf(`{"resourceType":"Binary","contentType":"application/json-patch+json","data":%q}`, base64.StdEncoding.EncodeToString([]byte(patch)))
}

func TestTransactionTellsAllFaults(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	bad := entry("POST", "Patient", "", `{"resourceType":"Patient","birthDate":"x"}`)
	issues, _ := w.do("POST", "", bundleOf("transaction", bad, bad, bad)).must(400).tree()["issue"].([]any)
	if len(issues) != 3 {
		t.Errorf("%d issues for three bad entries", len(issues))
	}
}

func TestPatchInTransaction(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.do("PUT", "/Patient/p", `{"resourceType":"Patient","id":"p","multipleBirthInteger":2}`).must(201)
	body := bundleOf("transaction",
		entry("PATCH", "Patient/p", "", jsonPatch(`[{"op":"add","path":"/managingOrganization","value":{"reference":"`+urnVisit+`"}}]`)),
		entry("POST", "Organization", urnVisit, `{"resourceType":"Organization","name":"o"}`))
	out := w.do("POST", "", body, "Prefer", "return=representation").must(200).bundle()
	if got := string(out.Entry[0].Resource); !strings.Contains(got, `"Organization/`) || !strings.Contains(got, `"multipleBirthInteger":2`) {
		t.Errorf("patched %s", got)
	}
}

func TestBatchReportsEach(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	out := w.do("POST", "", bundleOf("batch",
		entry("PUT", "Patient/b1", "", `{"resourceType":"Patient","id":"b1"}`),
		entry("POST", "Patient", "", `{"resourceType":"Patient","gender":"MALE"}`),
		entry("GET", "Patient/b1", "", "", "ifNoneMatch", `W/"1"`),
		entry("GET", "Patient/none", "", ""),
		entry("POST", "Observation", "", observation(urnPatient)),
		entry("DELETE", "Patient/b1", "", ""),
		entry("GET", "Patient/b1/_history", "", ""),
		entry("GET", "Patient/b1/Observation?_count=1", "", ""),
		`{}`,
	)).must(200).bundle()
	var got []string
	for _, e := range out.Entry {
		got = append(got, e.Response.Status[:3])
	}
	if s := strings.Join(got, " "); out.Type != "batch-response" || s != "201 400 304 404 400 204 200 200 400" {
		t.Errorf("%s: %s", out.Type, s)
	}
	if !strings.Contains(string(out.Entry[1].Response.Outcome), "Bundle.entry[1].resource.gender") {
		t.Errorf("outcome %s", out.Entry[1].Response.Outcome)
	}
}

func TestBundlesThatAreResources(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	collection := bundleOf("collection", `{"fullUrl":"`+urnPatient+`","resource":{"resourceType":"Patient"}}`,
		`{"fullUrl":"`+urnVisit+`","resource":`+observation(urnPatient)+`}`)
	stored := w.do("POST", "/Bundle", collection).must(201)
	if !strings.Contains(string(stored.body), `{"reference":"`+urnPatient+`"}`) {
		t.Errorf("the references within a stored Bundle changed: %s", stored.body)
	}
	w.do("POST", "", collection).must(400)
	w.do("POST", "", `{"resourceType":"Patient"}`).must(400)
	if out := w.do("POST", "", `{"resourceType":"Bundle","type":"transaction"}`).must(200).bundle(); len(out.Entry) != 0 {
		t.Errorf("an empty transaction answers %v", out)
	}
}

func TestBundleEntriesAreBounded(t *testing.T) {
	t.Parallel()
	w := start(t, func(c *interact.Config, _ *rest.Config) { c.Limits.BundleEntries = 2 })
	e := entry("POST", "Patient", "", `{"resourceType":"Patient"}`)
	w.do("POST", "", bundleOf("transaction", e, e)).must(200)
	w.do("POST", "", bundleOf("transaction", e, e, e)).must(413)
}

// TestConditionalCreateRace: of 64 concurrent identical creates one creates.
func TestConditionalCreateRace(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	const racers = 64
	patient := `{"resourceType":"Patient","identifier":[{"system":"urn:race","value":"1"}]}`
	send := map[bool]func() (*answer, error){
		true: func() (*answer, error) {
			return w.try("POST", "/Patient", patient, "If-None-Exist", "identifier=urn:race|1")
		},
		false: func() (*answer, error) {
			return w.try("POST", "", bundleOf("transaction",
				entry("POST", "Patient", urnPatient, patient, "ifNoneExist", "identifier=urn:race|1"),
				entry("POST", "Observation", "", observation(urnPatient))))
		},
	}
	answers := make([]*answer, racers)
	var wg sync.WaitGroup
	for i := range racers {
		wg.Go(func() {
			a, err := send[i%2 == 0]()
			if err != nil {
				t.Errorf("racer %d: %v", i, err)
				return
			}
			answers[i] = a
		})
	}
	wg.Wait()
	created := 0
	for i, a := range answers {
		if a == nil || a.status != 200 && a.status != 201 {
			t.Fatalf("racer %d: %+v", i, a)
		}
		if a.status == 201 || i%2 == 1 && strings.HasPrefix(a.bundle().Entry[0].Response.Status, "201") {
			created++
		}
	}
	found := w.do("GET", "/Patient?identifier=urn:race|1", "").must(200).bundle()
	if created != 1 || *found.Total != 1 {
		t.Fatalf("%d say they created, %d are there", created, *found.Total)
	}
	if got := w.do("GET", "/Observation?subject="+found.ids("match")[0]+"&_summary=count", "").bundle(); *got.Total != racers/2 {
		t.Errorf("%d observations point to the one patient, want %d", *got.Total, racers/2)
	}
}

// TestUpdatesOfOneResourceAllSucceed: without If-Match nobody is turned away.
func TestUpdatesOfOneResourceAllSucceed(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	const writers = 32
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			a, err := w.try("PUT", "/Patient/hot", fmt.Sprintf(`{"resourceType":"Patient","id":"hot","multipleBirthInteger":%d}`, i))
			if err != nil || a.status != 200 && a.status != 201 {
				t.Errorf("writer %d: %v %+v", i, err, a)
			}
		})
	}
	wg.Wait()
	if got := w.do("GET", "/Patient/hot", "").must(200).header.Get("ETag"); got != fmt.Sprintf(`W/"%d"`, writers) {
		t.Errorf("after %d updates the version is %s", writers, got)
	}
}
