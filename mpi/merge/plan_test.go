package merge

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"hutong/fhir"
)

func patient(rng *rand.Rand, id string) map[string]any {
	p := map[string]any{"resourceType": "Patient", "id": id, "extension": []any{map[string]any{"url": "u", "valueDecimal": 1}}}
	if rng.IntN(2) == 0 {
		p["active"] = rng.IntN(2) == 0
	}
	var ids, links []any
	for range rng.IntN(4) {
		n := map[string]any{"system": fmt.Sprintf("urn:%d", rng.IntN(2)), "value": fmt.Sprint(rng.IntN(4))}
		if rng.IntN(3) == 0 {
			n["use"] = []string{"old", "official"}[rng.IntN(2)]
		}
		ids = append(ids, n)
	}
	for range rng.IntN(3) {
		links = append(links, map[string]any{"other": map[string]any{"reference": "Patient/other"}, "type": "seealso"})
	}
	if len(ids) > 0 {
		p["identifier"] = ids
	}
	if len(links) > 0 {
		p["link"] = links
	}
	return p
}

func read(t *testing.T, raw []byte) *record {
	t.Helper()
	var r record
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	return &r
}

func apply(t *testing.T, raw []byte, ops []op) []byte {
	t.Helper()
	out, err := applied(raw, ops)
	if err != nil {
		t.Fatalf("%s: %+v: %v", raw, ops, err)
	}
	return out
}

// TestThereAndBack: a merge of random records, and its undo, gives the records
// as they were; in between the source is replaced and all its numbers are with
// the target.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 7))
	from, to := fhir.Key{Type: "Patient", ID: "a"}, fhir.Key{Type: "Patient", ID: "b"}
	for range 500 {
		sourceRaw, _ := json.Marshal(patient(rng, "a"))
		targetRaw, _ := json.Marshal(patient(rng, "b"))
		source, target := read(t, sourceRaw), read(t, targetRaw)
		added := target.missing(source.Identifier)
		s2 := apply(t, sourceRaw, append([]op{{"add", "/active", false}}, source.link(to, "replaced-by")...))
		t2 := apply(t, targetRaw, append(target.link(from, "replaces"), target.append("identifier", len(target.Identifier) == 0, raws(added)...)...))
		merged, whole := read(t, s2), read(t, t2)
		if !merged.replaced() || *merged.Active || whole.replaced() {
			t.Fatalf("%s -> %s", sourceRaw, s2)
		}
		if left := whole.missing(source.Identifier); len(left) != 0 {
			t.Fatalf("%s and %s: the target lacks %s", sourceRaw, t2, left)
		}
		back := merged.unlink(to, "replaced-by")
		if source.Active != nil {
			back = append(back, op{"add", "/active", *source.Active})
		} else {
			back = append(back, op{Op: "remove", Path: "/active"})
		}
		same(t, sourceRaw, apply(t, s2, back))
		same(t, targetRaw, apply(t, t2, append(whole.unlink(from, "replaces"), whole.without(added)...)))
	}
}

func same(t *testing.T, want, got []byte) {
	t.Helper()
	var a, b any
	if json.Unmarshal(want, &a) != nil || json.Unmarshal(got, &b) != nil || !reflect.DeepEqual(a, b) {
		t.Fatalf("got %s, want %s", got, want)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Patient","id":"a","active":true,"identifier":[{"value":"1"},7],"link":[{"type":"replaced-by"}]}`), []byte(`{"identifier":[{}]}`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var x, y record
		if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
			return
		}
		ops := append(y.link(fhir.Key{Type: "Patient", ID: "a"}, "replaces"), y.append("identifier", len(y.Identifier) == 0, raws(y.missing(x.Identifier))...)...)
		_, _ = applied(b, ops) // an error, or a document; never a panic
	})
}
