package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"hutong/fhir/codec"
)

type loadCmd struct {
	URL     string   `default:"http://127.0.0.1:8080" help:"The exchange."`
	Client  string   `help:"OAuth2 client to load as; none for an open endpoint."`
	Key     string   `type:"path" help:"The client's private key (JWK), as the account command wrote it." placeholder:"FILE"`
	Workers int      `default:"4" help:"Requests in flight."`
	Paths   []string `arg:"" type:"path" help:"Files (.json: a Bundle or a resource; .ndjson: a resource a line) or folders of them."`
}

// Run posts every file. A file that is refused is named and counted, the
// others go on; the exit status tells.
func (l *loadCmd) Run(ctx context.Context) error {
	p := newPoster(l.URL)
	if l.Client != "" {
		key, err := os.ReadFile(l.Key)
		if err != nil {
			return fmt.Errorf("--key: %w", err)
		}
		p.token = clientTokens(p.url, l.Client, key)
	}
	start := time.Now()
	sum, err := p.loadPaths(ctx, l.Paths, l.Workers, func(name string, err error) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	})
	if err != nil {
		return err
	}
	sec := time.Since(start).Seconds()
	fmt.Printf("%d files, %d resources in %.1f s (%.0f resources/s), %d refused\n", sum.files, sum.resources, sec, float64(sum.resources)/sec, sum.refused)
	if sum.refused > 0 {
		return fmt.Errorf("%d of %d files were refused", sum.refused, sum.files)
	}
	return nil
}

// poster sends FHIR content to an exchange.
type poster struct {
	url   string // of the exchange, without /fhir
	http  *http.Client
	token func(context.Context) (string, error) // nil: none
}

func newPoster(url string) *poster {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 16
	return &poster{url: strings.TrimSuffix(url, "/"), http: &http.Client{Transport: t, Timeout: 2 * time.Minute}}
}

// loaded counts what a load did.
type loaded struct{ files, resources, refused int64 }

// loadPaths posts the files of paths, workers at a time.
func (p *poster) loadPaths(ctx context.Context, paths []string, workers int, refused func(name string, err error)) (loaded, error) {
	var sum loaded
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for _, root := range paths {
		err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !loadable(name) {
				return err
			}
			g.Go(func() error {
				n, err := p.loadFile(ctx, name)
				atomic.AddInt64(&sum.files, 1)
				atomic.AddInt64(&sum.resources, n)
				var no *refusal
				if errors.As(err, &no) {
					atomic.AddInt64(&sum.refused, 1)
					refused(name, err)
					return nil
				}
				return err
			})
			return ctx.Err()
		})
		if err != nil {
			_ = g.Wait()
			return sum, err
		}
	}
	return sum, g.Wait()
}

func loadable(name string) bool {
	return strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".ndjson")
}

// loadFile posts one file and tells how many resources it held.
func (p *poster) loadFile(ctx context.Context, name string) (int64, error) {
	body, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	if strings.HasSuffix(name, ".ndjson") {
		return p.loadLines(ctx, body)
	}
	return p.loadOne(ctx, body)
}

func (p *poster) loadLines(ctx context.Context, body []byte) (n int64, err error) {
	for line := range bytes.Lines(body) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		k, err := p.loadOne(ctx, line)
		n += k
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// loadOne sends a transaction or batch to the base, a resource with an id by
// PUT to its place, any other resource by POST to its type.
func (p *poster) loadOne(ctx context.Context, body []byte) (int64, error) {
	doc, err := codec.Parse(body, codec.DefaultLimits())
	if err != nil {
		return 0, &refusal{0, err.Error()}
	}
	t, id := string(doc.ResourceType(0)), ""
	if c := doc.Child(0, "id"); c != 0 {
		id = doc.Text(c)
	}
	if kind := doc.Child(0, "type"); t == "Bundle" && kind != 0 {
		if s := doc.Text(kind); s == "transaction" || s == "batch" {
			entries := int64(0)
			if e := doc.Child(0, "entry"); e != 0 {
				entries = int64(doc.Len(e))
			}
			return entries, p.send(ctx, http.MethodPost, "/fhir", body)
		}
	}
	if id != "" {
		return 1, p.send(ctx, http.MethodPut, "/fhir/"+t+"/"+id, body)
	}
	return 1, p.send(ctx, http.MethodPost, "/fhir/"+t, body)
}
