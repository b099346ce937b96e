package rest_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestLifeOfAResource(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	created := w.do("POST", "/Patient", `{"resourceType":"Patient","id":"ignored","active":true,"name":[{"family":"Zhao"}]}`).must(201)
	k := "/Patient/" + id(t, created)
	if k == "/Patient/ignored" {
		t.Fatal("the id of a POST was taken")
	}
	if got := created.header.Get("ETag"); got != `W/"1"` {
		t.Errorf("ETag %s", got)
	}
	if got, want := created.header.Get("Location"), base+k+"/_history/1"; got != want {
		t.Errorf("Location %s, want %s", got, want)
	}
	read := w.do("GET", k, "").must(200)
	if !bytes.Equal(read.body, created.body) {
		t.Errorf("read %s, created %s", read.body, created.body)
	}
	if got := read.header.Get("Content-Type"); got != "application/fhir+json; charset=utf-8" {
		t.Errorf("Content-Type %s", got)
	}

	body := strings.Replace(string(read.body), "Zhao", "Qian", 1)
	w.do("PUT", k, body, "If-Match", `W/"2"`).must(412)
	w.do("PUT", k, body, "If-Match", `W/"1"`).must(200)
	w.do("PUT", k, body, "If-Match", `W/"1"`).must(412)
	w.do("PUT", k, strings.Replace(body, `"id":"`, `"id":"x`, 1)).must(400)
	if got := w.do("GET", k+"/_history/1", "").must(200); !bytes.Contains(got.body, []byte("Zhao")) {
		t.Errorf("version 1 is %s", got.body)
	}

	patch := `[{"op":"test","path":"/active","value":true},{"op":"replace","path":"/name/0/family","value":"Sun"}]`
	w.do("PATCH", k, patch).must(415)
	patched := w.do("PATCH", k, patch, "Content-Type", "application/json-patch+json").must(200)
	if !bytes.Contains(patched.body, []byte(`"versionId":"3"`)) || !bytes.Contains(patched.body, []byte("Sun")) {
		t.Errorf("patched %s", patched.body)
	}
	w.do("PATCH", k, `[{"op":"test","path":"/active","value":false}]`, "Content-Type", "application/json-patch+json").must(422)
	w.do("PATCH", k, `[{"op":"add","path":"/nonsense","value":1}]`, "Content-Type", "application/json-patch+json").must(400)

	w.do("DELETE", k, "").must(204)
	w.do("DELETE", k, "").must(204)
	w.do("DELETE", "/Patient/never-was", "").must(204)
	w.do("GET", k, "").must(410)
	w.do("GET", "/Patient/never-was", "").must(404)

	history := w.do("GET", k+"/_history", "").must(200).bundle()
	var methods []string
	for _, e := range history.Entry {
		methods = append(methods, e.Request.Method)
	}
	if got := strings.Join(methods, " "); got != "DELETE PUT PUT POST" || *history.Total != 4 {
		t.Errorf("history %s, total %d", got, *history.Total)
	}
	w.do("PUT", k, body).must(201)
	w.do("GET", k, "").must(200)
}

func TestUpdateCreates(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.do("PUT", "/Patient/a1", `{"resourceType":"Patient","id":"a1"}`).must(201)
	w.do("PUT", "/Patient/a1", `{"resourceType":"Patient","id":"a1"}`).must(200)
	w.do("PUT", "/Patient/a2", `{"resourceType":"Patient","id":"a1"}`).must(400)
	w.do("PUT", "/Patient/a_b", `{"resourceType":"Patient","id":"a_b"}`).must(400)
	w.do("PUT", "/Patient/a2", `{"resourceType":"Patient","id":"a2"}`, "If-Match", `W/"1"`).must(412)
	a := w.do("POST", "/Observation", `{"resourceType":"Patient"}`).must(400)
	if _, expression, _ := a.outcome(); expression != "Patient.resourceType" {
		t.Errorf("expression %s", expression)
	}
}

