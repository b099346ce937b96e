package codec_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/testdata/sharedata"
)

// links rewrites one fullUrl, as a transaction does.
func links(ref []byte) ([]byte, bool) {
	return []byte("Organization/5"), string(ref) == "urn:uuid:a"
}

func TestNewBody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, src string
		options   codec.BodyOptions
		want      string
	}{
		{"order and meta", `{ "id":"1", "name":[ {"family":"李"} ], "resourceType":"Patient",
			"meta":{"versionId":"7","profile":["p"],"lastUpdated":"2020-01-01T00:00:00Z","tag":[{"system":"own","code":"x"},{"system":"s","code":"c","display":"D"}],"source":"theirs"} }`,
			codec.BodyOptions{ID: "9", Source: "#1", DropTagSystems: []string{"own"}, Tags: []fhir.Coding{{System: "own", Code: "y"}, {System: "s", Code: "c"}}, Security: []fhir.Coding{{System: "c", Code: "R"}}},
			`{"resourceType":"Patient","id":"9","meta":{"profile":["p"],"tag":[{"system":"s","code":"c","display":"D"},{"system":"own","code":"y"}],"source":"#1","security":[{"system":"c","code":"R"}]},"name":[{"family":"李"}]}`},
		{"no meta", `{"resourceType":"Patient","id":"a"}`, codec.BodyOptions{}, `{"resourceType":"Patient","id":"a","meta":{}}`},
		{"only tags that are dropped", `{"resourceType":"Patient","id":"a","meta":{"tag":[{"system":"own"}],"extension":[{"url":"u"}]}}`, codec.BodyOptions{DropTagSystems: []string{"own"}},
			`{"resourceType":"Patient","id":"a","meta":{"extension":[{"url":"u"}]}}`},
		{"security is kept once", `{"resourceType":"Patient","id":"a","meta":{"security":[{"system":"c","code":"R"}]}}`, codec.BodyOptions{Security: []fhir.Coding{{System: "c", Code: "R"}, {System: "c", Code: "V"}}},
			`{"resourceType":"Patient","id":"a","meta":{"security":[{"system":"c","code":"R"},{"system":"c","code":"V"}]}}`},
		{"links", `{"resourceType":"X","id":"a","r":{"reference":"urn:uuid:\u0061"},"valueUri":"urn:uuid:a","value":"urn:uuid:a","profile":["urn:uuid:a","b"],"contained":[{"resourceType":"Y","r":{"reference":"urn:uuid:a"}}]}`, codec.BodyOptions{Rewrite: links},
			`{"resourceType":"X","id":"a","meta":{},"r":{"reference":"Organization/5"},"valueUri":"Organization/5","value":"urn:uuid:a","profile":["Organization/5","b"],"contained":[{"resourceType":"Y","r":{"reference":"Organization/5"}}]}`},
		{"narrative", `{"resourceType":"X","id":"a","text":{"div":"<div><a href=\"urn:uuid:a\">urn:uuid:a</a><img src='urn:uuid:a'/><a href=\"b\"/></div>"}}`, codec.BodyOptions{Rewrite: links},
			`{"resourceType":"X","id":"a","meta":{},"text":{"div":"<div><a href=\"Organization/5\">urn:uuid:a</a><img src='Organization/5'/><a href=\"b\"/></div>"}}`},
		{"a bundle keeps its links", `{"resourceType":"Bundle","id":"a","entry":[{"resource":{"resourceType":"X","r":{"reference":"urn:uuid:a"}}}]}`, codec.BodyOptions{Rewrite: links},
			`{"resourceType":"Bundle","id":"a","meta":{},"entry":[{"resource":{"resourceType":"X","r":{"reference":"urn:uuid:a"}}}]}`},
		{"escapes stay", `{"resourceType":"X","id":"a","note":"\u674e\/","d":1.50e0}`, codec.BodyOptions{}, `{"resourceType":"X","id":"a","meta":{},"note":"\u674e\/","d":1.50e0}`},
	} {
		b, err := codec.NewBody(parse(t, c.src), 0, c.options)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if string(b.Raw) != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, b.Raw, c.want)
		}
	}
}

func TestNewBodyErrors(t *testing.T) {
	t.Parallel()
	for src, path := range map[string]string{
		`[]`:                                  "",
		`{"id":"a"}`:                          "",
		`{"resourceType":"Patient"}`:          "Patient.id",
		`{"resourceType":"Patient","id":"_"}`: "Patient.id",
		`{"resourceType":"Patient","id":"a","meta":[]}`:             "Patient.meta",
		`{"resourceType":"Patient","id":"a","meta":{"tag":{}}}`:     "Patient.meta.tag",
		`{"resourceType":"Patient","id":"a","meta":{"security":1}}`: "Patient.meta.security",
	} {
		_, err := codec.NewBody(parse(t, src), 0, codec.BodyOptions{})
		var e *fhir.Error
		if !errors.As(err, &e) || e.Kind != fhir.Structure || e.Issues[0].Expression != path {
			t.Errorf("%s: %v, want a structure error at %q", src, err, path)
		}
	}
}

// TestExamplesSurvive: what a client reads back is the tree that was sent, to
// the digit, but for the meta that belongs to the server.
func TestExamplesSurvive(t *testing.T) {
	t.Parallel()
	for _, f := range sharedata.Files(t, "examples/*.json") {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		b, err := codec.NewBody(parse(t, string(src)), 0, codec.BodyOptions{})
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(f), err)
			continue
		}
		r := fhir.Resource{Version: fhir.Version{VersionID: 3, LastUpdated: time.UnixMilli(1)}, Body: b}
		sent, got := tree(t, src), tree(t, r.JSON())
		meta := got["meta"].(map[string]any)
		if meta["versionId"] != "3" || meta["lastUpdated"] != "1970-01-01T00:00:00.001Z" {
			t.Errorf("%s: meta %v", filepath.Base(f), meta)
		}
		for _, m := range []map[string]any{sent, got} {
			if own, ok := m["meta"].(map[string]any); ok {
				delete(own, "versionId")
				delete(own, "lastUpdated")
				if len(own) == 0 {
					delete(m, "meta")
				}
			}
		}
		if !reflect.DeepEqual(sent, got) {
			t.Errorf("%s: read back differs from sent", filepath.Base(f))
		}
	}
}

func tree(t *testing.T, src []byte) map[string]any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(src))
	dec.UseNumber()
	var m map[string]any
	if err := dec.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}
