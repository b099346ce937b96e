package subscription_test

import (
	"context"
	"fmt"
	"testing"
)

// BenchmarkMatching holds one change against 10,000 Subscriptions that name a
// patient each, and 10 that name none. One of the former is concerned.
func BenchmarkMatching(b *testing.B) {
	w := newWorld(b, func(w *world) { w.limits.Waiting = 1 << 40 })
	var texts []string
	for i := range 10_000 {
		texts = append(texts, fmt.Sprintf("Observation?patient=Patient/p%d&code=http://loinc.org|718-7", i))
	}
	for i := range 10 {
		texts = append(texts, fmt.Sprintf("Observation?code=http://loinc.org|%d-9", i))
	}
	examine, err := w.service.Examine(context.Background(), texts)
	w.must(err)
	for name, patient := range map[string]string{"concerns one": "p77", "concerns nobody's patient": "q"} {
		r := w.put("a", observation("o-"+patient, patient, "718-7"))
		changes, err := w.store.Changes(context.Background(), r.T-1, 1)
		w.must(err)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n, err := examine(&changes[0])
				if err != nil || n != map[string]int{"p77": 1}[patient] {
					b.Fatal(n, err)
				}
			}
		})
	}
	r := w.put("a", `{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p77"}}`)
	changes, err := w.store.Changes(context.Background(), r.T-1, 1)
	w.must(err)
	b.Run("of another type", func(b *testing.B) {
		for b.Loop() {
			if n, err := examine(&changes[0]); n != 0 || err != nil {
				b.Fatal(n, err)
			}
		}
	})
}