func TestConditionalWrites(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	patient := `{"resourceType":"Patient","identifier":[{"system":"urn:x","value":"1"}]}`
	first := w.do("POST", "/Patient", patient, "If-None-Exist", "identifier=urn:x|1").must(201)
	again := w.do("POST", "/Patient", patient, "If-None-Exist", "identifier=urn:x|1").must(200)
	if first.header.Get("Location") != again.header.Get("Location") {
		t.Errorf("%s and %s", first.header.Get("Location"), again.header.Get("Location"))
	}
	w.do("PUT", "/Patient?identifier=urn:x|1", `{"resourceType":"Patient","gender":"male","identifier":[{"system":"urn:x","value":"1"}]}`).must(200)
	w.do("PUT", "/Patient?identifier=urn:x|2", `{"resourceType":"Patient","identifier":[{"system":"urn:x","value":"2"}]}`).must(201)
	w.do("PUT", "/Patient?identifier=urn:x|3", `{"resourceType":"Patient","id":"three","identifier":[{"system":"urn:x","value":"3"}]}`).must(201)
	w.do("GET", "/Patient/three", "").must(200)
	w.do("PUT", "/Patient?identifier=urn:x|3", `{"resourceType":"Patient","id":"four"}`).must(400)
	w.do("PATCH", "/Patient?identifier=urn:x|3", `[{"op":"add","path":"/gender","value":"female"}]`, "Content-Type", "application/json-patch+json").must(200)
	w.do("PATCH", "/Patient?identifier=urn:x|4", `[]`, "Content-Type", "application/json-patch+json").must(404)
	a := w.do("DELETE", "/Patient?identifier=urn:x|", "").must(412)
	if code, _, _ := a.outcome(); code != "multiple-matches" {
		t.Errorf("code %s", code)
	}
	w.do("DELETE", "/Patient?identifier=urn:x|3", "").must(204)
	w.do("GET", "/Patient/three", "").must(410)
	w.do("DELETE", "/Patient?identifier=urn:x|3", "").must(204)
	w.do("DELETE", "/Patient", "").must(405)
	w.do("PUT", "/Patient?nonsense=1", patient).must(400)
}

func TestConditionalRead(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	a := w.do("PUT", "/Patient/p", `{"resourceType":"Patient","id":"p"}`).must(201)
	modified := a.header.Get("Last-Modified")
	for _, c := range []struct {
		name, value string
		status      int
	}{
		{"If-None-Match", `W/"1"`, 304},
		{"If-None-Match", `"9", W/"1"`, 304},
		{"If-None-Match", `W/"2"`, 200},
		{"If-Modified-Since", modified, 304},
		{"If-Modified-Since", "Thu, 01 Jan 2015 00:00:00 GMT", 200},
		{"If-Modified-Since", "nonsense", 200},
	} {
		got := w.do("GET", "/Patient/p", "", c.name, c.value)
		if got.status != c.status {
			t.Errorf("%s: %s gives %d, want %d", c.name, c.value, got.status, c.status)
		}
	}
	head := w.do("HEAD", "/Patient/p", "").must(200)
	if len(head.body) != 0 || head.header.Get("ETag") == "" {
		t.Errorf("HEAD: %q, ETag %q", head.body, head.header.Get("ETag"))
	}
}

func TestPreferences(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	patient := `{"resourceType":"Patient"}`
	if a := w.do("POST", "/Patient", patient, "Prefer", "return=minimal").must(201); len(a.body) != 0 || a.header.Get("Location") == "" {
		t.Errorf("minimal: %s", a.body)
	}
	if a := w.do("POST", "/Patient", patient, "Prefer", "return=OperationOutcome").must(201); a.tree()["resourceType"] != "OperationOutcome" {
		t.Errorf("OperationOutcome: %s", a.body)
	}
	w.do("GET", "/Patient?nonsense=1", "").must(400)
	a := w.do("GET", "/Patient?nonsense=1", "", "Prefer", "handling=lenient").must(200)
	if got := a.bundle().ids("outcome"); len(got) != 1 {
		t.Errorf("lenient: %s", a.body)
	}
}

func TestNegotiation(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.do("PUT", "/Patient/p", `{"resourceType":"Patient","id":"p"}`).must(201)
	for _, c := range []struct {
		path, accept string
		status       int
	}{
		{"/Patient/p", "", 200},
		{"/Patient/p", "application/fhir+json", 200},
		{"/Patient/p", "application/fhir+json;fhirVersion=4.0", 200},
		{"/Patient/p", "text/html,application/xhtml+xml,*/*;q=0.8", 200},
		{"/Patient/p", "application/fhir+xml", 406},
		{"/Patient/p?_format=xml", "", 406},
		{"/Patient/p?_format=json", "application/xml", 200},
		{"/Patient/p?_format=application/fhir+json", "", 200},
		{"/Patient/p?_format=application%2Ffhir%2Bjson", "", 200},
		{"/Patient?_format=json&_pretty=true", "", 200},
		{"/metadata", "application/fhir+json", 200},
		{"/metadata", "application/fhir+xml", 406},
	} {
		if got := w.do("GET", c.path, "", "Accept", c.accept); got.status != c.status {
			t.Errorf("%s, Accept %q: %d, want %d", c.path, c.accept, got.status, c.status)
		}
	}
	for header, status := range map[string]int{
		"application/fhir+json; charset=utf-8": 201, "application/json": 201, "application/fhir+json;charset=gb2312": 415,
		"application/fhir+xml": 415, "text/plain": 415, "": 415,
	} {
		if got := w.do("POST", "/Patient", `{"resourceType":"Patient"}`, "Content-Type", header); got.status != status {
			t.Errorf("Content-Type %q: %d, want %d", header, got.status, status)
		}
	}
	pretty := w.do("GET", "/Patient/p?_pretty=true", "").must(200)
	if !bytes.Contains(pretty.body, []byte("\n  \"id\": \"p\"")) {
		t.Errorf("pretty: %s", pretty.body)
	}
}

