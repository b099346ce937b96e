// Package disk is the embedded storage engine: one directory, one process,
// durable before it answers. It keeps hutong/fhir/store's contract on the
// Pebble log-structured merge tree. See DESIGN.md for keys and reasons.
package disk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/fhir/store/disk/health"
	"hutong/fhir/store/disk/hot"
	"hutong/fhir/store/disk/intern"
	"hutong/fhir/store/disk/keyspace"
	"hutong/fhir/store/disk/layout"
	"hutong/fhir/store/disk/rebuild"
	"hutong/fhir/store/disk/recent"
	"hutong/fhir/store/disk/upgrade"
	"hutong/fhir/store/disk/warm"
)

// Format is the version of the key layout that this engine writes.
const Format = 2

// Options of Open. Extract is required by everything but Space; zero values of
// the others take the defaults given.
type Options struct {
	// Extract gives the index entries and facts of a stored body, as Op carried
	// them when it was written. Superseded postings are found with it.
	Extract func(fhir.Body, fhir.Key) ([]search.Entry, fhir.Facts, error)

	// Parameters are the fingerprints of what Extract extracts (see rebuild); of
	// those that changed since the store was indexed, the index is built anew
	// in the background. nil: nothing is compared.
	Parameters map[string]string

	Defs *definition.Set // says whose values stand in the postings of others (Source); nil is R4

	CacheBytes    int64            // block cache and posting lists, filled as they are used; 128 MiB
	HotBytes      int64            // of CacheBytes, for posting lists that are read often (see hot); a quarter. Negative: none
	WarmBytes     int64            // of CacheBytes, for rows and bodies that are read often (see warm); an eighth. Negative: none
	HotAfter      int64            // postings read from a list before it is kept; 4096
	Cache         *pebble.Cache    // shared block cache instead of one of CacheBytes
	MemTableBytes uint64           // one memtable; 32 MiB. Two of them stand beside the block cache under load
	MaxOpenFiles  int              // 1000
	Queue         int              // transactions waiting to commit before Busy; 256
	Searches      int              // searches that run at once, the rest wait; GOMAXPROCS
	MaxExamined   int64            // cost one search may run up (1 a posting, 4 a facts row, 50 a body) before TooCostly; 10 million
	MaxJoin       int              // matches of a chain or _has that are listed; of more, each candidate is asked; 2000
	MaxLists      int              // posting lists of one predicate that are merged as they are read; more are read into memory; 48
	MaxSort       int              // matches that are sorted by values from their bodies; of more, the posting lists are read; 200
	Now           func() time.Time // time.Now
	// Compactions says when tables are merged; nil is Pebble's own way.
	Compactions pebble.CompactionScheduler
	VFS         vfs.FS // the operating system's
	Log         zerolog.Logger
}

var r4 = sync.OnceValue(definition.R4)

func (o *Options) fill() {
	def(&o.CacheBytes, 128<<20)
	def(&o.HotBytes, o.CacheBytes/4)
	def(&o.WarmBytes, o.CacheBytes/8)
	o.HotBytes, o.WarmBytes = max(o.HotBytes, 0), max(o.WarmBytes, 0)
	def(&o.MemTableBytes, 32<<20)
	def(&o.MaxOpenFiles, 1000)
	def(&o.Queue, 256)
	def(&o.Searches, runtime.GOMAXPROCS(0))
	def(&o.MaxExamined, 10_000_000)
	def(&o.MaxJoin, 2000)
	def(&o.MaxLists, 48)
	def(&o.MaxSort, 200)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Defs == nil {
		o.Defs = r4()
	}
	if o.VFS == nil {
		o.VFS = vfs.Default
	}
	if o.Extract == nil {
		o.Extract = func(fhir.Body, fhir.Key) ([]search.Entry, fhir.Facts, error) {
			return nil, fhir.Facts{}, errors.New("disk: opened without an extractor")
		}
	}
}

// CacheSize is the block cache that Pebble is to have: it takes memtables out of
// it, and without room for them reads every block again while it is written to.
func (o Options) CacheSize() int64 {
	o.fill()
	return o.CacheBytes - o.HotBytes - o.WarmBytes + 2*int64(o.MemTableBytes)
}

func def[N int | int64 | uint64](p *N, v N) {
	if *p == 0 {
		*p = v
	}
}

// Store is an open engine. It implements store.Store.
type Store struct {
	opts   Options
	dir    string
	db     *pebble.DB
	names  *intern.Table
	health health.Monitor

	open    sync.RWMutex // held for reading by every call; by Close for writing
	closed  bool
	closing chan struct{}
	spaces  keyspace.Set
	index   *rebuild.Build
	stop    context.CancelFunc // of the building of the index

	queue   chan *pending  // to the committer
	syncing chan *pending  // from the committer to the syncer, in order of T
	wg      sync.WaitGroup // committer and syncer

	head     head          // what the committer has applied; its own
	visible  atomic.Uint64 // T of the newest durable commit: what Snapshot(0) reads
	lastUndo atomic.Uint64 // T of the newest commit that may have written undo rows
	horizon  atomic.Uint64 // the oldest T that can be read: what was superseded before is gone
	watch    watch
	recent   recent.Log
	hot      *hot.Cache
	warm     *warm.Cache
	pairs    *warm.Pairs
	ids      *warm.IDs
	long     *warm.Long
	slots    chan struct{} // search slots
}

