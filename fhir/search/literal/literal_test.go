package literal

import (
	"math/big"
	"regexp"
	"strconv"
	"testing"
	"time"

	"hutong/fhir"
)

var cst = time.FixedZone("CST", 8*3600)

func TestParseDate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, lo, hi string }{
		{"2024", "2023-12-31T16:00:00Z", "2024-12-31T16:00:00Z"},
		{"2024-02", "2024-01-31T16:00:00Z", "2024-02-29T16:00:00Z"},
		{"2024-02-29", "2024-02-28T16:00:00Z", "2024-02-29T16:00:00Z"},
		{"2024-02-29T23:59", "2024-02-29T15:59:00Z", "2024-02-29T16:00:00Z"},
		{"2024-02-29T23:59:59Z", "2024-02-29T23:59:59Z", "2024-03-01T00:00:00Z"},
		{"2024-02-29T00:00:00+08:00", "2024-02-28T16:00:00Z", "2024-02-28T16:00:01Z"},
		{"2024-02-29T00:00:00-05:30", "2024-02-29T05:30:00Z", "2024-02-29T05:30:01Z"},
		{"2024-01-01T00:00:00.1Z", "2024-01-01T00:00:00.1Z", "2024-01-01T00:00:00.2Z"},
		{"2024-01-01T00:00:00.123Z", "2024-01-01T00:00:00.123Z", "2024-01-01T00:00:00.124Z"},
		{"2024-01-01T00:00:00.123456789Z", "2024-01-01T00:00:00.123456Z", "2024-01-01T00:00:00.123457Z"},
		{"2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z", "2017-01-01T00:00:01Z"},
		{"9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:60Z"},
	} {
		got, err := ParseDate(c.in, cst)
		lo, _ := ParseDate(c.lo, time.UTC)
		hi, _ := ParseDate(c.hi, time.UTC)
		if err != nil || got.Lo != lo.Lo || got.Hi != hi.Lo {
			t.Errorf("ParseDate(%s) = %v, %v; want %v", c.in, got, err, Span{lo.Lo, hi.Lo})
		}
	}
	for _, bad := range []string{"", "24", "0000", "2024-", "2024-1", "2024-13", "2024-00", "2024-02-30", "2023-02-29", "2024-01-01T", "2024-01-01T10", "2024-01-01T24:00",
		"2024-01-01T10:60", "2024-01-01T10:00:61", "2024-01-01T10:00:00.Z", "2024-01-01T10:00:00+8:00", "2024-01-01T10:00:00+15:00", "2024-01-01T10:00:00 ", "2024-01-01 10:00",
		"2024Z", "20240101", "+2024", "２０２４"} {
		if got, err := ParseDate(bad, cst); err == nil {
			t.Errorf("ParseDate(%q) = %v, want an error", bad, got)
		}
	}
}

// TestParseDateAcrossDaylightSaving: a day with a change of the clock is as
// long as it was.
func TestParseDateAcrossDaylightSaving(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zone database")
	}
	s, err := ParseDate("2024-03-31", berlin)
	if hours := (s.Hi - s.Lo) / 3600e6; err != nil || hours != 23 {
		t.Errorf("2024-03-31 in Berlin has %d hours, %v", hours, err)
	}
}

func FuzzParseDate(f *testing.F) {
	for _, s := range []string{"2024", "2024-02-29", "2024-02-29T23:59:59.123+08:00", "2024-1", "2024-01-01T10:00:60Z"} {
		f.Add(s)
	}
	pattern := regexp.MustCompile(`^\d{4}(-\d{2}(-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?)?)?$`)
	f.Fuzz(func(t *testing.T, s string) {
		span, err := ParseDate(s, cst)
		if err != nil {
			return
		}
		if !pattern.MatchString(s) || span.Lo >= span.Hi {
			t.Errorf("ParseDate(%q) = %v", s, span)
		}
		if at, err := time.Parse(time.RFC3339Nano, s); err == nil && at.UnixMicro() != span.Lo {
			t.Errorf("ParseDate(%q) begins at %d, the standard library says %d", s, span.Lo, at.UnixMicro())
		}
	})
}

