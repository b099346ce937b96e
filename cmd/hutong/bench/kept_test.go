package bench

import (
	"context"
	"strings"
	"testing"

	"hutong/cmd/hutong/bench/report"
)

// TestKept: a second run begins with the region that the first one loaded, and a
// run of another seed does not take it.
func TestKept(t *testing.T) {
	keep := t.TempDir()
	var loads [2]report.Load
	for i := range loads {
		c := command(t)
		c.Keep, c.Only = keep, []string{"read"}
		rep, err := c.measure(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		noFailures(t, rep.Scales[0].Results, c.Only)
		if rep.Scales[0].Resources == 0 {
			t.Error("nothing is there")
		}
		loads[i] = rep.Scales[0].Load
	}
	if loads[0].Seconds == 0 || loads[0] != loads[1] {
		t.Errorf("loaded again: %+v, %+v", loads[0], loads[1])
	}
	c := command(t)
	c.Keep, c.Seed = keep, 2
	if _, err := c.measure(context.Background()); err == nil || !strings.Contains(err.Error(), "seed 1") {
		t.Errorf("a region of another seed: %v", err)
	}
	c.Auth = "smart"
	if err := c.check(); err == nil {
		t.Error("--keep with tokens is taken")
	}
}
