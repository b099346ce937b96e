package codec_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/fhir/go/fhirversion"
	"github.com/google/fhir/go/jsonformat"

	"hutong/fhir/codec"
	"hutong/testdata/sharedata"
)

// samples are a small resource, a larger one and a whole bundle.
func samples(b *testing.B) map[string][]byte {
	b.Helper()
	return map[string][]byte{
		"observation": sharedata.Read(b, "examples/Observation-f001.json"),
		"patient":     sharedata.Read(b, "examples/Patient-example.json"),
		"bundle":      sharedata.Read(b, "synthea-train/018f428e-34f6-4707-8009-5ad742f901e7.json"),
	}
}

func each(b *testing.B, run func(b *testing.B, src []byte)) {
	for _, name := range []string{"observation", "patient", "bundle"} {
		src := samples(b)[name]
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			run(b, src)
		})
	}
}

func BenchmarkParse(b *testing.B) {
	var pool codec.Pool
	each(b, func(b *testing.B, src []byte) {
		for b.Loop() {
			d, err := pool.Parse(src, codec.DefaultLimits())
			if err != nil {
				b.Fatal(err)
			}
			pool.Put(d)
		}
	})
}

func BenchmarkNewBody(b *testing.B) {
	keep := func([]byte) ([]byte, bool) { return nil, false }
	each(b, func(b *testing.B, src []byte) {
		d := parse(b, string(src))
		for b.Loop() {
			if _, err := codec.NewBody(d, 0, codec.BodyOptions{ID: "1", Rewrite: keep}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkProto(b *testing.B) {
	each(b, func(b *testing.B, src []byte) {
		d := parse(b, string(src))
		for b.Loop() {
			if _, err := codec.Proto(d, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkEncodingJSON(b *testing.B) {
	each(b, func(b *testing.B, src []byte) {
		for b.Loop() {
			var m map[string]any
			if err := json.Unmarshal(src, &m); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkJSONFormat(b *testing.B) {
	u, err := jsonformat.NewUnmarshaller("UTC", fhirversion.R4)
	if err != nil {
		b.Fatal(err)
	}
	each(b, func(b *testing.B, src []byte) {
		for b.Loop() {
			if _, err := u.Unmarshal(bytes.Clone(src)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
