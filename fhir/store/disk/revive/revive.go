// Package revive keeps the embedded engine going over disk errors without a
// restart of the process. A failed write of the log ends an engine: nobody
// knows what the disk holds but who reads it anew. So revive fences the failed
// engine off, waits until the disk takes writes, opens another engine on the
// directory, which replays the log, and goes on with that one. Until then
// writes are refused as Busy and reads are served by the failed engine.
package revive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/fhir/store/disk"
	"hutong/fhir/store/disk/pace"
)

// Store is the engine of a directory, whichever lives now. It implements
// store.Store.
type Store struct {
	dir   string
	opts  disk.Options
	fs    vfs.FS
	lock  io.Closer
	lives atomic.Pointer[life]
	count atomic.Uint64 // engines that failed and were replaced, or did not come up

	stop context.CancelFunc
	wg   sync.WaitGroup // the supervisor, and the closing of replaced engines
}

// life is one engine between its opening and its failure.
type life struct {
	*disk.Store
	fence *fence
	pace  *pace.FS
}

var _ store.Store = (*Store)(nil)

// MaxRecoveries bounds how often one process recovers: the memory of an engine
// that failed in the middle of a write cannot be taken back. After that many
// the store stays readable and asks for a restart.
const MaxRecoveries = 16

// Open opens or creates the store in dir, as disk.Open does. The caller closes
// it.
func Open(dir string, o disk.Options) (*Store, error) {
	s := &Store{dir: dir, opts: o, fs: o.VFS}
	if s.fs == nil {
		s.fs = vfs.Default
	}
	if o.Cache == nil {
		s.opts.Cache = pebble.NewCache(o.CacheSize()) // shared by the engines that follow each other
		defer s.opts.Cache.Unref()                    // each engine holds a reference of its own
	}
	if err := s.fs.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("revive: open %s: %w", dir, err)
	}
	lock, err := s.fs.Lock(s.fs.PathJoin(dir, "LOCK"))
	if err != nil {
		return nil, fmt.Errorf("revive: %s is in use: %w", dir, err)
	}
	s.lock = lock
	first, err := s.open()
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	s.lives.Store(first)
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.wg.Go(func() { s.supervise(ctx) })
	return s, nil
}

// open opens an engine behind a fence of its own. Pebble may wait for ever for
// a goroutine that a disk error ended, so the opening is given up a while after
// the disk has failed a write of it.
func (s *Store) open() (*life, error) {
	l := &life{fence: newFence(s.fs)}
	o := s.opts
	after := &gate{CompactionScheduler: pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()}
	l.pace = pace.New(l.fence, after.behind)
	o.VFS, o.Compactions = l.pace, after
	opened := make(chan error, 1)
	go func() {
		err := errStuck
		defer func() { opened <- err }() // Pebble may end this goroutine
		l.Store, err = disk.Open(s.dir, o)
	}()
	err := await(opened, l.fence.failed)
	if err != nil {
		l.fence.close()
		l.fence.release()
		return nil, err
	}
	after.open()
	return l, nil
}

func await(opened <-chan error, failed <-chan struct{}) error {
	select {
	case err := <-opened:
		return err
	case <-failed:
	}
	select {
	case err := <-opened:
		return err
	case <-time.After(openGrace):
		return errStuck
	}
}

// openGrace is how long an opening may take after a write of it has failed.
const openGrace = time.Second

// errStuck says that an opening will not end; its memory is lost.
var errStuck = errors.New("revive: the disk failed while the store was opened")

// Engine is the engine that lives now; it may be replaced at any time.
func (s *Store) Engine() *disk.Store { return s.lives.Load().Store }

// Forget is that of the engine.
func (s *Store) Forget() { s.Engine().Forget() }

// Recoveries counts the engines that failed and were replaced or did not come up.
func (s *Store) Recoveries() uint64 { return s.count.Load() }

// supervise replaces each engine that fails.
func (s *Store) supervise(ctx context.Context) {
	for {
		l := s.lives.Load()
		select {
		case <-ctx.Done():
			return
		case <-l.Failed():
		}
		if why := s.beyond(l); why != "" {
			s.opts.Log.Error().Msg("storage: " + why)
			return
		}
		l.fence.close()
		next := s.reopen(ctx)
		if next == nil {
			continue
		}
		s.lives.Store(next)
		s.count.Add(1)
		s.opts.Log.Warn().Uint64("recoveries", s.count.Load()).Msg("storage: recovered; writes resume")
		s.wg.Go(func() { retire(l) })
	}
}

