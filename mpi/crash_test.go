package mpi_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/store/disk"
	"hutong/mpi"
	"hutong/profiles"
)

// crashDir, set in the environment, turns the test binary into a linker whose
// only end is a kill.
const crashDir = "HUTONG_MPI_CRASH_DIR"

// TestMain lets the test binary stand in for a server, so that a test can kill a
// real process.
func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		if err := feedUntilKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

const (
	feeders = 8  // hospitals that post the same people at once
	crowd   = 40 // people
)

// onePerson is hospital f's record of person p: all hospitals know the citizen
// id, or, every third record, two cards that lead to it.
func onePerson(f, p int) map[string]any {
	name, birth := "张伟", fmt.Sprintf("1980-%02d-%02d", 1+p/28, 1+p%28)
	national := citizen(gb(fmt.Sprintf("500112%s%03d", strings.ReplaceAll(birth, "-", ""), 1)))
	social, insurance := id(profiles.SocialCard, fmt.Sprintf("A%08d", p)), id(profiles.InsuranceNo, fmt.Sprintf("P%06d", p))
	switch (f + p) % 3 {
	case 0:
		return mk(name, birth, "male", national)
	case 1:
		return mk(name, birth, "male", national, social, insurance)
	}
	return mk(name, birth, "male", social, insurance)
}

// crowded is the hospitals' side, the same in every process.
func crowded() *hospital {
	h := &hospital{patients: map[fhir.Key]fhir.Resource{}}
	for p := range crowd {
		for f := range feeders {
			h.put(fmt.Sprintf("org-%d", f), fmt.Sprintf("p%02d-f%d", p, f), onePerson(f, p))
		}
	}
	return h
}

// feedUntilKilled opens the index in dir and feeds everything, each hospital
// from a goroutine of its own, all of them the same person at the same time. One
// more hears of them together, with the next person's.
func feedUntilKilled(dir string) error {
	st, err := disk.Open(dir, disk.Options{})
	if err != nil {
		return err
	}
	x, err := mpi.Open(context.Background(), mpi.Config{Space: st.Space("mpi"), Read: crowded().read, Scratch: os.TempDir()})
	if err != nil {
		return err
	}
	warm := make(chan error, 1)
	go func() { warm <- x.Warm(context.Background()) }() // beside the first feeds, as in an exchange
	for p := range crowd {
		var wg sync.WaitGroup
		errs := make([]error, feeders)
		var together []fhir.Version
		for f := range feeders {
			for n := range 2 {
				together = append(together, fhir.Version{Key: key(fmt.Sprintf("p%02d-f%d", min(p+n, crowd-1), f)), VersionID: 1})
			}
		}
		wg.Go(func() { x.Committed(context.Background(), together) })
		for f := range feeders {
			wg.Go(func() { errs[f] = x.Feed(context.Background(), key(fmt.Sprintf("p%02d-f%d", p, f)), 1) })
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
		fmt.Println(p) // acknowledged
	}
	return errors.Join(<-warm, st.Close())
}

// TestKilledWhileLinking kills the process with -9 again and again while eight
// hospitals feed the same people: no link is lost, none is made twice, and the
// rest is linked as if nothing had happened.
func TestKilledWhileLinking(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	kills := 0
	for round := 0; ; round++ {
		var out strings.Builder
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashDir+"="+dir)
		cmd.Stdout, cmd.Stderr = &out, os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var after <-chan time.Time
		if round < 6 {
			after = time.After(time.Duration(20+rand.IntN(40*(round+1))) * time.Millisecond)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		var err error
		select {
		case err = <-done:
		case <-after:
			_ = cmd.Process.Signal(syscall.SIGKILL) // it may have ended this moment
			err = <-done
		}
		acked := len(strings.Fields(out.String()))
		left := afterCrash(t, dir, acked)
		var exit *exec.ExitError
		switch {
		case err == nil:
			if left != 0 {
				t.Errorf("%d records are unknown after all were fed", left)
			}
			t.Logf("%d kills", kills)
			return
		case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL:
			kills++
		default:
			t.Fatal(err)
		}
	}
}

// afterCrash opens what the process left behind: it agrees with itself, what
// was acknowledged is there, and each person's records that are there are one.
func afterCrash(t *testing.T, dir string, acked int) (unknown int) {
	t.Helper()
	st, err := disk.Open(dir, disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	checkSpace(t, st.Space("mpi"), true)
	x, err := mpi.Open(t.Context(), mpi.Config{Space: st.Space("mpi"), Read: crowded().read})
	if err != nil {
		t.Fatal(err)
	}
	for p := range crowd {
		persons, known := map[fhir.Key]bool{}, 0
		for f := range feeders {
			k, ok, err := x.PersonOf(t.Context(), key(fmt.Sprintf("p%02d-f%d", p, f)))
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				persons[k] = true
				known++
			}
		}
		unknown += feeders - known
		if p < acked && known < feeders {
			t.Errorf("person %d: %d of %d acknowledged records are known", p, known, feeders)
		}
		// Two cards lead to the citizen id only over a record that holds both.
		if known == feeders && len(persons) != 1 {
			t.Errorf("person %d: %d records are %d persons", p, known, len(persons))
		}
	}
	return unknown
}
