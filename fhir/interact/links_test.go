package interact_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"hutong/fhir"
	"hutong/fhir/interact"
)

// TestConditionalReferencesSeeTheBundle: they are resolved last, when what the
// Bundle deletes is gone and what it writes is there. Source: R4
// http.html#trules.
func TestConditionalReferencesSeeTheBundle(t *testing.T) {
	t.Parallel()
	const (
		refers = `{"resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient?identifier=urn:id%7Cnew"}},"request":{"method":"POST","url":"Observation"}}`
		byID   = `{"resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient?_id=p"}},"request":{"method":"POST","url":"Observation"}}`
		other  = `{"request":{"method":"DELETE","url":"Patient/old"}}`
	)
	writes := func(method, url, resource string) string {
		return `{"resource":` + resource + `,"request":{"method":"` + method + `","url":"` + url + `"}}`
	}
	for name, c := range map[string]struct {
		there   []string
		entries []string
		want    string
		kind    fhir.Kind
	}{
		"created after it":         {nil, []string{refers, writes("POST", "Patient", pat("x", "new"))}, "Patient/", 0},
		"put":                      {nil, []string{writes("PUT", "Patient/p", pat("p", "new")), refers}, "Patient/p", 0},
		"by id":                    {nil, []string{writes("PUT", "Patient/p", pat("p", "1")), byID}, "Patient/p", 0},
		"another is created":       {nil, []string{refers, writes("POST", "Patient", pat("x", "1"))}, "", fhir.PreconditionFailed},
		"two are created":          {nil, []string{refers, writes("PUT", "Patient/p", pat("p", "new")), writes("PUT", "Patient/q", pat("q", "new"))}, "", fhir.MultipleMatches},
		"there":                    {[]string{pat("old", "new")}, []string{refers}, "Patient/old", 0},
		"there, and another":       {[]string{pat("old", "new")}, []string{refers, writes("PUT", "Patient/p", pat("p", "new"))}, "", fhir.MultipleMatches},
		"deleted":                  {[]string{pat("old", "new")}, []string{refers, other}, "", fhir.PreconditionFailed},
		"replaced":                 {[]string{pat("old", "new")}, []string{refers, writes("PUT", "Patient/old", pat("old", "1"))}, "", fhir.PreconditionFailed},
		"put again":                {[]string{pat("old", "new")}, []string{refers, writes("PUT", "Patient/old", pat("old", "new"))}, "Patient/old", 0},
		"deleted, another created": {[]string{pat("old", "new")}, []string{refers, other, writes("PUT", "Patient/p", pat("p", "new"))}, "Patient/p", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t, nil)
			if c.there != nil {
				h.put("", c.there...)
			}
			bundle := `{"resourceType":"Bundle","type":"transaction","entry":[` + strings.Join(c.entries, ",") + `]}`
			b, err := h.Transaction(context.Background(), interact.SystemCaller(""), []byte(bundle), interact.BundleOptions{Representation: true})
			if c.want == "" {
				if !errors.Is(err, fhir.E(c.kind)) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if answer := string(bytesOf(t, b)); !strings.Contains(answer, `"subject":{"reference":"`+c.want) {
				t.Errorf("%s", answer)
			}
		})
	}
}
