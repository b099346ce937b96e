// Command testserver is a server that speaks MongoDB's wire protocol, for the
// tests of hutong/fhir/store/mongo: FerretDB v1 on SQLite, in this process,
// behind a proxy that runs write commands one at a time. It prints its URI on
// the first line and ends when its standard input does, so that no server
// outlives the test that started it.
//
// It is a Go module of its own, because FerretDB pins an old SQLite.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdin, os.Stdout); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "testserver:", err)
		os.Exit(1)
	}
}

// run serves until ctx or the input ends.
func run(ctx context.Context, in io.Reader, out io.Writer) error {
	dir, err := os.MkdirTemp("", "hutong-testserver-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	server, err := ferretdb.New(&ferretdb.Config{
		Listener: ferretdb.ListenerConfig{TCP: "127.0.0.1:0"},
		Logger:   slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		Handler:  "sqlite",
		// What is here is gone after the test: no reason to wait for a disk.
		SQLiteURL: "file:" + dir + "/?_pragma=synchronous(off)",
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, bufio.NewReader(in))
	}()
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	upstream, err := upstreamOf(server)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	p := &proxy{upstream: upstream}
	go func() { <-ctx.Done(); _ = listener.Close() }()
	go p.serve(listener)
	if _, err := fmt.Fprintf(out, "mongodb://%s/\n", listener.Addr()); err != nil {
		return err
	}
	return <-ended
}
