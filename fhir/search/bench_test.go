package search_test

import (
	"os"
	"path/filepath"
	"testing"

	"hutong/fhir/codec"
	"hutong/fhir/definition"
	"hutong/fhir/search"
	"hutong/testdata/sharedata"
)

func BenchmarkExtract(b *testing.B) {
	k := newKit(search.Options{})
	for _, c := range []struct{ name, json string }{{"Patient", patient}, {"Observation", observation}} {
		b.Run(c.name, func(b *testing.B) {
			d, err := codec.Parse([]byte(c.json), codec.DefaultLimits())
			if err != nil {
				b.Fatal(err)
			}
			var entries []search.Entry
			b.SetBytes(int64(len(c.json)))
			b.ReportAllocs()
			for b.Loop() {
				if entries, _, err = k.x.Extract(entries[:0], d, 0, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkExtractBundle reads every resource of a Synthea bundle.
func BenchmarkExtractBundle(b *testing.B) {
	k := newKit(search.Options{})
	files, _ := filepath.Glob(filepath.Join(sharedata.Dir(b), "synthea-train", "*.json"))
	src, err := os.ReadFile(files[0])
	if err != nil {
		b.Fatal(err)
	}
	d, err := codec.Parse(src, codec.DefaultLimits())
	if err != nil {
		b.Fatal(err)
	}
	var resources []uint32
	for e := range d.Children(d.Child(0, "entry")) {
		resources = append(resources, d.Child(e, "resource"))
	}
	var entries []search.Entry
	b.ReportAllocs()
	for b.Loop() {
		for _, i := range resources {
			if entries, _, err = k.x.Extract(entries[:0], d, i, nil); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(resources)), "us/resource")
}

func BenchmarkNewExtractor(b *testing.B) {
	defs := definition.R4()
	b.ReportAllocs()
	for b.Loop() {
		search.NewExtractor(defs, search.Options{})
	}
}

func BenchmarkParse(b *testing.B) {
	k := newKit(search.Options{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.p.Parse("Observation", "patient=Patient/1&code=http://loinc.org|718-7&date=ge2024-01-01&_sort=-date&_count=20&_include=Observation:subject"); err != nil {
			b.Fatal(err)
		}
	}
}
