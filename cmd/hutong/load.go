package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"hutong/cmd/hutong/client"
)

type loadCmd struct {
	URL     string   `default:"http://127.0.0.1:8080" help:"The exchange."`
	Client  string   `help:"OAuth2 client to load as; none for an open endpoint."`
	Key     string   `type:"path" help:"The client's private key (PEM), as the account command wrote it." placeholder:"FILE"`
	Workers int      `default:"4" help:"Requests in flight."`
	Paths   []string `arg:"" type:"path" help:"Files (.json: a Bundle or a resource; .ndjson: a resource a line) or folders of them."`
}

// Run posts every file. A file that is refused is named and counted, the
// others go on; the exit status tells.
func (l *loadCmd) Run(ctx context.Context) error {
	if l.Workers < 1 {
		return fmt.Errorf("--workers %d: at least 1 is needed", l.Workers)
	}
	p := client.NewPoster(l.URL)
	if l.Client != "" {
		key, err := os.ReadFile(l.Key)
		if err != nil {
			return fmt.Errorf("--key: %w", err)
		}
		p.Token = client.SystemTokens(p.URL, l.Client, key)
	}
	start := time.Now()
	sum, err := p.Load(ctx, l.Paths, l.Workers, func(name string, err error) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	})
	if err != nil {
		return err
	}
	sec := time.Since(start).Seconds()
	fmt.Printf("%d files, %d resources in %.1f s (%.0f resources/s), %d refused\n", sum.Files, sum.Resources, sec, float64(sum.Resources)/sec, sum.Refused)
	if sum.Files == 0 {
		return fmt.Errorf("there is no .json or .ndjson file to load")
	}
	if sum.Refused > 0 {
		return fmt.Errorf("%d of %d files were refused", sum.Refused, sum.Files)
	}
	return nil
}
