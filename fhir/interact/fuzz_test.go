package interact_test

import (
	"context"
	"encoding/json"
	"testing"

	"hutong/fhir"
	"hutong/fhir/interact"
)

// FuzzTransaction: no Bundle breaks the service, what it answers is JSON, and
// what it refuses says why.
func FuzzTransaction(f *testing.F) {
	for _, s := range []string{
		`{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:a","resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient","ifNoneExist":"identifier=a|b"}}]}`,
		`{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient?name=x&_include=Patient:organization"}},{"request":{"method":"GET","url":"Patient/a/_history"}}]}`,
		`{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":"W10="},"request":{"method":"PATCH","url":"Patient/a","ifMatch":"W/\"1\""}}]}`,
		`{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient?identifier=x"}},{"resource":{"resourceType":"Patient","id":"a","link":[{"other":{"reference":"Patient?identifier=x|y"},"type":"seealso"}]},"request":{"method":"PUT","url":"Patient/a"}}]}`,
	} {
		f.Add([]byte(s))
	}
	h := build(f, nil)
	f.Fuzz(func(t *testing.T, body []byte) {
		b, err := h.Transaction(context.Background(), interact.SystemCaller(""), body, interact.BundleOptions{Representation: true})
		if err != nil {
			if fhir.KindOf(err) == fhir.Internal {
				t.Fatalf("a defect: %v", err)
			}
			return
		}
		for _, e := range b.Entries {
			if e.Status[0] == '5' {
				t.Fatalf("a defect: %s %s", e.Status, e.Outcome)
			}
		}
		var answer map[string]any
		if err := json.Unmarshal(bytesOf(t, b), &answer); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzPatch: no patch breaks the service.
func FuzzPatch(f *testing.F) {
	f.Add([]byte(`[{"op":"add","path":"/name/-","value":{"family":"x"}},{"op":"copy","from":"/name/0","path":"/name/1"}]`))
	f.Add([]byte(`[{"op":"move","from":"/name","path":"/name/0/given"},{"op":"remove","path":""}]`))
	f.Add([]byte(`[{"op":"test","path":"/active","value":null},{"op":"replace","path":"/~0~1"}]`))
	h := build(f, nil)
	h.put("", `{"resourceType":"Patient","id":"p","active":true,"name":[{"family":"y","given":["z"]}]}`)
	f.Fuzz(func(t *testing.T, patch []byte) {
		if _, err := h.Patch(context.Background(), interact.SystemCaller(""), patientKey("p"), patch, interact.WriteOptions{}); err != nil && fhir.KindOf(err) == fhir.Internal {
			t.Fatalf("a defect: %v", err)
		}
	})
}
