package rest

import (
	"encoding/json"
	"strings"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/rest"
	"hutong/mpi"
	"hutong/mpi/normal"
)

// maxBody bounds a request body, in bytes.
const maxBody = 1 << 20

func readJSON(c *gin.Context, into any) error {
	body, err := rest.Body(c, maxBody)
	if err != nil {
		return err
	}
	if json.Unmarshal(body, into) != nil {
		return fhir.Errorf(fhir.Structure, "the body is not the JSON that is documented")
	}
	return nil
}

// view shows values in full or masked (ID-15).
type view struct{ masked bool }

func (v view) mask(value string, how func(string) string) string {
	if !v.masked {
		return value
	}
	return how(value)
}

// fields masks a comparison's values: names keep the family name, numbers their
// ends, address lines their first characters. Birth date and sex stay.
func (v view) fields(e *mpi.Explanation) {
	if !v.masked {
		return
	}
	for i := range e.Fields {
		f := &e.Fields[i]
		how := maskerOf(f.Field)
		f.A, f.B = eachPart(f.A, how), eachPart(f.B, how)
	}
}

func eachPart(s string, how func(string) string) string {
	if s == "" {
		return ""
	}
	parts := strings.Split(s, "；")
	for i := range parts {
		parts[i] = how(parts[i])
	}
	return strings.Join(parts, "；")
}

func maskerOf(field string) func(string) string {
	switch field {
	case "citizenId", "cards":
		return normal.MaskCode
	case "phone":
		return normal.MaskPhone
	case "given":
		return func(s string) string { return strings.Repeat("*", len([]rune(s))) }
	case "addressLine":
		return maskTail
	}
	return func(s string) string { return s }
}

// maskTail keeps the first four characters.
func maskTail(s string) string {
	r := []rune(s)
	if len(r) <= 4 {
		return s
	}
	return string(r[:4]) + strings.Repeat("*", len(r)-4)
}

// patient masks the identifiers and phones of a golden record in place, and
// its address lines. Names are left: $match is asked for people by name.
func (v view) patient(raw []byte) (map[string]any, error) {
	var p map[string]any
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, fhir.Errorf(fhir.Internal, "golden record: %w", err)
	}
	if !v.masked {
		return p, nil
	}
	maskValues(p["identifier"], "value", normal.MaskCode)
	maskValues(p["telecom"], "value", normal.MaskPhone)
	maskValues(p["address"], "text", maskTail)
	maskLines(p["address"])
	return p, nil
}

func maskValues(list any, key string, how func(string) string) {
	items, _ := list.([]any)
	for _, item := range items {
		m, _ := item.(map[string]any)
		if s, ok := m[key].(string); ok {
			m[key] = how(s)
		}
	}
}

func maskLines(list any) {
	items, _ := list.([]any)
	for _, item := range items {
		m, _ := item.(map[string]any)
		lines, _ := m["line"].([]any)
		for i, l := range lines {
			if s, ok := l.(string); ok {
				lines[i] = maskTail(s)
			}
		}
	}
}
