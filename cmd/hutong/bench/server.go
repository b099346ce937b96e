package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"hutong/cmd/hutong/bench/machine"
	"hutong/cmd/hutong/client"
	"hutong/cmd/hutong/exchange"
	"hutong/gateway/auth"
	"hutong/testdata/region"
)

// server is the exchange under test: `hutong serve` as a process of its own on
// a loopback port, with a data directory of its own.
type server struct {
	binary string
	env    []string
	dir    string
	listen string
	auth   string // open or smart
	pprof  string // address of its profiles, "" for none

	cmd    *exec.Cmd
	stderr *tail
	ended  chan error // the process's end
	keys   map[string][]byte
}

// newServer makes the folder and, where tokens are asked for, the hospitals'
// clients; it starts nothing.
func newServer(ctx context.Context, dir string, c *RunCmd) (s *server, err error) {
	s = &server{binary: c.binary, env: c.env, dir: dir, auth: c.Auth, keys: map[string][]byte{}}
	if s.binary == "" {
		if s.binary, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	if s.listen, err = freePort(); err != nil {
		return nil, err
	}
	if c.Profile {
		if s.pprof, err = freePort(); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if s.auth == "smart" {
		err = s.accounts(ctx)
	}
	return s, err
}

// freePort asks the system for a loopback port that nobody uses.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (s *server) url() string  { return "http://" + s.listen }
func (s *server) base() string { return s.url() + "/fhir" }
func (s *server) pid() int     { return s.cmd.Process.Pid }

// settings are what the process is started with.
func (s *server) settings() exchange.Settings {
	return exchange.Settings{
		Listen: s.listen, Data: s.dir, NATS: "embedded", Auth: s.auth, Operator: region.OrgExchange, Timezone: "Asia/Shanghai",
		CacheMB: 64, LogLevel: "error", LogFormat: "json", Grace: 15 * time.Second,
	}
}

// operator is the client that posts the registry.
const operator = "operator"

// accounts registers each hospital's client with a fresh key, as the demo does.
func (s *server) accounts(ctx context.Context) (err error) {
	cfg := s.settings()
	if err := cfg.Check(); err != nil {
		return err
	}
	e, err := exchange.OpenOffline(ctx, cfg, cfg.Logger())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close(ctx)) }()
	systems := map[string]string{operator: region.OrgExchange}
	for _, o := range region.Orgs() {
		if o.Client != "" {
			systems[o.Client] = o.ID
		}
	}
	for name, org := range systems {
		private, public, err := auth.GenerateClientKey()
		if err != nil {
			return err
		}
		c := auth.Client{ID: name, Name: name, Organization: org, Scopes: []string{"system/*.cruds"}, Keys: []json.RawMessage{public}}
		if err := e.Auth.AddClient(ctx, c); err != nil {
			return err
		}
		s.keys[name] = private
	}
	return nil
}

// tokens gives the access tokens of a client; nil where none are needed.
func (s *server) tokens(name string) func(context.Context) (string, error) {
	if s.auth != "smart" {
		return nil
	}
	return client.SystemTokens(s.url(), name, s.keys[name])
}

// start runs the process and waits until it is ready; it tells how long that took.
func (s *server) start(ctx context.Context, nats string) (time.Duration, error) {
	cmd := exec.Command(s.binary, "serve", "--auth", s.auth, "--listen", s.listen, "--data", s.dir, "--operator", region.OrgExchange,
		"--timezone", "Asia/Shanghai", "--log-level", "error", "--nats", nats, "--pprof", s.pprof)
	cmd.Env = append(os.Environ(), s.env...)
	s.stderr = &tail{}
	cmd.Stderr = s.stderr
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	s.cmd, s.ended = cmd, ended
	go func() { ended <- cmd.Wait() }()
	for deadline := begun.Add(5 * time.Minute); time.Now().Before(deadline); {
		if ready(ctx, s.url()) {
			return time.Since(begun), nil
		}
		select {
		case err := <-s.ended:
			s.ended <- err
			return 0, fmt.Errorf("the server ended: %v\n%s", err, s.stderr)
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
	return 0, errors.New("the server is not ready after five minutes")
}

func ready(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// stop ends the process gracefully, or after a minute by force.
func (s *server) stop() error {
	if s == nil || s.cmd == nil {
		return nil
	}
	cmd := s.cmd
	s.cmd = nil
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-s.ended:
		if err != nil {
			return fmt.Errorf("the server did not stop well: %w\n%s", err, s.stderr)
		}
		return nil
	case <-time.After(time.Minute):
		return errors.Join(errors.New("the server did not stop within a minute"), cmd.Process.Kill(), <-s.ended)
	}
}

// stored is the size of the store, of the write-ahead logs in it, and of the
// event stream, in bytes.
func (s *server) stored() (store, logs, events int64, err error) {
	if store, logs, err = machine.DiskUsage(filepath.Join(s.dir, "store"), ".log"); err != nil {
		return 0, 0, 0, err
	}
	events, _, err = machine.DiskUsage(filepath.Join(s.dir, "nats"), "")
	return store, logs, events, err
}

// tail keeps the last of what a process says.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const tailBytes = 8 << 10

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(p)
	if over := t.buf.Len() - tailBytes; over > 0 {
		t.buf.Next(over)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}

// figure reads a metric that has no labels, 0 where there is none of that name.
func figure(ctx context.Context, url, name string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	text, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil {
		return 0, err
	}
	_, rest, told := strings.Cut(string(text), "\n"+name+" ")
	if !told {
		return 0, nil
	}
	value, _, _ := strings.Cut(rest, "\n")
	return strconv.ParseFloat(value, 64)
}