func TestParseDecimal(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Decimal{
		"100": {100, 99.5, 100.5}, "100.00": {100, 99.995, 100.005}, "1e2": {100, 50, 150}, "5.4": {5.4, 5.35, 5.45}, "0": {0, -0.5, 0.5},
		"-5.40": {-5.4, -5.405, -5.395}, "+7": {7, 6.5, 7.5}, "5.4e-3": {0.0054, 0.00535, 0.00545}, "0.1": {0.1, 0.05, 0.15}, "0.3": {0.3, 0.25, 0.35},
	} {
		if got, err := ParseDecimal(in); err != nil || got != want {
			t.Errorf("ParseDecimal(%s) = %v, %v; want %v", in, got, err, want)
		}
	}
	for in, want := range map[string]Decimal{"100": {100, 90, 110}, "-100": {-100, -110, -90}, "0.5": {0.5, 0.45, 0.55}, "1": {1, 0.5, 1.5}, "0": {0, -0.5, 0.5}} {
		if got, err := ParseApproximate(in); err != nil || got != want {
			t.Errorf("ParseApproximate(%s) = %v, %v; want %v", in, got, err, want)
		}
	}
	for _, bad := range []string{"", "-", ".5", "5.", "1e", "1e999", "--1", "1_000", "0x10", "NaN", "Inf", "1,5", "1e1.5", string(make([]byte, 100))} {
		if got, err := ParseDecimal(bad); err == nil {
			t.Errorf("ParseDecimal(%q) = %v, want an error", bad, got)
		}
	}
}

func FuzzParseDecimal(f *testing.F) {
	for _, s := range []string{"100", "-5.40", "1e-3", "0.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDecimal(s)
		if err != nil {
			return
		}
		want, err := strconv.ParseFloat(s, 64)
		if err != nil || want != d.Value || d.Lo > d.Value || d.Hi < d.Value {
			t.Errorf("ParseDecimal(%q) = %v, the standard library reads %v, %v", s, d, want, err)
		}
		// The middle of the exact range is the value: rounding is symmetric.
		lo, hi := new(big.Float).SetFloat64(d.Lo), new(big.Float).SetFloat64(d.Hi)
		if lo.Cmp(hi) > 0 {
			t.Errorf("ParseDecimal(%q) = %v", s, d)
		}
	})
}

func TestParseReference(t *testing.T) {
	t.Parallel()
	const base = "https://h.example/fhir"
	for in, want := range map[string]Reference{
		"Patient/1":                          {Key: key("Patient", "1"), Type: "Patient"},
		"Patient/1/_history/2":               {Key: key("Patient", "1"), Version: "2", Type: "Patient"},
		base + "/Patient/1":                  {Key: key("Patient", "1"), Type: "Patient"},
		base + "2/Patient/1":                 {URL: base + "2/Patient/1", Type: "Patient"},
		"http://o/fhir/Patient/1":            {URL: "http://o/fhir/Patient/1", Type: "Patient"},
		"http://o/fhir/Patient/1/_history/3": {URL: "http://o/fhir/Patient/1", Version: "3", Type: "Patient"},
		"urn:uuid:0":                         {URL: "urn:uuid:0"}, "#c": {URL: "#c"}, "http://x": {URL: "http://x"}, "": {},
		"http://hl7.org/fhir/ValueSet/a|4.0.1": {URL: "http://hl7.org/fhir/ValueSet/a|4.0.1"},
	} {
		if got := ParseReference(in, base); got != want {
			t.Errorf("ParseReference(%q) = %+v, want %+v", in, got, want)
		}
	}
}

func key(t fhir.Type, id string) fhir.Key { return fhir.Key{Type: t, ID: id} }
