package answer_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/interact/answer"
)

func resource(t *testing.T, text string) fhir.Resource {
	t.Helper()
	d, err := codec.Parse([]byte(text), codec.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	body, err := codec.NewBody(d, 0, codec.BodyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return fhir.Resource{
		Version: fhir.Version{Key: fhir.Key{Type: d.ResourceType(0), ID: d.ChildText(0, "id")}, VersionID: 3, LastUpdated: time.UnixMilli(0)},
		Body:    body,
	}
}

func TestBundleIsWrittenAsJSON(t *testing.T) {
	t.Parallel()
	r := resource(t, `{"resourceType":"Patient","id":"p","multipleBirthInteger":2}`)
	b := answer.Bundle{
		Type: "searchset", Total: 0, At: time.UnixMilli(1), Links: []answer.Link{{Relation: "self", URL: `x?a="b"`}, {Relation: "next", URL: "y"}},
		Entries: []answer.Entry{
			{FullURL: "u", Resource: r, Mode: "match"}, {JSON: []byte(`{"resourceType":"OperationOutcome"}`), Mode: "outcome"},
			{Method: "DELETE", URL: "Patient/p", Status: "204 No Content", ETag: `W/"4"`, Modified: time.UnixMilli(2), Location: "l", Outcome: []byte(`{}`)},
			{},
		},
	}
	want := `{"resourceType":"Bundle","meta":{"lastUpdated":"1970-01-01T00:00:00.001Z"},"type":"searchset","total":0,` +
		`"link":[{"relation":"self","url":"x?a=\"b\""},{"relation":"next","url":"y"}],"entry":[` +
		`{"fullUrl":"u","resource":{"resourceType":"Patient","id":"p","meta":{"versionId":"3","lastUpdated":"1970-01-01T00:00:00.000Z"},"multipleBirthInteger":2},"search":{"mode":"match"}},` +
		`{"resource":{"resourceType":"OperationOutcome"},"search":{"mode":"outcome"}},` +
		`{"request":{"method":"DELETE","url":"Patient/p"},"response":{"status":"204 No Content","location":"l","etag":"W/\"4\"","lastModified":"1970-01-01T00:00:00.002Z","outcome":{}}},` +
		`{}]}`
	var got bytes.Buffer
	n, err := b.WriteTo(&got)
	if err != nil || got.String() != want || int(n) != got.Len() {
		t.Errorf("%d bytes, %v:\n%s\nwant\n%s", n, err, got.String(), want)
	}
	got.Reset()
	b = answer.Bundle{Type: "history", Total: -1}
	if _, err := b.WriteTo(&got); err != nil || got.String() != `{"resourceType":"Bundle","type":"history"}` {
		t.Errorf("empty: %s", got.String())
	}
}

// chunks counts writes and fails at the given one.
type chunks struct{ writes, failAt, largest int }

func (c *chunks) Write(b []byte) (int, error) {
	c.writes++
	c.largest = max(c.largest, len(b))
	if c.writes == c.failAt {
		return 0, errors.New("gone")
	}
	return len(b), nil
}

func TestBundleIsStreamed(t *testing.T) {
	t.Parallel()
	r := resource(t, `{"resourceType":"Patient","id":"p","name":[{"text":"`+strings.Repeat("x", 1000)+`"}]}`)
	b := answer.Bundle{Type: "searchset", Total: -1}
	for range 1000 {
		b.Entries = append(b.Entries, answer.Entry{Resource: r})
	}
	var c chunks
	if n, err := b.WriteTo(&c); err != nil || n < 1_000_000 || c.writes < 10 || c.largest > 70<<10 {
		t.Errorf("%d bytes in %d writes of at most %d: %v", n, c.writes, c.largest, err)
	}
	if _, err := b.WriteTo(&chunks{failAt: 3}); err == nil {
		t.Error("the client has gone and nobody says so")
	}
}

func TestSubset(t *testing.T) {
	t.Parallel()
	tag := `{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}`
	meta := `"versionId":"3","lastUpdated":"1970-01-01T00:00:00.000Z"`
	for in, want := range map[string]string{
		`{"resourceType":"Patient","id":"p","active":true,"gender":"male"}`:                                     `{"resourceType":"Patient","id":"p","meta":{` + meta + `,"tag":[` + tag + `]},"gender":"male"}`,
		`{"resourceType":"Patient","id":"p","meta":{"tag":[{"code":"x"}]},"_gender":{"id":"g"},"active":false}`: `{"resourceType":"Patient","id":"p","meta":{` + meta + `,"tag":[{"code":"x"},` + tag + `]},"_gender":{"id":"g"}}`,
	} {
		r := resource(t, in)
		got, err := answer.Subset(&r, func(name string) bool { return name == "gender" })
		if err != nil || string(got) != want {
			t.Errorf("%s becomes %s, want %s (%v)", in, got, want, err)
		}
		if !json.Valid(got) {
			t.Errorf("not JSON: %s", got)
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		t                  fhir.Type
		name               string
		summary, mandatory bool
	}{
		{"Patient", "name", true, false}, {"Patient", "contact", false, false}, {"Patient", "deceasedBoolean", true, false},
		{"Observation", "status", true, true}, {"Observation", "valueQuantity", true, false},
		{"Observation", "note", false, false}, {"Nonsense", "id", false, false},
	} {
		if s, m := answer.InSummary(c.t, c.name), answer.IsMandatory(c.t, c.name); s != c.summary || m != c.mandatory {
			t.Errorf("%s.%s: summary %v, mandatory %v", c.t, c.name, s, m)
		}
	}
	if !answer.Named([]string{"value"}, "valueQuantity") || answer.Named([]string{"value"}, "valuesystem") {
		t.Error("a choice goes by its stem")
	}
}