var _ store.Store = (*Store)(nil)

// Exists reports whether dir holds a store, without making one as Open does.
func Exists(dir string) (bool, error) {
	d, err := pebble.Peek(dir, vfs.Default)
	if err != nil {
		return false, fmt.Errorf("disk: look into %s: %w", dir, err)
	}
	return d.Exists, nil
}

// Open opens or creates the store in dir, which belongs to this process alone.
// The caller closes it. A directory that a newer engine wrote is refused with
// a clear error.
func Open(dir string, o Options) (*Store, error) {
	o.fill()
	s := &Store{opts: o, dir: dir, closing: make(chan struct{})}
	s.health.Log = o.Log
	po := s.pebbleOptions()
	db, err := pebble.Open(dir, po)
	if errors.Is(err, syscall.EAGAIN) {
		return nil, fmt.Errorf("disk: open %s: another process, such as a running exchange, has it open: %w", dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("disk: open %s: %w", dir, err)
	}
	s.db = db
	s.spaces.Tables = keyspace.Tables{FS: po.FS, Dir: po.FS.PathJoin(dir, "loading"), Options: keyspace.TableOptions(db, s.pebbleOptions())}
	if err := s.begin(); err != nil {
		return nil, errors.Join(fmt.Errorf("disk: open %s: %w", dir, err), db.Close())
	}
	return s, nil
}

// begin checks the format, recovers the counters and starts the goroutines.
func (s *Store) begin() error {
	format, err := s.checkFormat()
	if err != nil {
		return err
	}
	if s.names, err = intern.Load(s.db); err != nil {
		return err
	}
	visible := func() fhir.T { return fhir.T(s.visible.Load()) }
	s.spaces.DB, s.spaces.Health, s.spaces.Enter, s.spaces.Visible, s.spaces.Now = s.db, &s.health, s.enter, visible, s.opts.Now
	if err := errors.Join(s.spaces.LoadJournal(), s.spaces.Tables.Clear()); err != nil {
		return err
	}
	if err := s.recover(); err != nil {
		return err
	}
	if format < Format {
		if err := upgrade.Run(s.db, s.names, format, s.head.t); err != nil {
			return err
		}
	}
	v, err := s.get(layout.HorizonKey())
	if err != nil {
		return err
	}
	horizon, _ := binary.Uvarint(v)
	s.horizon.Store(horizon)
	s.watch.init()
	if s.opts.HotBytes > 0 {
		s.hot = hot.New(s.opts.HotBytes, s.opts.HotAfter, s.head.t)
	}
	if s.opts.WarmBytes > 0 {
		s.warm, s.pairs, s.ids, s.long = warm.New(s.opts.WarmBytes), warm.NewPairs(s.head.t), &warm.IDs{}, &warm.Long{}
	}
	s.slots = make(chan struct{}, s.opts.Searches)
	s.queue = make(chan *pending, s.opts.Queue)
	s.syncing = make(chan *pending, s.opts.Queue)
	if err := s.openIndex(); err != nil {
		return err
	}
	s.wg.Add(2)
	go s.commitLoop()
	go s.syncLoop()
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.wg.Go(func() { s.index.Run(ctx) })
	return nil
}

func (s *Store) pebbleOptions() *pebble.Options {
	o := &pebble.Options{
		FS:                          s.health.Guard(s.opts.VFS, s.closing),
		CacheSize:                   s.opts.CacheSize(),
		Cache:                       s.opts.Cache,
		MemTableSize:                s.opts.MemTableBytes,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       8,
		L0StopWritesThreshold:       32,
		LBaseMaxBytes:               64 << 20,
		MaxOpenFiles:                s.opts.MaxOpenFiles,
		BytesPerSync:                1 << 20,
		FormatMajorVersion:          pebble.FormatNewest,
		Logger:                      &s.health,
		EventListener:               &pebble.EventListener{DataCorruption: s.health.Corrupt},
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
	}
	o.Experimental.CompactionScheduler = s.opts.Compactions
	o.Experimental.ReadSamplingMultiplier = -1 // no compactions because of reads: DESIGN.md
	// Bodies are written once, beside the tree: compactions move only what sorts.
	o.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
		return pebble.ValueSeparationPolicy{
			Enabled: true, MinimumSize: 400, MaxBlobReferenceDepth: 10, RewriteMinimumAge: 15 * time.Minute, TargetGarbageRatio: 0.3,
		}
	}
	// A read of what is not cached costs the decompression of whole blocks: small ones, in the fastest form.
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest })
	for i := range o.Levels {
		o.Levels[i].BlockSize, o.Levels[i].IndexBlockSize = 8<<10, 128<<10
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	o.Levels[len(o.Levels)-1].FilterPolicy = pebble.NoFilterPolicy // nothing lies below: a filter spares no read
	return o
}

