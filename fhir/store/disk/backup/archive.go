package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/rs/zerolog"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/fhir/store/disk/keyspace"
)

// Engine is what an archive follows: disk.Store, or revive's living one.
type Engine interface {
	Checkpointer
	Spaces() *keyspace.Set
}

// Config of an archive.
type Config struct {
	Store  store.Store
	Engine func() Engine // whichever lives now
	// Dir holds the copies and the segments. It belongs on another disk than
	// the store.
	Dir     string
	Staging string        // a folder on the store's disk that is free for use
	Every   time.Duration // how long a write may wait to be archived; 1 s
	Segment int64         // bytes of a segment; 64 MiB
	Now     func() time.Time
	Log     zerolog.Logger
}

// Archive follows a store: it keeps at least one copy, and everything that was
// committed after it. One process archives into a folder at a time.
type Archive struct {
	cfg Config

	mu   sync.Mutex // one step or copy at a time
	w    writer
	t    fhir.T
	seq  uint64
	fail error // of the last step
}

// Status tells how far an archive is.
type Status struct {
	Epoch string `json:"epoch"`
	T     fhir.T `json:"t"`
	Seq   uint64 `json:"seq"`
	Error string `json:"error,omitempty"` // why the last step failed
}

const (
	perBatch = 500     // versions
	maxBatch = 4 << 20 // bytes of journal
)

// Open goes on with the archive in cfg.Dir, or begins one with a copy of the
// store. The caller runs Run, then Close.
func Open(ctx context.Context, cfg Config) (*Archive, error) {
	if cfg.Every == 0 {
		cfg.Every = time.Second
	}
	if cfg.Segment == 0 {
		cfg.Segment = 64 << 20
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	a := &Archive{cfg: cfg}
	if err := cfg.Engine().Spaces().StartJournal(ctx); err != nil {
		return nil, err
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	epoch, _ := cfg.Engine().Spaces().Journal()
	a.w = writer{dir: cfg.Dir, epoch: epoch, max: cfg.Segment, enc: enc}
	found, err := a.resume()
	if err != nil {
		return nil, err
	}
	if !found {
		if _, err := a.Copy(ctx); err != nil {
			return nil, err
		}
		if found, err = a.resume(); err == nil && !found {
			err = errors.New("backup: the copy that was just made is not there")
		}
	}
	return a, err
}

// resume finds where the archive of this epoch stands.
func (a *Archive) resume() (found bool, err error) {
	all, err := bases(a.cfg.Dir)
	if err != nil {
		return false, err
	}
	for _, dir := range all {
		m, err := readManifest(dir)
		if err != nil {
			return false, err
		}
		if m.Epoch == a.w.epoch {
			found, a.t, a.seq = true, m.T, m.Seq // the oldest: segments begin there
			break
		}
	}
	if !found {
		return false, nil
	}
	files, err := segments(a.cfg.Dir, a.w.epoch)
	if err != nil {
		return false, err
	}
	for ; len(files) > 0; files = files[:len(files)-1] {
		empty, err := a.tail(files[len(files)-1])
		if !empty || err != nil {
			return true, err
		}
	}
	return true, nil
}

// tail takes the position from the newest segment, and cuts off what a crash
// left half written. empty says that it holds no batch, and is removed.
func (a *Archive) tail(name string) (empty bool, err error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return false, err
	}
	defer dec.Close()
	r := reader{files: []string{name}, dec: dec}
	end, empty := int64(0), true
	err = r.each(func(b *Batch, _ string, to int64) (bool, error) {
		a.t, a.seq, end, empty = b.T, b.Seq, to, false
		return true, nil
	})
	if err != nil {
		return false, err
	}
	if empty {
		return true, os.Remove(name)
	}
	if _, err := fmt.Sscanf(filepath.Base(name), a.w.epoch+"-%d.archive", &a.w.n); err != nil {
		return false, fmt.Errorf("backup: the name of segment %s: %w", name, err)
	}
	a.w.last = r.last
	if r.torn != nil {
		return false, os.Truncate(name, end)
	}
	return false, nil
}

// Run archives until ctx ends. What cannot be archived is tried again, and is
// kept in the store until then.
func (a *Archive) Run(ctx context.Context) {
	for ctx.Err() == nil {
		wait, cancel := context.WithTimeout(ctx, a.cfg.Every)
		<-wait.Done()
		cancel()
		if err := a.Step(ctx); err != nil && ctx.Err() == nil {
			a.cfg.Log.Error().Err(err).Msg("archive: what was committed could not be archived; it is tried again")
		}
	}
}

// Step archives everything that is committed now.
func (a *Archive) Step(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		more, err := a.batch(ctx)
		a.fail = err
		if !more || err != nil {
			return err
		}
	}
}

func (a *Archive) batch(ctx context.Context) (more bool, err error) {
	spaces := a.cfg.Engine().Spaces()
	b := Batch{T: a.t, Seq: a.seq}
	if b.Commits, err = commitsAfter(ctx, a.cfg.Store, a.t, perBatch); err != nil {
		return false, err
	}
	if b.Spaces, err = spaces.Entries(ctx, a.seq, maxBatch); err != nil {
		return false, err
	}
	if len(b.Commits) == 0 && len(b.Spaces) == 0 {
		return false, nil
	}
	if n := len(b.Commits); n > 0 {
		b.T = b.Commits[n-1].T
	}
	if n := len(b.Spaces); n > 0 {
		b.Seq = b.Spaces[n-1].Seq
	}
	if err := a.w.append(&b); err != nil {
		return false, err
	}
	a.t, a.seq = b.T, b.Seq
	return true, spaces.TrimJournal(ctx, a.seq)
}

// Copy makes a further copy of the running store: restoring then begins there.
func (a *Archive) Copy(ctx context.Context) (Manifest, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return Copy(ctx, a.cfg.Engine(), a.cfg.Staging, a.cfg.Dir, a.cfg.Now())
}

// Status tells how far the archive is.
func (a *Archive) Status() Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := Status{Epoch: a.w.epoch, T: a.t, Seq: a.seq}
	if a.fail != nil {
		s.Error = a.fail.Error()
	}
	return s
}

// Close archives what is left and closes the segment; Run has returned.
func (a *Archive) Close(ctx context.Context) error {
	err := a.Step(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	return errors.Join(err, a.w.close(), a.w.enc.Close())
}