func TestErrorsInTwoLanguages(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for _, c := range []struct {
		method, path string
		status       int
		code         string
	}{
		{"GET", "/Nonsense/1", 404, "not-found"},
		{"GET", "/Patient/1/2/3/4/5", 404, "not-found"},
		{"GET", "/Patient/1/Nonsense", 404, "not-found"},
		{"GET", "/Account/1/Observation", 404, "not-found"},
		{"GET", "/Patient/$nonsense", 400, "not-supported"},
		{"GET", "/Patient/absent", 404, "not-found"},
		{"GET", "/Patient?birthdate=nonsense", 400, "invalid"},
		{"GET", "/Patient?_page=nonsense", 400, "invalid"},
	} {
		en := w.do(c.method, c.path, "").must(c.status)
		zh := w.do(c.method, c.path, "", "Accept-Language", "zh-CN,zh;q=0.9,en;q=0.5").must(c.status)
		code, _, english := en.outcome()
		if code != c.code {
			t.Errorf("%s: code %s, want %s", c.path, code, c.code)
		}
		_, _, chinese := zh.outcome()
		if english == chinese || !strings.ContainsAny(chinese, "未无不请的") {
			t.Errorf("%s: %q in English, %q in Chinese", c.path, english, chinese)
		}
	}
}

func TestMalformedBodies(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for _, c := range []struct {
		body, code, expression string
	}{
		{`{"resourceType":"Patient",}`, "structure", ""},
		{`{"resourceType":"Patient","active":true,"active":false}`, "structure", ""},
		{`{"resourceType":"Patient","birthDate":"1970-13-01"}`, "", "Patient.birthDate"},
		{`{"resourceType":"Patient","contact":[{"gender":"MALE"}]}`, "", "Patient.contact[0].gender"},
		{`{"resourceType":"Patient","nonsense":1}`, "", "Patient.nonsense"},
		{`[]`, "", ""},
		{`"x"`, "", ""},
	} {
		a := w.do("POST", "/Patient", c.body).must(400)
		code, expression, _ := a.outcome()
		if c.code != "" && code != c.code || c.expression != "" && expression != c.expression {
			t.Errorf("%s: code %s at %s", c.body, code, expression)
		}
	}
}

func TestCompression(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	var z bytes.Buffer
	zw := gzip.NewWriter(&z)
	fmt.Fprintf(zw, `{"resourceType":"Patient","id":"z","name":[{"text":"%s"}]}`, strings.Repeat("long ", 4000))
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	w.do("PUT", "/Patient/z", z.String(), "Content-Encoding", "gzip").must(201)
	w.do("PUT", "/Patient/z", z.String(), "Content-Encoding", "br").must(415)
	w.do("PUT", "/Patient/z", "not gzip", "Content-Encoding", "gzip").must(400)
	a := w.do("GET", "/Patient/z", "", "Accept-Encoding", "gzip").must(200)
	if a.header.Get("Content-Encoding") != "gzip" || len(a.body) > 4000 {
		t.Errorf("Content-Encoding %q, %d bytes", a.header.Get("Content-Encoding"), len(a.body))
	}
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	var bomb bytes.Buffer
	zw := gzip.NewWriter(&bomb)
	chunk := bytes.Repeat([]byte{' '}, 1<<20)
	for range 64 {
		if _, err := zw.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	a := w.do("POST", "/Patient", bomb.String(), "Content-Encoding", "gzip").must(413)
	if code, _, _ := a.outcome(); code != "too-long" {
		t.Errorf("code %s", code)
	}
	w.do("POST", "/Patient", strings.Repeat(" ", 33<<20)).must(http.StatusRequestEntityTooLarge)
}
