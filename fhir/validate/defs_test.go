package validate_test

import (
	"bytes"
	"os"
	"testing"

	"hutong/fhir/codec"
	"hutong/fhir/internal/sharedata"
	"hutong/fhir/validate"
)

func TestDefs(t *testing.T) {
	v, err := validate.New(validate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, f := range append(sharedata.Files(t, "definitions*/*.ndjson"), sharedata.Files(t, "us-core-3.1.0/*.ndjson")...) {
		src, _ := os.ReadFile(f)
		for line := range bytes.Lines(src) {
			count++
			d, err := codec.Parse(line, codec.DefaultLimits())
			if err != nil {
				t.Error(f, err)
				continue
			}
			for i, is := range v.Resource(d, 0, "") {
				if i < 4 {
					t.Errorf("%s: %s: %s", d.ChildText(0, "id"), is.Expression, is.Text)
				}
			}
		}
	}
	t.Log(count)
}
