package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"time"

	"hutong/cmd/hutong/exchange"
	"hutong/cmd/hutong/exchange/memory"
)

type serveCmd struct{ exchange.Settings }

// Run serves until a signal, then stops gracefully.
func (s *serveCmd) Run(ctx context.Context) error {
	if err := s.Check(); err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		defer memory.Pace(s.GarbageMB << 20)()
	}
	e, err := exchange.Open(ctx, s.Settings, s.Logger())
	if err != nil {
		return err
	}
	return e.Serve(ctx, nil)
}

type healthCmd struct {
	URL      string `default:"http://127.0.0.1:8080" help:"The exchange."`
	Insecure bool   `help:"Accept any certificate: for a check on the machine itself."`
}

// Run asks /readyz; the exit status is the answer.
func (h *healthCmd) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL+"/readyz", nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: h.Insecure}}}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", res.Status)
	}
	return nil
}
