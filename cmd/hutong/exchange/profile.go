package exchange

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// serveProfiles answers /debug/pprof/ on an address of its own, which Check has
// held to be loopback, until the returned function is called. A heap profile
// may hold pieces of records, so the exchange's own address never serves it.
func (e *Exchange) serveProfiles() (stop func(), err error) {
	if e.cfg.Pprof == "" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", e.cfg.Pprof)
	if err != nil {
		return nil, fmt.Errorf("--pprof: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			e.log.Warn().Err(err).Msg("profiles are no longer served")
		}
	}()
	e.log.Info().Str("address", listener.Addr().String()).Msg("serving profiles")
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close() // a profile that is being taken is cut off
		}
		<-done
	}, nil
}
