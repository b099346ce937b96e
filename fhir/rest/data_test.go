package rest_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hutong/testdata/sharedata"
)

// shortBundles is how many of the Synthea bundles a -short run posts.
const shortBundles = 5

// TestSyntheaIsAcceptedWhole posts every bundle and counts what came of it, by
// type, on the server.
func TestSyntheaIsAcceptedWhole(t *testing.T) {
	t.Parallel()
	files := sharedata.Files(t, "synthea-train/*.json")
	if testing.Short() || raceEnabled {
		files = files[:shortBundles]
	}
	w := start(t, nil)
	want := map[string]int{}
	sent := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var in bundle
		if err := json.Unmarshal(b, &in); err != nil {
			t.Fatal(err)
		}
		for _, e := range in.Entry {
			var r struct{ ResourceType string }
			if err := json.Unmarshal(e.Resource, &r); err != nil {
				t.Fatal(err)
			}
			want[r.ResourceType]++
		}
		a := w.do("POST", "", string(b)).must(200)
		out := a.bundle()
		if out.Type != "transaction-response" || len(out.Entry) != len(in.Entry) {
			t.Fatalf("%s: %s of %d entries for %d", filepath.Base(file), out.Type, len(out.Entry), len(in.Entry))
		}
		for i, e := range out.Entry {
			if !strings.HasPrefix(e.Response.Status, "201") {
				t.Fatalf("%s: entry %d: %s", filepath.Base(file), i, e.Response.Status)
			}
		}
		sent += len(in.Entry)
	}
	for _, typ := range slices.Sorted(maps.Keys(want)) {
		got := w.do("GET", "/"+typ+"?_summary=count", "").must(200).bundle()
		if got.Total == nil || *got.Total != want[typ] {
			t.Errorf("%s: %v stored, %d sent", typ, got.Total, want[typ])
		}
	}
	if !testing.Short() && !raceEnabled && sent != manifestTotal(t) {
		t.Errorf("%d entries sent; the manifest lists %d", sent, manifestTotal(t))
	}
	noDanglingReference(t, w)
}

// manifestTotal is the number of resources that the data set promises.
func manifestTotal(t *testing.T) int {
	rows, err := csv.NewReader(bytes.NewReader(sharedata.Read(t, "synthea-train/manifest.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := slices.IndexFunc(rows[0], func(h string) bool { return strings.Contains(h, "resource") || strings.Contains(h, "entries") })
	if column < 0 {
		t.Fatalf("manifest columns %v", rows[0])
	}
	total := 0
	for _, row := range rows[1:] {
		n, err := strconv.Atoi(row[column])
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	return total
}

// noDanglingReference follows the subjects of a page of Observations.
func noDanglingReference(t *testing.T, w *world) {
	b := w.do("GET", "/Observation?_count=100&_include=Observation:subject&_include=Observation:encounter", "").must(200).bundle()
	if bytes.Contains(w.do("GET", "/Observation?_count=1000", "").body, []byte("urn:uuid:")) {
		t.Error("a stored resource still names urn:uuid")
	}
	if len(b.ids("match")) != 100 || len(b.ids("include")) == 0 {
		t.Errorf("%d matches, %d included", len(b.ids("match")), len(b.ids("include")))
	}
}

// invalidExamples are the official examples that R4's own rules refuse, with
// the expression of the fault and the reason.
var invalidExamples = map[string]struct{ expression, reason string }{
	"DeviceMetric-example":       {"DeviceMetric.parent", "R4 permits a Device there; the example names a DeviceDefinition"},
	"DeviceUseStatement-example": {"DeviceUseStatement.reasonReference[0]", "R4 does not permit a Procedure there"},
}

// TestOfficialExamplesRoundTrip puts every example and gets it back: the same
// JSON tree, every decimal to the digit, but for the meta that the server owns.
func TestOfficialExamplesRoundTrip(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	accepted := 0
	for _, file := range sharedata.Files(t, "examples/*.json") {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		sent, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		before := tree(t, sent)
		path := fmt.Sprintf("/%v/%v", before["resourceType"], before["id"])
		put := w.do("PUT", path, string(sent))
		if refused, ok := invalidExamples[name]; ok {
			if _, expression, _ := put.must(400).outcome(); expression != refused.expression {
				t.Errorf("%s: refused at %s, expected at %s (%s)", name, expression, refused.expression, refused.reason)
			}
			continue
		}
		if put.status != 201 {
			t.Errorf("%s: status %d: %s", name, put.status, cut(put.body))
			continue
		}
		accepted++
		after := w.do("GET", path, "").must(200).tree()
		disown(before)
		disown(after)
		if !reflect.DeepEqual(before, after) {
			t.Errorf("%s comes back changed", name)
		}
	}
	t.Logf("%d examples round-trip, %d refused", accepted, len(invalidExamples))
}

// disown drops the meta that the server owns.
func disown(r map[string]any) {
	meta, _ := r["meta"].(map[string]any)
	delete(meta, "versionId")
	delete(meta, "lastUpdated")
	if len(meta) == 0 {
		delete(r, "meta")
	}
}