// checkFormat writes the format into a new store and refuses a newer one.
func (s *Store) checkFormat() (format uint64, err error) {
	v, err := s.get(layout.FormatKey())
	if err != nil {
		return 0, err
	}
	if v == nil {
		return Format, s.db.Set(layout.FormatKey(), binary.AppendUvarint(nil, Format), pebble.Sync)
	}
	got, n := binary.Uvarint(v)
	if n <= 0 || got == 0 || got > Format {
		return 0, fmt.Errorf("format %d; this engine reads format %d and earlier: use the release that wrote it", got, Format)
	}
	return got, nil
}

// get reads one row into memory of its own; nil if there is none.
func (s *Store) get(key []byte) ([]byte, error) {
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, ioError(err)
	}
	out := append(make([]byte, 0, len(v)), v...)
	return out, closer.Close()
}

// enter keeps the store open until the returned function is called.
func (s *Store) enter(ctx context.Context) (func(), error) {
	if err := ctxError(ctx); err != nil {
		return nil, err
	}
	s.open.RLock()
	if s.closed {
		s.open.RUnlock()
		return nil, fhir.Errorf(fhir.Busy, "the store is closed")
	}
	return s.open.RUnlock, nil
}

// keptLogs are the bytes of logs that a closed store may keep.
const keptLogs = 1 << 20

// Close waits for running calls, commits what is queued, and closes the files.
func (s *Store) Close() error {
	s.open.Lock()
	if s.closed {
		s.open.Unlock()
		return nil
	}
	s.closed = true
	s.open.Unlock()
	s.stop()
	close(s.closing)
	close(s.queue)
	s.wg.Wait()
	s.spaces.Wait()
	if err := s.health.Fatal(); err != nil {
		// Pebble may wait for ever for a goroutine that its own failure ended;
		// what was acknowledged is in the log, which the next Open replays.
		return fmt.Errorf("disk: closed after a fatal error: %w", err)
	}
	logs := s.db.Metrics().WAL
	if err := s.db.Close(); err != nil || logs.Size+logs.PhysicalSize+logs.ObsoletePhysicalSize < keptLogs {
		return err
	}
	s.health.Tidy(s.dir, s.pebbleOptions())
	return nil
}

// Space opens a named key-value space.
func (s *Store) Space(name string) store.Space { return s.spaces.Space(name) }

// Metrics gives the engine's metrics for registration with Prometheus.
func (s *Store) Metrics() prometheus.Collector { return Metrics(func() *Store { return s }) }

// Metrics gives the metrics of whichever engine of a directory lives.
func Metrics(living func() *Store) prometheus.Collector {
	return health.Collector(func() (health.Reading, bool) {
		s := living()
		leave, err := s.enter(context.Background())
		if err != nil {
			return health.Reading{}, false
		}
		defer leave()
		return health.Reading{
			Tree: s.db.Metrics(), Commits: s.visible.Load(), Waiting: len(s.queue), Unsynced: len(s.syncing),
			Searches: len(s.slots), Writable: s.health.Writable() == nil,
		}, true
	})
}

// Extract gives the index values and facts of a body, as the engine indexes it.
func (s *Store) Extract(b fhir.Body, k fhir.Key) ([]search.Entry, fhir.Facts, error) {
	return s.opts.Extract(b, k)
}

// Spaces gives all spaces together, with their journal: for backups.
func (s *Store) Spaces() *keyspace.Set { return &s.spaces }

// Checkpoint writes a copy of the store as of one moment into dir, which must
// not exist; files are linked, not copied, where dir lies on the same disk.
func (s *Store) Checkpoint(ctx context.Context, dir string) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return health.Do(func() error { return s.db.Checkpoint(dir, pebble.WithFlushedWAL()) })
}

// Failed is closed once a disk error has ended writing; reads may go on.
func (s *Store) Failed() <-chan struct{} { return s.health.Failed() }

// Damaged reports whether a file was found damaged: the store then wants its
// backup, and opening it again mends nothing.
func (s *Store) Damaged() bool { return s.health.Damaged() }

// ioError wraps a failure of the files below.
func ioError(err error) error { return fhir.Errorf(fhir.Internal, "storage: %w", err) }

// ctxError tells why ctx ended, if it did.
func ctxError(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return fhir.Errorf(fhir.Timeout, "the request's time ended: %w", context.Cause(ctx))
}
