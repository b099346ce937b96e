package crash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"hutong/cmd/hutong/client"
	"hutong/cmd/hutong/exchange"
	"hutong/fhir"
	"hutong/gateway/auth"
)

func version() string { return exchange.Version }

const (
	hospital   = "his-crash" // the client that writes
	org        = "org-crash"
	readyWait  = time.Minute
	clientWait = 20 * time.Second
)

// life is one data directory with what its clients know of it.
type life struct {
	dir     string
	listen  string
	rng     *rand.Rand
	key     []byte // of the hospital's client
	workers int
	rounds  int
	http    *http.Client
	token   func(context.Context) (string, error)

	mu       sync.Mutex
	acked    Counts
	unknown  int
	bundles  map[string]*bundle
	counters map[string]*counter
	deletes  map[string]*deletion
	creates  map[string]*created
	sessions []session
	touched  map[string]bool // names of this round
	refusals map[string]int  // answers that no fault of a disk explains

	verified fhir.T               // events up to here have been held against the log
	events   map[announced]bool   // seen on the stream
	log      map[announced]fhir.T // what the change log names
	audited  uint64
	slowest  time.Duration
	silence  time.Duration // on the stream, after which what is missing counts as lost
	faults   []string
}

// What a client knows of what it wrote.
type (
	bundle   struct{ size, acked int }
	counter  struct{ acked, tried int }
	deletion struct{ put, tried, gone bool }
	created  struct {
		acked int
		ids   map[string]bool
	}
	session struct{ assertion, token string } // of a token that was acknowledged and revoked
)

// newLife makes a data directory with an account.
func newLife(ctx context.Context, dir string, rng *rand.Rand, workers int) (*life, error) {
	private, public, err := auth.GenerateClientKey()
	if err != nil {
		return nil, err
	}
	l := &life{
		dir: dir, rng: rng, key: private, workers: workers, silence: 10 * time.Second,
		bundles: map[string]*bundle{}, counters: map[string]*counter{}, deletes: map[string]*deletion{}, creates: map[string]*created{},
		events: map[announced]bool{}, log: map[announced]fhir.T{}, refusals: map[string]int{},
	}
	if l.listen, err = freeAddress(); err != nil {
		return nil, err
	}
	cfg := l.settings()
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	e, err := exchange.OpenOffline(ctx, cfg, zerolog.Nop())
	if err != nil {
		return nil, err
	}
	c := auth.Client{ID: hospital, Name: hospital, Organization: org, Scopes: []string{"system/*.cruds"}, Keys: rawKeys(public)}
	return l, errors.Join(e.Auth.AddClient(ctx, c), e.Close(ctx))
}

func (l *life) settings() exchange.Settings {
	return exchange.Settings{
		Listen: l.listen, Data: l.dir, NATS: "embedded", Auth: "smart", Operator: "org-exchange", Timezone: "UTC",
		CacheMB: 32, LogLevel: "error", LogFormat: "json", Grace: 5 * time.Second,
	}
}

func (l *life) base() string { return "http://" + l.listen }

func freeAddress() (string, error) {
	s, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return s.Addr().String(), s.Close()
}

// fault takes note of what must not be.
func (l *life) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.faults) < 20 {
		l.faults = append(l.faults, fmt.Sprintf("%s, round %d: ", filepath.Base(l.dir), l.rounds)+fmt.Sprintf(format, args...))
	}
}

// child is the exchange as a process of its own.
type child struct {
	cmd *exec.Cmd
	log bytes.Buffer
}

// serve starts the exchange and waits until it is ready. extra are further
// flags.
func (l *life) serve(ctx context.Context, extra ...string) (*child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"serve", "--listen", l.listen, "--data", l.dir, "--log-level", "error", "--timezone", "UTC", "--cache-mb", "32"}
	c := &child{cmd: exec.CommandContext(ctx, exe, append(args, extra...)...)}
	c.cmd.Stderr = &c.log
	start := time.Now()
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	if err := l.ready(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("crash: the exchange is not ready: %w\n%s", err, c.log.String()), c.kill())
	}
	l.slowest = max(l.slowest, time.Since(start))
	l.http = &http.Client{Timeout: clientWait, Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}}
	return c, nil
}

// ready asks until the exchange answers.
func (l *life) ready(ctx context.Context) (err error) {
	for deadline := time.Now().Add(readyWait); time.Now().Before(deadline); {
		var res *http.Response
		if res, err = http.Get(l.base() + "/readyz"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(res.Status)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return err
}

// kill ends the process as a power cut would, as far as the process can tell.
func (c *child) kill() error {
	err := c.cmd.Process.Kill()
	_ = c.cmd.Wait() // tells of the kill
	return err
}

// round serves, writes, and kills at a random moment.
func (l *life) round(ctx context.Context) error {
	l.rounds++
	l.touched = map[string]bool{}
	c, err := l.serve(ctx)
	if err != nil {
		return err
	}
	l.token = client.SystemTokens(l.base(), hospital, l.key)
	if _, err := l.token(ctx); err != nil {
		return errors.Join(fmt.Errorf("crash: %w", err), c.kill())
	}
	l.replay(ctx)
	working, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	first := make(chan struct{}, 1)
	for n := range l.workers {
		rng := rand.New(rand.NewPCG(l.rng.Uint64(), uint64(n)))
		wg.Go(func() { l.work(working, n, rng, first) })
	}
	select {
	case <-first:
	case <-time.After(clientWait):
		l.fault("nothing was acknowledged: %v", l.refusals)
	case <-ctx.Done():
	}
	pause := time.Duration(20+l.rng.IntN(280)) * time.Millisecond
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
	err = c.kill()
	stop()
	wg.Wait()
	l.http.CloseIdleConnections()
	if text := strings.TrimSpace(c.log.String()); strings.Contains(text, "panic") || strings.Contains(text, "fatal") {
		l.fault("the exchange said: %.2000s", text)
	}
	return errors.Join(err, ctx.Err())
}

// do makes a request with the hospital's token. status is 0 if no answer came:
// the request may have been done or not.
func (l *life) do(ctx context.Context, method, path, body string, header ...string) (status int, h http.Header, answer []byte) {
	token, err := l.token(ctx)
	if err != nil {
		return 0, nil, nil
	}
	req, err := http.NewRequestWithContext(ctx, method, l.base()+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, nil
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/fhir+json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := l.http.Do(req)
	if err != nil {
		return 0, nil, nil
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return 0, nil, nil
	}
	return res.StatusCode, res.Header, answer
}
