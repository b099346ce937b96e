// Package keep holds the commands that keep a data directory: they prove it,
// back it up, restore it, bring it to a newer format, and show that it
// survives what happens to machines.
package keep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"

	"hutong/cmd/hutong/exchange"
	"hutong/fhir/store/disk"
	"hutong/gateway/audit"
)

// Fsck is `hutong fsck DIR`.
type Fsck struct {
	Dir     string `arg:"" type:"existingdir" help:"Data directory of a stopped exchange, or a restored one."`
	CacheMB int    `name:"cache-mb" default:"256" help:"Block cache, MiB: what it may hold in memory."`
	Quiet   bool   `short:"q" help:"No progress on standard error."`
}

// Proof is what fsck prints: the engine's report and the audit chain's.
type Proof struct {
	Whole bool          `json:"whole"`
	Store disk.Report   `json:"store"`
	Audit *audit.Report `json:"audit,omitempty"` // left out if the store has no trail
	Took  string        `json:"took"`
}

// errDamaged is the exit status of a proof that failed.
var errDamaged = errors.New("the store is damaged: the report says where")

// Run proves the store; the report goes to standard output, the exit status is
// the answer.
func (f *Fsck) Run(ctx context.Context) error {
	p, err := f.prove(ctx, os.Stderr)
	if err != nil {
		return err
	}
	if err := printJSON(os.Stdout, p); err != nil {
		return err
	}
	if !p.Whole {
		return errDamaged
	}
	return nil
}

func (f *Fsck) prove(ctx context.Context, progress io.Writer) (Proof, error) {
	if f.Quiet {
		progress = io.Discard
	}
	start := time.Now()
	dir, err := exchange.Existing(f.Dir)
	if err != nil {
		return Proof{}, err
	}
	s, err := exchange.OpenEngine(ctx, dir, exchange.Settings{CacheMB: f.CacheMB}, quietLog())
	if err != nil {
		return Proof{}, err
	}
	p, err := Prove(ctx, s, progress)
	if cerr := s.Close(); err == nil {
		err = cerr
	}
	p.Took = time.Since(start).Round(time.Millisecond).String()
	return p, err
}

// Prove proves an open store that nobody writes to. What its index owes to a
// release that knows more search parameters is built first.
func Prove(ctx context.Context, s *disk.Store, progress io.Writer) (p Proof, err error) {
	for len(s.Building()) > 0 {
		fmt.Fprintf(progress, "fsck: %d parameters are being indexed\n", len(s.Building()))
		select {
		case <-ctx.Done():
			return p, ctx.Err()
		case <-time.After(time.Second):
		}
	}
	p.Store, err = s.Inspect(ctx, func(step string, rows int) {
		fmt.Fprintf(progress, "fsck: %s: %d rows\n", step, rows)
	})
	if err != nil {
		return p, err
	}
	chains, err := audit.Verify(ctx, s)
	if err != nil {
		return p, err
	}
	p.Audit = &chains
	p.Whole = p.Store.Whole && chains.Whole
	return p, nil
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// quietLog passes warnings on: what a tool found is in its report.
func quietLog() zerolog.Logger {
	return zerolog.New(os.Stderr).Level(zerolog.WarnLevel).With().Timestamp().Logger()
}
