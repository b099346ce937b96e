package bulk_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"hutong/fhir"
	"hutong/fhir/bulk"
	"hutong/fhir/interact"
)

// BenchmarkImport imports patients with nine observations each, new ones in
// every round, validated and durable.
func BenchmarkImport(b *testing.B) {
	w := start(b, bulk.Limits{})
	n := 0
	for round := 0; b.Loop(); round++ {
		var body bytes.Buffer
		for i := range 500 {
			id := fmt.Sprintf("r%d-%d", round, i)
			body.WriteString(patient(id) + "\n")
			for j := range 9 {
				body.WriteString(observation(fmt.Sprintf("%s-%d", id, j), id, "2020-01-01") + "\n")
			}
		}
		r := w.bulk.Import(b.Context(), caller("h1"), bulk.Source{Reader: &body})
		if n += r.Stored; r.Stored != 5000 {
			b.Fatalf("%+v", r.Stopped)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "resources/s")
}

// BenchmarkEverything gives a record of 1,000 resources, written out.
func BenchmarkEverything(b *testing.B) {
	w := start(b, bulk.Limits{})
	var text strings.Builder
	text.WriteString(patient("big") + "\n")
	for i := range 999 {
		text.WriteString(observation(fmt.Sprintf("o%d", i), "big", "2020-01-01") + "\n")
	}
	w.bulk.Import(b.Context(), caller("h1"), bulk.Source{Reader: strings.NewReader(text.String())})
	for b.Loop() {
		bundle, err := w.service.Everything(b.Context(), caller("all"), interact.EverythingRequest{Patient: fhir.Key{Type: "Patient", ID: "big"}})
		if err != nil || bundle.Total != 1000 {
			b.Fatal(err, bundle)
		}
		if _, err := bundle.WriteTo(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
