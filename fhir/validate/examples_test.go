package validate_test

import (
	"os"
	"path/filepath"
	"testing"

	"hutong/fhir/codec"
	"hutong/fhir/internal/sharedata"
	"hutong/fhir/validate"
)

func TestX(t *testing.T) {
	v, err := validate.New(validate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append(sharedata.Files(t, "examples/*.json"), sharedata.Files(t, "synthea-train/*.json")...) {
		src, _ := os.ReadFile(f)
		d, err := codec.Parse(src, codec.DefaultLimits())
		if err != nil {
			t.Error(f, err)
			continue
		}
		for i, is := range v.Resource(d, 0, "") {
			if i < 4 {
				t.Errorf("%s: %+v", filepath.Base(f), is)
			}
		}
	}
}
