package mpi

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAccuracy measures on a seed that nothing was tuned on and holds the
// matchers to floors a little below what they reached when they were set.
func TestAccuracy(t *testing.T) {
	t.Parallel()
	got := figures(t, &Cmd{Accuracy: 1500, Seed: 2026})
	for name, floor := range map[string]float64{
		"file: precision": 0.997, "file: recall": 0.993,
		"index, numbers alone link (ID-11): precision": 1, "index, numbers alone link (ID-11): recall": 0.32,
		"index, demographics link from 0.99 in a region of 1500: precision": 0.9999, "index, demographics link from 0.99 in a region of 1500: recall": 0.98,
		"calibration, probability from 0.9999: observed": 0.98,
	} {
		if got[name] < floor {
			t.Errorf("%s is %.5f, below %.5f", name, got[name], floor)
		}
	}
}

// TestIndex runs the whole of --persons and --batch on few people.
func TestIndex(t *testing.T) {
	t.Parallel()
	got := figures(t, &Cmd{Persons: 60, Batch: 300, Queries: 40, Seed: 1})
	for _, name := range []string{"feeds", "restart to first match", "match: p99", "$match over HTTP: p99", "pairs compared", "records"} {
		if got[name] <= 0 {
			t.Errorf("%s is %v", name, got[name])
		}
	}
}

// figures runs c and reads its report back.
func figures(t *testing.T, c *Cmd) map[string]float64 {
	t.Helper()
	c.Out, c.Dir, c.log = t.TempDir(), t.TempDir(), io.Discard
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(c.Out, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, s := range r.Stages {
		out[s.Name] = s.Value
	}
	md, err := os.ReadFile(filepath.Join(c.Out, "report.md"))
	if err != nil || !strings.Contains(string(md), r.Stages[0].Name) {
		t.Errorf("report.md: %v", err)
	}
	if left, err := os.ReadDir(c.Dir); err != nil || len(left) > 0 {
		t.Errorf("scratch data is left: %v %v", left, err)
	}
	return out
}