// beyond tells why a failed engine is not replaced, "" if it is.
func (s *Store) beyond(l *life) string {
	switch {
	case l.Damaged():
		return "a file is damaged: writes are refused until the store is restored from a backup"
	case s.count.Load() >= MaxRecoveries:
		return "the disk failed too often: writes are refused until the process is restarted"
	}
	return ""
}

// retire waits for the calls that still read by a replaced engine, then
// releases its files.
func retire(l *life) {
	l.pace.Stop()
	_ = l.Close() // tells of the failure that everybody knows
	l.fence.release()
}

// Waits between attempts to recover.
const (
	firstWait = 50 * time.Millisecond
	lastWait  = 5 * time.Second
)

// reopen tries until the disk takes writes and the store opens; nil if ctx
// ended first.
func (s *Store) reopen(ctx context.Context) *life {
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		err := s.probe()
		if err == nil {
			var l *life
			if l, err = s.open(); err == nil {
				return l
			}
		}
		if errors.Is(err, errStuck) && s.count.Add(1) >= MaxRecoveries {
			return nil
		}
		s.opts.Log.Error().Err(err).Stringer("next", min(2*wait, lastWait)).Msg("storage: not yet recovered")
	}
}

// probe writes a file and syncs it, so that recovery is tried on a disk that
// works.
func (s *Store) probe() error {
	name := s.fs.PathJoin(s.dir, "probe.tmp")
	f, err := s.fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 4096))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), s.fs.Remove(name))
}

// Close ends recovery and closes the engine.
func (s *Store) Close() error {
	s.stop()
	s.lives.Load().pace.Stop()
	err := s.Engine().Close()
	s.wg.Wait()
	s.lives.Load().fence.close()
	s.lives.Load().fence.release()
	return errors.Join(err, s.lock.Close())
}

// read asks the engine that lives, and its successor if it was replaced
// meanwhile.
func (s *Store) read(ask func(*life) error) error {
	for {
		l := s.lives.Load()
		err := ask(l)
		if err == nil || s.lives.Load() == l {
			return err
		}
	}
}

// Commit implements store.Store. A commit that an engine takes to its end is
// Busy and may yet be found in the log: it is not tried again here.
func (s *Store) Commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	return s.Engine().Commit(ctx, tx)
}

// Changes implements store.Store.
func (s *Store) Changes(ctx context.Context, after fhir.T, limit int) (out []store.Change, err error) {
	err = s.read(func(l *life) error { out, err = l.Changes(ctx, after, limit); return err })
	return out, err
}

// WaitChange implements store.Store.
func (s *Store) WaitChange(ctx context.Context, after fhir.T) error {
	return s.read(func(l *life) error { return l.WaitChange(ctx, after) })
}

// Check proves the living engine: see disk.Store.Check.
func (s *Store) Check(ctx context.Context) error { return s.Engine().Check(ctx) }

// Metrics gives the living engine's metrics.
func (s *Store) Metrics() prometheus.Collector {
	return disk.Metrics(func() *disk.Store { return s.Engine() })
}

// Space implements store.Store.
func (s *Store) Space(name string) store.Space { return &space{s, name} }

// space is a name: each call goes to the engine that lives.
type space struct {
	s    *Store
	name string
}

func (p *space) Get(ctx context.Context, key []byte) (v []byte, err error) {
	err = p.s.read(func(l *life) error { v, err = l.Space(p.name).Get(ctx, key); return err })
	return v, err
}

func (p *space) Scan(ctx context.Context, from, to []byte, limit int) (out []store.KV, err error) {
	err = p.s.read(func(l *life) error { out, err = l.Space(p.name).Scan(ctx, from, to, limit); return err })
	return out, err
}

func (p *space) Apply(ctx context.Context, writes []store.Write) error {
	return p.s.Engine().Space(p.name).Apply(ctx, writes)
}

// Load implements store.Loader.
func (p *space) Load(ctx context.Context, parts []store.Part) error {
	return p.s.Engine().Space(p.name).(store.Loader).Load(ctx, parts)
}

// Walk implements store.Walker.
func (p *space) Walk(ctx context.Context, from, to []byte, do func(key, value []byte) error) error {
	return p.s.read(func(l *life) error { return l.Space(p.name).(store.Walker).Walk(ctx, from, to, do) })
}
