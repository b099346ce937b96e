package mpi_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hutong/testdata/sharedata"
)

// strangersData bounds how many bundles are read: each is half a megabyte.
const strangersData = 40

// TestForeignPatients takes in Patients that nobody here wrote: all are taken,
// each once again without a change, and no two are joined.
func TestForeignPatients(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	data := sharedata.Dir(t)
	var fed []string
	feed := func(body map[string]any) {
		if body["resourceType"] == "Patient" {
			id, _ := body["id"].(string)
			b.feed("org-muni", id, body)
			fed = append(fed, id)
		}
	}
	for _, f := range glob(t, data, "examples", "Patient-*.json") {
		feed(decode(t, f))
	}
	for i, f := range glob(t, data, "synthea-train", "*.json") {
		if i == strangersData {
			break
		}
		entries, _ := decode(t, f)["entry"].([]any)
		for _, e := range entries {
			entry, _ := e.(map[string]any)
			if body, ok := entry["resource"].(map[string]any); ok {
				feed(body)
			}
		}
	}
	if len(fed) < strangersData {
		t.Fatalf("only %d Patients found", len(fed))
	}
	for _, id := range fed {
		b.want(id, id)
		if _, err := b.x.Golden(t.Context(), key(id)); err != nil {
			t.Errorf("golden record of %s: %v", id, err)
		}
	}
	t.Logf("%d Patients, %d tasks", len(fed), len(tasks(t, b)))
}

func glob(t *testing.T, parts ...string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(parts...))
	if err != nil || len(files) == 0 {
		t.Fatalf("no %s: %v", strings.Join(parts[1:], "/"), err)
	}
	return files
}

func decode(t *testing.T, file string) map[string]any {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var body map[string]any
	if err := json.Unmarshal(raw, &body); err != nil {
		t.Fatal(err)
	}
	return body
}
