package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary stand in for the hutong binary, so that a test
// can kill a real process.
func TestMain(m *testing.M) {
	if os.Getenv("HUTONG_TEST_AS_MAIN") == "1" {
		main()
		return
	}
	os.Exit(m.Run())
}

// child runs `hutong serve --auth open` in a process of its own.
func child(t *testing.T, dir, listen string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "serve", "--auth", "open", "--listen", listen, "--data", dir, "--log-level", "error")
	cmd.Env = append(os.Environ(), "HUTONG_TEST_AS_MAIN=1")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for deadline := time.Now().Add(time.Minute); ; {
		res, err := http.Get("http://" + listen + "/readyz")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return cmd
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server is not ready after a minute: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

const perBundle = 12

// numbered is a transaction of perBundle resources that all name bundle n.
func numbered(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"resourceType":"Bundle","type":"transaction","entry":[`)
	for i := range perBundle {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"resource":{"resourceType":"Basic","code":{"text":"x"},"identifier":[{"system":"urn:bundle","value":"%d"}]},"request":{"method":"POST","url":"Basic"}}`, n)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

// kill -9 in the middle of loading: every acknowledged bundle is whole, and no
// other one is half there.
func TestKilledWhileLoading(t *testing.T) {
	dir, listen := t.TempDir(), freeAddress(t)
	var mu sync.Mutex
	acked := map[int]bool{}
	next := 0
	for round := range 3 {
		cmd := child(t, dir, listen)
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for ctx.Err() == nil {
					mu.Lock()
					n := next
					next++
					mu.Unlock()
					res, err := http.Post("http://"+listen+"/fhir", "application/fhir+json", bytes.NewReader(numbered(n)))
					if err != nil {
						return // the process is gone
					}
					res.Body.Close()
					if res.StatusCode != http.StatusOK {
						t.Errorf("bundle %d: %s", n, res.Status)
						return
					}
					mu.Lock()
					acked[n] = true
					mu.Unlock()
				}
			})
		}
		time.Sleep(time.Duration(300+rand.IntN(700)) * time.Millisecond)
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		cancel()
		wg.Wait()
		if len(acked) == 0 {
			t.Fatalf("round %d: no bundle was acknowledged before the kill", round)
		}
	}
	child(t, dir, listen)
	for n := range next {
		var b struct{ Total int }
		res, err := http.Get(fmt.Sprintf("http://%s/fhir/Basic?identifier=urn:bundle|%d&_summary=count", listen, n))
		if err != nil {
			t.Fatal(err)
		}
		err = json.NewDecoder(res.Body).Decode(&b)
		res.Body.Close()
		switch {
		case err != nil:
			t.Fatal(err)
		case acked[n] && b.Total != perBundle:
			t.Errorf("bundle %d was acknowledged and has %d of %d resources", n, b.Total, perBundle)
		case b.Total != 0 && b.Total != perBundle:
			t.Errorf("bundle %d is half there: %d of %d resources", n, b.Total, perBundle)
		}
	}
	t.Logf("%d bundles sent, %d acknowledged, three kills", next, len(acked))
}
