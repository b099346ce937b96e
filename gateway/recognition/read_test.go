package recognition

import (
	"testing"
	"time"

	"hutong/fhir"
)

func TestInstant(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]time.Time{
		"2026-11-17T10:00:00+08:00": time.Date(2026, 11, 17, 2, 0, 0, 0, time.UTC),
		"2026-11-17T02:00:00.5Z":    time.Date(2026, 11, 17, 2, 0, 0, 500_000_000, time.UTC),
		"2026-11-17":                time.Date(2026, 11, 16, 16, 0, 0, 0, time.UTC),
		"2026-11":                   time.Date(2026, 10, 31, 16, 0, 0, 0, time.UTC),
		"2026":                      time.Date(2025, 12, 31, 16, 0, 0, 0, time.UTC),
		"yesterday":                 {},
		"":                          {},
	} {
		if got := instant(in); !got.Equal(want) {
			t.Errorf("instant(%q) = %s, want %s", in, got, want)
		}
	}
	if got := endOf("2026-11-17"); !got.Equal(time.Date(2026, 11, 18, 0, 0, 0, 0, china).Add(-time.Nanosecond)) {
		t.Errorf("a period's last day ends at %s", got)
	}
}

func TestReferenceKey(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Specimen/1": "Specimen/1", "Specimen/1/_history/2": "Specimen/1", "https://h/fhir/Specimen/1": "Specimen/1", "#x": "/", "urn:uuid:1": "/", "": "/",
	} {
		if got := (reference{Reference: in}).key().String(); got != want {
			t.Errorf("key(%q) = %s, want %s", in, got, want)
		}
	}
}

// Whatever a stored resource holds, reading it and judging it does not panic.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"2823-3"}]},"valueQuantity":{"value":4.20,"system":"http://unitsofmeasure.org","code":"mmol/L"},"effectiveDateTime":"2026-11-17","specimen":{"reference":"Specimen/1"}}`))
	f.Add([]byte(`{"resourceType":"DiagnosticReport","specimen":[{"reference":"Specimen/1"}],"extension":[{"url":"https://hutong.example/fhir/StructureDefinition/hr-mark","extension":[{"url":"scope","valueCoding":{"code":"CN"}}]}]}`))
	f.Add([]byte(`{"resourceType":"Organization","name":"x","identifier":[{"system":"https://hutong.example/sid/uscc","value":"125001034501000106"}]}`))
	r := rules(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		res, err := parse(body)
		if err != nil {
			return
		}
		out := res.result(fhir.Resource{})
		out.specimen(res)
		res.laboratory()
		res.specimens()
		if d := r.Eligible(out, order("2823-3"), now); d.Eligible {
			t.Errorf("eligible without a laboratory: %s", body)
		}
		r.VerifyMark(out)
	})
}
