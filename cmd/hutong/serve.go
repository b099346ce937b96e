package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"
)

type serveCmd struct{ settings }

// Run serves until a signal, then stops gracefully.
func (s *serveCmd) Run(ctx context.Context) error {
	if err := s.check(); err != nil {
		return err
	}
	log := s.logger()
	e, err := openExchange(ctx, s.settings, log)
	if err != nil {
		return err
	}
	return serve(ctx, e, log, nil)
}

// serve answers on the exchange's address until ctx ends, then lets running
// requests finish, and closes e. ready, if given, is called once the listener
// is open.
func serve(ctx context.Context, e *exchange, log zerolog.Logger, ready func()) (err error) {
	defer func() {
		// ctx has ended; the closing has the grace of its own.
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.cfg.Grace)
		defer cancel()
		err = errors.Join(err, e.Close(closing))
		log.Info().AnErr("error", err).Msg("closed")
	}()
	listener, err := net.Listen("tcp", e.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{
		Handler:           e.handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       2 * time.Minute,
		WriteTimeout:      3 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	failed := make(chan error, 1)
	go func() { failed <- listen(server, listener, e.cfg) }()
	log.Info().Str("url", e.cfg.PublicURL).Str("auth", e.cfg.Auth).Str("store", e.cfg.Store).Str("version", version).Msg("serving")
	if ready != nil {
		ready()
	}
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	log.Info().Stringer("grace", e.cfg.Grace).Str("reason", context.Cause(ctx).Error()).Msg("stopping: no new requests")
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.cfg.Grace)
	defer cancel()
	if err := server.Shutdown(stopping); err != nil {
		log.Warn().Err(err).Msg("stopping: requests were cut off")
		return server.Close()
	}
	return nil
}

// listen serves TLS 1.2 and up where the settings give a certificate.
func listen(s *http.Server, l net.Listener, cfg settings) error {
	if cfg.TLSCert == "" {
		return s.Serve(l)
	}
	s.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	return s.ServeTLS(l, cfg.TLSCert, cfg.TLSKey)
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
