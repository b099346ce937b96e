package exchange

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"hutong/cmd/hutong/exchange/memory"
)

// Serve answers on the exchange's address until ctx ends, then lets running
// requests finish, and closes e. ready, if given, is called once the listener
// is open.
func (e *Exchange) Serve(ctx context.Context, ready func()) (err error) {
	log := e.log
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
	stopProfiles, err := e.serveProfiles()
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer stopProfiles()
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
	log.Info().Str("url", e.cfg.PublicURL).Str("auth", e.cfg.Auth).Str("store", e.cfg.storeName()).Str("version", Version).Msg("serving")
	memory.Settle()
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
func listen(s *http.Server, l net.Listener, cfg Settings) error {
	if cfg.TLSCert == "" {
		return s.Serve(l)
	}
	s.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	return s.ServeTLS(l, cfg.TLSCert, cfg.TLSKey)
}
