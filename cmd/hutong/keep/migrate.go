package keep

import (
	"context"
	"errors"
	"fmt"
	"os"

	"hutong/cmd/hutong/exchange"
	"hutong/fhir/store/disk"
	"hutong/fhir/store/disk/backup"
)

// Migrate is `hutong migrate DIR`.
type Migrate struct {
	Dir    string `arg:"" type:"existingdir" help:"Data directory of a stopped exchange."`
	DryRun bool   `name:"dry-run" help:"Only tell the format; nothing is written."`
}

// Migrated is what migrate prints.
type Migrated struct {
	From uint64 `json:"from"` // the format that was found
	To   uint64 `json:"to"`   // the format of this release
	Done bool   `json:"done"` // the store has it now
}

// Run brings the store to this release's format and proves it. What a kill
// interrupts is taken up by the next run.
func (m *Migrate) Run(ctx context.Context) error {
	dir, err := exchange.Existing(m.Dir)
	if err != nil {
		return err
	}
	found, err := backup.Describe(dir)
	if err != nil {
		return err
	}
	out := Migrated{From: found.Format, To: disk.Format, Done: found.Format == disk.Format}
	switch {
	case found.Format == 0:
		return fmt.Errorf("migrate: %s holds no store", dir)
	case found.Format > disk.Format:
		return fmt.Errorf("migrate: the store has format %d, this release knows %d: use the release that wrote it", found.Format, disk.Format)
	case !out.Done && !m.DryRun:
		fmt.Fprintf(os.Stderr, "migrate: format %d to %d; take a backup first if there is none\n", out.From, out.To)
		if err := m.open(ctx, dir); err != nil {
			return err
		}
		out.Done = true
	}
	return printJSON(os.Stdout, out)
}

// open migrates, as opening does, and proves the result.
func (m *Migrate) open(ctx context.Context, dir string) error {
	s, err := exchange.OpenEngine(ctx, dir, exchange.Settings{CacheMB: 256}, quietLog())
	if err != nil {
		return err
	}
	p, err := Prove(ctx, s, os.Stderr)
	if err = errors.Join(err, s.Close()); err == nil && !p.Whole {
		err = errors.Join(printJSON(os.Stdout, p), errDamaged)
	}
	return err
}
