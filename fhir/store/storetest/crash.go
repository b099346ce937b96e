package storetest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/store"
)

// Variables of the crash test: the number of rounds, and, in the child, the
// store's folder and the round.
const (
	CrashRounds = "STORETEST_CRASH_ROUNDS"
	crashDir    = "STORETEST_CRASH_DIR"
	crashRound  = "STORETEST_CRASH_ROUND"
)

// Crash kills a process (SIGKILL) that writes bundles over the engine, at
// random moments, and opens the store again each time: every acknowledged
// bundle must be whole, none half there, and the engine's check clean. The
// test that calls it is run again in the child, so it must do nothing else.
func Crash(t *testing.T, open func(dir string, extract Extract) (store.Store, func(context.Context) error, error)) {
	if dir := os.Getenv(crashDir); dir != "" {
		s, _, err := open(dir, NewWorld().Extract)
		if err != nil {
			t.Fatal(err)
		}
		writeUntilKilled(t, s)
		return
	}
	rounds := 4
	if n, err := strconv.Atoi(os.Getenv(CrashRounds)); err == nil {
		rounds = n
	}
	dir := t.TempDir()
	acked := map[string]int{}
	w := NewWorld()
	for round := range rounds {
		n := crashOnce(t, dir, round, acked)
		s, check, err := open(dir, w.Extract)
		if err != nil {
			t.Fatalf("round %d: open after the crash: %v", round, err)
		}
		verifyCrash(t, s, acked)
		if err := check(t.Context()); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		t.Logf("round %d: %d bundles acknowledged, %d in all", round, n, len(acked))
		if t.Failed() {
			return
		}
	}
	if len(acked) == 0 {
		t.Error("no bundle was acknowledged: nothing was tested")
	}
}

// crashOnce runs the child until it dies, and notes what it acknowledged.
func crashOnce(t *testing.T, dir string, round int, acked map[string]int) int {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), crashDir+"="+dir, crashRound+"="+strconv.Itoa(round))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return follow(t, cmd, out, acked)
}

// follow reads the child's acknowledgements and kills it some time after the
// first.
func follow(t *testing.T, cmd *exec.Cmd, out io.Reader, acked map[string]int) int {
	n := 0
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		name, size, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "ack "), " ")
		if !ok || !strings.HasPrefix(lines.Text(), "ack ") {
			continue
		}
		count, err := strconv.Atoi(size)
		if err != nil {
			continue // cut off by the kill
		}
		acked[name] = count
		if n++; n == 1 {
			time.AfterFunc(time.Duration(20+rand.IntN(300))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
	return n
}

// verifyCrash reads the whole log and counts each bundle's resources.
func verifyCrash(t *testing.T, s store.Store, acked map[string]int) {
	t.Helper()
	got, size := map[string]int{}, map[string]int{}
	snap, err := s.Snapshot(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	for after := fhir.T(0); ; {
		cs, err := s.Changes(t.Context(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(cs) == 0 {
			break
		}
		for _, c := range cs {
			after = c.T
			parts := strings.Split(c.ID, ".")
			if len(parts) != 3 {
				continue
			}
			got[parts[0]]++
			size[parts[0]], _ = strconv.Atoi(parts[1])
			if _, err := snap.Get(t.Context(), c.Key); err != nil {
				t.Errorf("%s is in the log and cannot be read: %v", c.Key, err)
			}
		}
	}
	for name, n := range got {
		if n != size[name] {
			t.Errorf("bundle %s is half there: %d of %d", name, n, size[name])
		}
	}
	for name, n := range acked {
		if got[name] != n {
			t.Errorf("bundle %s was acknowledged with %d resources, %d are there", name, n, got[name])
		}
	}
}

// writeUntilKilled is the child: writers that commit bundles and say so.
func writeUntilKilled(t *testing.T, s store.Store) {
	w := NewWorld()
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				if err := crashBundle(t.Context(), w, s, fmt.Sprintf("r%sw%di%d", os.Getenv(crashRound), n, i)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// crashBundle commits a bundle of random size: new resources named after it,
// and a shared one that all bundles update.
func crashBundle(ctx context.Context, w *World, s store.Store, name string) error {
	size := 1 + rand.IntN(12)
	tx := store.Tx{}
	for n := range size {
		src := observation(fmt.Sprintf("%s.%d.%d", name, size, n), "shared", "a", "2020-01-01")
		op, err := w.Op(fhir.Created, src)
		if err != nil {
			return err
		}
		tx.Ops = append(tx.Ops, op)
	}
	op, err := w.Op(fhir.Updated, patient("shared", name))
	if err != nil {
		return err
	}
	if _, err := s.Commit(ctx, store.Tx{Ops: append(tx.Ops, op)}); err != nil {
		return err
	}
	_, err = os.Stdout.WriteString(fmt.Sprintf("ack %s %d\n", name, size))
	return err
}
