package keep

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"hutong/cmd/hutong/client"
	"hutong/cmd/hutong/exchange"
	"hutong/fhir"
	"hutong/fhir/store/disk"
	"hutong/fhir/store/disk/backup"
)

// Backup is `hutong backup`.
type Backup struct {
	Dir string `arg:"" optional:"" type:"existingdir" help:"Data directory of a stopped exchange."`
	To  string `type:"path" help:"With DIR: where the copy goes; a folder of earlier copies shares their unchanged files." placeholder:"DIR"`
	client.Operator
}

// Copied is what backup prints.
type Copied struct {
	T     fhir.T    `json:"t"`
	At    time.Time `json:"at"`
	Files int       `json:"files"`
	Bytes int64     `json:"bytes"`
	Sum   string    `json:"sum"`
}

// Run makes a copy and prints what it holds.
func (b *Backup) Run(ctx context.Context) (err error) {
	var m backup.Manifest
	switch {
	case (b.URL == "") == (b.Dir == ""):
		return errors.New("backup: give the data directory of a stopped exchange, or --url of a running one")
	case b.URL != "":
		err = b.Ask(ctx, http.MethodPost, "/api/admin/backup", &m)
	case b.To == "":
		return errors.New("backup: --to is missing")
	default:
		m, err = b.copy(ctx)
	}
	if err != nil {
		return err
	}
	out := Copied{T: m.T, At: m.At, Files: len(m.Files), Sum: m.Sum}
	for _, f := range m.Files {
		out.Bytes += f.Size
	}
	return printJSON(os.Stdout, out)
}

// copy copies a stopped store; an archive that was kept is brought to its end.
func (b *Backup) copy(ctx context.Context) (m backup.Manifest, err error) {
	dir, err := exchange.Existing(b.Dir)
	if err != nil {
		return m, err
	}
	if in, err := filepath.Rel(dir, b.To); err == nil && filepath.IsLocal(in) {
		return m, fmt.Errorf("backup: --to %s lies in the store itself", b.To)
	}
	s, err := exchange.OpenEngine(ctx, dir, exchange.Settings{}, quietLog())
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	staging := filepath.Join(filepath.Dir(filepath.Clean(dir)), ".checkpoint")
	if epoch, _ := s.Spaces().Journal(); epoch == "" {
		return backup.Copy(ctx, s, staging, b.To, time.Now())
	}
	a, err := backup.Open(ctx, backup.Config{Store: s, Engine: func() backup.Engine { return s }, Dir: b.To, Staging: staging, Log: quietLog()})
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, a.Close(ctx)) }()
	return a.Copy(ctx)
}

// Restore is `hutong restore`.
type Restore struct {
	From   string `required:"" type:"existingdir" help:"The archive's folder, or one copy in it."`
	To     string `required:"" type:"path" help:"Data directory to make; its store must not exist."`
	At     string `help:"Moment to restore: an RFC 3339 time, or a commit number; default is the end of the archive." placeholder:"TIME|T"`
	NoFsck bool   `name:"no-fsck" help:"Do not prove the restored store."`
}

// Rebuilt is what restore prints.
type Rebuilt struct {
	backup.Restored
	Proof *Proof `json:"proof,omitempty"`
}

// Run restores a store and proves it.
func (r *Restore) Run(ctx context.Context) error {
	out, err := r.rebuild(ctx)
	if err != nil {
		return err
	}
	if err := printJSON(os.Stdout, out); err != nil {
		return err
	}
	if out.Proof != nil && !out.Proof.Whole {
		return errDamaged
	}
	return nil
}

func (r *Restore) rebuild(ctx context.Context) (out Rebuilt, err error) {
	target, err := parseTarget(r.At)
	if err != nil {
		return out, err
	}
	to := filepath.Join(r.To, "store")
	if _, err := os.Stat(r.To); errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(r.To, 0o700); err != nil {
			return out, err
		}
		defer func() {
			if err != nil {
				_ = os.Remove(r.To) // stays if anything is in it
			}
		}()
	}
	job := backup.Restore{
		From: r.From, To: to, Target: target,
		Open: func(ctx context.Context, dir string, o disk.Options) (*disk.Store, error) {
			o.Log = quietLog()
			return exchange.OpenEngineWith(ctx, dir, o)
		},
		Progress: func(format string, args ...any) { fmt.Fprintf(os.Stderr, "restore: "+format+"\n", args...) },
	}
	if out.Restored, err = job.Run(ctx); err != nil || r.NoFsck {
		return out, err
	}
	proof, err := (&Fsck{Dir: r.To, CacheMB: 256}).prove(ctx, os.Stderr)
	out.Proof = &proof
	return out, err
}

// parseTarget reads a commit number or a time.
func parseTarget(s string) (t backup.Target, err error) {
	if s == "" {
		return t, nil
	}
	if _, err := fmt.Sscanf(s, "%d", &t.T); err == nil && fmt.Sprint(uint64(t.T)) == s && t.T > 0 {
		return t, nil
	}
	t.T = 0
	if t.At, err = time.Parse(time.RFC3339Nano, s); err != nil {
		return t, fmt.Errorf("--at %q: give a commit number or a time like 2026-05-01T12:00:00+08:00", s)
	}
	return t, nil
}
