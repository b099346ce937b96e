package machine

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

func TestStatTexts(t *testing.T) {
	// proc(5): the name may hold blanks and brackets; user 7 ticks, system 5.
	got, err := cpuOf("42 (a (b) c) S 1 42 42 0 -1 4194560 1 2 3 4 7 5 0 0 20 0 9 0 100 0 0")
	if want := 120 * time.Millisecond; err != nil || got != want {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	for _, bad := range []string{"", "42 (x) S 1", "42 x S 1 42 42 0 -1 4194560 1 2 3 4 7 5", "1 (x) S 1 42 42 0 -1 4194560 1 2 3 4 a b 0"} {
		if _, err := cpuOf(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
	// user 1, nice 2, system 3, idle 100, iowait 50, irq 4, softirq 5, steal 6, guest 70.
	if got, want := busyOf("cpu  1 2 3 100 50 4 5 6 70 0"), 210*time.Millisecond; got != want {
		t.Errorf("busy %v, want %v", got, want)
	}
}

func TestUsageOfThisProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no /proc")
	}
	before, err := Of(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	busy := Busy()
	after, x := before, 1
	for end := time.Now().Add(30 * time.Second); after.CPU < before.CPU+50*time.Millisecond && time.Now().Before(end); {
		for i := range 1_000_000 {
			x = x*31 + i
		}
		if after, err = Of(os.Getpid()); err != nil {
			t.Fatal(err)
		}
	}
	if after.CPU <= before.CPU || Busy()-busy < 40*time.Millisecond {
		t.Errorf("%d: CPU %v then %v, the machine's by %v", x, before.CPU, after.CPU, Busy()-busy)
	}
	if before.RSS < 1<<20 || before.Peak < before.RSS/2 {
		t.Errorf("RSS %d, peak %d", before.RSS, before.Peak)
	}
	if _, err := Of(1 << 30); err == nil {
		t.Error("a process that is not there has a usage")
	}
}

func TestDescribe(t *testing.T) {
	dir := t.TempDir()
	i, err := Describe(dir)
	if err != nil {
		t.Fatal(err)
	}
	if i.Cores < 1 || i.Fsync.PerSecond <= 0 || i.Fsync.P99 < i.Fsync.P50 || i.Go == "" {
		t.Errorf("%+v", i)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("the probe leaves %v", left)
	}
	if _, err := Describe(filepath.Join(dir, "absent")); err == nil {
		t.Error("a probe of no folder succeeds")
	}
}

func TestDiskUsage(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a", "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]int{"x": 10, "a/y": 200, "a/b/z.log": 3000} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n, logs, err := DiskUsage(dir, ".log"); n != 3210 || logs != 3000 || err != nil {
		t.Errorf("%d, %d, %v, want 3210 and 3000", n, logs, err)
	}
	if n, _, err := DiskUsage(filepath.Join(dir, "absent"), ""); n != 0 || err != nil {
		t.Errorf("absent: %d, %v", n, err)
	}
}
