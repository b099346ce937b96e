package client

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"hutong/fhir/codec"
)

// Poster sends FHIR content to an exchange.
type Poster struct {
	URL   string // of the exchange, without /fhir
	http  *http.Client
	Token func(context.Context) (string, error) // nil: none
}

// NewPoster makes a Poster without a token.
func NewPoster(url string) *Poster {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 16
	return &Poster{URL: strings.TrimSuffix(url, "/"), http: &http.Client{Transport: t, Timeout: 2 * time.Minute}}
}

// Loaded counts what a load did.
type Loaded struct{ Files, Resources, Refused int64 }

// Load posts the files of paths, workers at a time. refused hears of one file
// after another.
func (p *Poster) Load(ctx context.Context, paths []string, workers int, refused func(name string, err error)) (Loaded, error) {
	var sum Loaded
	var telling sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for _, root := range paths {
		err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !loadable(name) {
				return err
			}
			g.Go(func() error {
				n, err := p.loadFile(ctx, name)
				atomic.AddInt64(&sum.Files, 1)
				atomic.AddInt64(&sum.Resources, n)
				var no *Refusal
				if errors.As(err, &no) {
					telling.Lock()
					defer telling.Unlock()
					sum.Refused++
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
func (p *Poster) loadFile(ctx context.Context, name string) (int64, error) {
	body, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	if strings.HasSuffix(name, ".ndjson") {
		return p.loadLines(ctx, body)
	}
	return p.loadOne(ctx, body)
}

func (p *Poster) loadLines(ctx context.Context, body []byte) (n int64, err error) {
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
func (p *Poster) loadOne(ctx context.Context, body []byte) (int64, error) {
	doc, err := codec.Parse(body, codec.DefaultLimits())
	if err != nil {
		return 0, &Refusal{0, err.Error()}
	}
	t, id := string(doc.ResourceType(0)), ""
	if t == "" {
		return 0, &Refusal{0, "not a FHIR resource: no resourceType"}
	}
	if c := doc.Child(0, "id"); c != 0 {
		id = doc.Text(c)
	}
	if kind := doc.Child(0, "type"); t == "Bundle" && kind != 0 {
		if s := doc.Text(kind); s == "transaction" || s == "batch" {
			entries := int64(0)
			if e := doc.Child(0, "entry"); e != 0 {
				entries = int64(doc.Len(e))
			}
			return entries, p.Send(ctx, http.MethodPost, "/fhir", body)
		}
	}
	if id != "" {
		return 1, p.Send(ctx, http.MethodPut, "/fhir/"+t+"/"+id, body)
	}
	return 1, p.Send(ctx, http.MethodPost, "/fhir/"+t, body)
}
