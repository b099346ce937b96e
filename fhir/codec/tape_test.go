package codec_test

import (
	"testing"

	"hutong/fhir"
	"hutong/fhir/codec"
)

func TestNewBody(t *testing.T) {
	src := `{ "id":"1", "name":[ {"family":"李"} ], "resourceType":"Patient", "managingOrganization":{"reference":"urn:uuid:\u0061"},
	"meta":{"versionId":"7","profile":["p"],"lastUpdated":"2020-01-01T00:00:00Z","tag":[{"system":"own","code":"x"},{"system":"s","code":"c","display":"D"}]} }`
	d, err := codec.Parse([]byte(src), codec.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	b, err := codec.NewBody(d, 0, codec.BodyOptions{ID: "9", Source: "#1", DropTagSystems: []string{"own"},
		Tags: []fhir.Coding{{System: "own", Code: "y"}}, Security: []fhir.Coding{{System: "c", Code: "R"}},
		Rewrite: func(ref []byte) ([]byte, bool) { return []byte("Organization/5"), string(ref) == "urn:uuid:a" }})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"resourceType":"Patient","id":"9","meta":{"profile":["p"],"tag":[{"system":"s","code":"c","display":"D"},{"system":"own","code":"y"}],"source":"#1","security":[{"system":"c","code":"R"}]},"name":[{"family":"李"}],"managingOrganization":{"reference":"Organization/5"}}`
	if string(b.Raw) != want {
		t.Errorf("got  %s\nwant %s", b.Raw, want)
	}
	if got := string(b.Raw[b.MetaAt : b.MetaAt+10]); got != `"profile":` {
		t.Errorf("MetaAt is at %s", got)
	}
}
