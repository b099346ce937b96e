package mongo_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hutong/fhir/store"
	"hutong/fhir/store/mongo"
	"hutong/fhir/store/storetest"
)

// URL is the variable that names a deployment to test against; without it the
// tests start a server of their own (testserver).
const URL = "MONGODB_TEST_URI"

var (
	server    string // its URI, without a database
	databases atomic.Int64
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if server = os.Getenv(URL); server != "" {
		return m.Run()
	}
	stop, err := startServer()
	if err != nil {
		fmt.Fprintln(os.Stderr, "test server:", err)
		return 1
	}
	defer stop()
	return m.Run()
}

// startServer builds the test server, which is a Go module of its own, and
// runs it until stop.
func startServer() (stop func(), err error) {
	dir, err := os.MkdirTemp("", "hutong-mongo-")
	if err != nil {
		return nil, err
	}
	bin := filepath.Join(dir, "testserver")
	build := exec.Command("go", "build", "-o", bin, ".")
	build.Dir = "testserver"
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	cmd := exec.Command(bin)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	server = strings.TrimSpace(line)
	return func() {
		_ = in.Close() // the server ends with its input
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	}, err
}

// fresh names a database that no other test uses.
func fresh() string {
	u, params, _ := strings.Cut(server, "?")
	uri := fmt.Sprintf("%s/hutong_test_%d_%d", strings.TrimSuffix(u, "/"), os.Getpid(), databases.Add(1))
	if params != "" {
		uri += "?" + params
	}
	return uri
}

func open(t *testing.T, uri string, o mongo.Options) *mongo.Store {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := mongo.Open(ctx, uri, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	suite(t, mongo.Options{})
}

// suite runs the contract; a test server of our own scans where MongoDB has
// indexes.
func suite(t *testing.T, o mongo.Options) {
	storetest.Run(t, func(t *testing.T, extract storetest.Extract) *storetest.Harness {
		o := o
		o.Extract = extract
		uri := fresh()
		s := open(t, uri, o)
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		h := &storetest.Harness{Store: s, Slow: server != os.Getenv(URL)}
		h.Reopen = func() store.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, uri, o)
			return s
		}
		return h
	})
}
