package validate_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/validate"
	"hutong/testdata/sharedata"
)

func newValidator(t testing.TB, o validate.Options) *validate.Validator {
	t.Helper()
	v, err := validate.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func parse(t testing.TB, src []byte) *codec.Doc {
	t.Helper()
	d, err := codec.Parse(src, codec.DefaultLimits())
	if err != nil {
		t.Fatalf("%.100s: %v", src, err)
	}
	return d
}

// invalid gives the published resources that R4's own rules call invalid:
// name -> expression -> why.
func invalid(t *testing.T) map[string]map[string]string {
	t.Helper()
	b, err := os.ReadFile("testdata/invalid.json")
	if err != nil {
		t.Fatal(err)
	}
	var list map[string]map[string]string
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// hold checks one resource against the list: no error beyond it, and each
// listed one at its path.
func hold(t *testing.T, v *validate.Validator, list map[string]map[string]string, name string, src []byte) {
	t.Helper()
	expected := list[name]
	for _, is := range v.Resource(parse(t, src), 0, "") {
		if is.Severity != fhir.ErrorLevel {
			continue
		}
		if _, ok := expected[is.Expression]; !ok {
			t.Errorf("%s: %s: %s", name, is.Expression, is.Text)
		}
		delete(expected, is.Expression)
	}
	for path, why := range expected {
		t.Errorf("%s: no error at %s (%s)", name, path, why)
	}
	delete(list, name)
}

// TestPublished: all official examples and all definitions of R4 and US Core
// are valid, but for those that are listed; so are the Synthea bundles.
func TestPublished(t *testing.T) {
	t.Parallel()
	v := newValidator(t, validate.Options{})
	list := invalid(t)
	count := 0
	for _, f := range append(sharedata.Files(t, "examples/*.json"), sharedata.Files(t, "synthea-train/*.json")...) {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		hold(t, v, list, strings.TrimSuffix(filepath.Base(f), ".json"), src)
		count++
	}
	for _, f := range append(sharedata.Files(t, "definitions*/*.ndjson"), sharedata.Files(t, "us-core-3.1.0/*.ndjson")...) {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(src) {
			hold(t, v, list, parse(t, line).ChildText(0, "id"), line)
			count++
		}
	}
	if want := 366 + 100 + 4938; count != want {
		t.Errorf("%d resources and bundles were checked, the shared data has %d", count, want)
	}
	for name := range list {
		t.Errorf("%s stands in the list and not in the data", name)
	}
}
