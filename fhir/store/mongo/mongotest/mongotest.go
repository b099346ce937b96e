// Package mongotest starts a server for tests that need a MongoDB: the one
// that MONGODB_TEST_URI names, or one of their own, built from testserver.
package mongotest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
)

// URL is the variable that names a deployment to test against.
const URL = "MONGODB_TEST_URI"

// Server is a running server.
type Server struct {
	// Own is set for a server that Start made: it has no indexes and is slow.
	Own bool

	uri       string
	databases atomic.Int64
	stop      func()
}

// Start gives the server to test against. The caller stops it.
func Start() (*Server, error) {
	if uri := os.Getenv(URL); uri != "" {
		return &Server{uri: uri, stop: func() {}}, nil
	}
	dir, err := os.MkdirTemp("", "hutong-mongo-")
	if err != nil {
		return nil, err
	}
	s := &Server{Own: true}
	if err := s.launch(dir); err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("test server: %w", err)
	}
	return s, nil
}

// launch builds the server, which is a Go module of its own, and runs it.
func (s *Server) launch(dir string) error {
	source, err := exec.Command("go", "list", "-f", "{{.Dir}}", "hutong/fhir/store/mongo").Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	bin := filepath.Join(dir, "testserver")
	build := exec.Command("go", "build", "-o", bin, ".")
	build.Dir = filepath.Join(strings.TrimSpace(string(source)), "testserver")
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	cmd := exec.Command(bin)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.stop = func() {
		_ = in.Close() // the server ends with its input
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	s.uri = strings.TrimSpace(line)
	return err
}

// Stop ends a server that Start made.
func (s *Server) Stop() { s.stop() }

// Database gives the URI of a database that no other test uses.
func (s *Server) Database() string {
	u, params, _ := strings.Cut(s.uri, "?")
	uri := fmt.Sprintf("%s/hutong_test_%d_%d", strings.TrimSuffix(u, "/"), os.Getpid(), s.databases.Add(1))
	if params != "" {
		uri += "?" + params
	}
	return uri
}
