package codec

import (
	"slices"
	"testing"

	"hutong/fhir/internal/schema"
)

// TestLinkNames holds the list against the definitions, both ways.
func TestLinkNames(t *testing.T) {
	t.Parallel()
	notLinks := []string{"code", "fullUrl", "identifier", "system", "type"}
	links := map[string]bool{"reference": true}
	for _, typ := range schema.R4().Types {
		for name, f := range typ.Fields {
			switch f.Type.Kind {
			case schema.URI, schema.URL, schema.Canonical, schema.OID, schema.UUID:
				if typ.Kind == schema.Complex && !slices.Contains(notLinks, name) {
					links[name] = true
				}
			}
			if isLinkName([]byte(name)) && !links[name] && f.Type.Kind == schema.URI {
				t.Errorf("%s.%s is listed as a link and left out as none", typ.Name, name)
			}
		}
	}
	for name := range links {
		if !isLinkName([]byte(name)) {
			t.Errorf("%s is a link by its type and not listed", name)
		}
	}
	for _, name := range append(notLinks, "value", "display", "div", "text") {
		if isLinkName([]byte(name)) {
			t.Errorf("%s is listed", name)
		}
	}
}

// TestMoment compares the dates with the standard library.
func TestMoment(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]moment{
		"1970":                              {0, []byte("UTC"), year},
		"1969-12":                           {-31 * 86400e6, []byte("UTC"), month},
		"2024-02-29":                        {1709164800e6, []byte("UTC"), day},
		"2024-02-29T08:00:01+08:00":         {1709164801e6, []byte("+08:00"), second},
		"2024-02-29T00:00:01.5Z":            {1709164801.5e6, []byte("Z"), millisecond},
		"2024-02-28T19:30:01.1234567-04:30": {1709164801123456, []byte("-04:30"), microsecond},
	} {
		got, ok := parseMoment([]byte(text), false)
		if !ok || got.micros != want.micros || string(got.zone) != string(want.zone) || got.precision != want.precision {
			t.Errorf("%s: got %+v, %v, want %+v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "19", "1970-", "1970-13", "1970-00", "2023-02-29", "2024-02-29T", "2024-02-29T08:00", "2024-02-29T08:00:00",
		"2024-02-29T08:00:00+", "2024-02-29T25:00:00Z", "2024-02-29T08:00:00.Z", "2024-02-29T08:00:00ZZ", "2024-2-29", "2024-02-29 08:00:00Z"} {
		if m, ok := parseMoment([]byte(text), false); ok {
			t.Errorf("%q is read as %+v", text, m)
		}
	}
	if m, ok := parseMoment([]byte("23:59:59.25"), true); !ok || m.micros != 86399250000 {
		t.Errorf("time of day: %+v, %v", m, ok)
	}
}
