package audit_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"hutong/fhir/store/disk"
	"hutong/gateway/audit"
)

// crashDir tells a child process to record until it is killed.
const crashDir = "HUTONG_AUDIT_CRASH_DIR"

// TestMain runs the child of TestKilled.
func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		fmt.Println("error", recordForEver(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// recordForEver prints the mark of each record that was answered.
func recordForEver(dir string) error {
	st, err := disk.Open(dir, disk.Options{Extract: extractor().ExtractBody})
	if err != nil {
		return err
	}
	ctx := context.Background()
	l, err := audit.Open(ctx, audit.Config{Store: st, Extractor: extractor(), Custodian: "org-exchange", Persons: people{}, HeadEvery: 3 * time.Millisecond})
	if err != nil {
		return err
	}
	life := time.Now().UnixNano()
	var wg sync.WaitGroup
	for who := range 8 {
		wg.Go(func() {
			for i := 0; err == nil; i++ {
				d := disclosure([][]string{{"a1"}, {"a1", "b"}}[i%2]...)
				d.Query = fmt.Sprintf("m=%d.%d.%d", life, who, i)
				if err := l.Record(ctx, d); err != nil {
					return
				}
				fmt.Println("answered", d.Query)
			}
		})
	}
	wg.Wait()
	return fmt.Errorf("recording ended")
}

// TestKilled: a process is killed with kill -9 at no matter which step, again
// and again. Whatever was answered is on record, the chain is whole, and the
// head is not ahead of it; the next life goes on behind it.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	answered := map[string]bool{}
	for life := range 4 {
		for _, mark := range liveAndDie(t, dir, 20+37*life) {
			answered[mark] = true
		}
		st := openStore(t, dir)
		report, err := audit.Verify(t.Context(), st)
		must(t, err)
		if !report.Whole {
			t.Fatalf("life %d: %+v", life, report)
		}
		if life == 3 {
			on := map[string]bool{}
			for _, mark := range told(t, st, report.Chains[0].Records) {
				on[mark] = true
			}
			for mark := range answered {
				if !on[mark] {
					t.Errorf("%s was answered and is not on record", mark)
				}
			}
		}
		must(t, st.Close())
	}
	if len(answered) < 4*20 {
		t.Errorf("%d answers", len(answered))
	}
}

// liveAndDie runs a child until it has answered n times, and kills it.
func liveAndDie(t *testing.T, dir string, n int) (marks []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() { // to the end: what was printed before the kill counts
		mark, ok := strings.CutPrefix(lines.Text(), "answered ")
		if !ok {
			t.Errorf("the child said %q", lines.Text())
		}
		if marks = append(marks, mark); len(marks) == n {
			must(t, cmd.Process.Kill())
		}
	}
	_ = cmd.Wait() // killed
	if len(marks) < n {
		t.Fatalf("the child ended after %d answers", len(marks))
	}
	return marks
}
