package validate_test

import (
	"testing"

	"hutong/fhir/validate"
	"hutong/testdata/sharedata"
)

// BenchmarkValidate checks parsed resources; the parse and its rivals are
// measured in fhir/codec.
func BenchmarkValidate(b *testing.B) {
	v := newValidator(b, validate.Options{})
	for name, file := range map[string]string{
		"observation": "examples/Observation-f001.json",
		"patient":     "examples/Patient-example.json",
		"bundle":      "synthea-train/018f428e-34f6-4707-8009-5ad742f901e7.json",
	} {
		src := sharedata.Read(b, file)
		d := parse(b, src)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				if issues := v.Resource(d, 0, ""); validate.HasErrors(issues) {
					b.Fatal(issues)
				}
			}
		})
	}
}
