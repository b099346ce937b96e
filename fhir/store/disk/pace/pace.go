// Package pace has the storage engine's flushes and compactions leave processor
// time to requests. Each takes a core while it lasts, a quarter of a second for a
// memtable and more than one for a compaction; where there are two cores, requests
// that came at a rate which the rest of them does not take queue up meanwhile.
// So they rest as long as they work, unless that would hold up those who write.
package pace

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// slice is how long a job works at a stretch.
	slice = 2 * time.Millisecond

	// soon is how fast memtables fill, two of them at most, when much is written, as by
	// an import: flushes are to keep up then, and there is no core to spare anyway.
	soon = 1200 * time.Millisecond
)

// FS slows what flushes and compactions write.
type FS struct {
	vfs.FS
	behind  func() bool // compactions have a backlog
	stopped atomic.Bool
	jobs    map[vfs.DiskWriteCategory]*job
	sleep   func(time.Duration)

	mu   sync.Mutex
	logs [2]time.Time // when the last memtables were begun, and logs with them: the newest first
}

// New wraps fs. behind tells whether compactions have a backlog; it may be called
// by many at once.
func New(fs vfs.FS, behind func() bool) *FS {
	return &FS{FS: fs, behind: behind, sleep: time.Sleep, jobs: map[vfs.DiskWriteCategory]*job{
		"pebble-memtable-flush": {}, "pebble-compaction": {}, "pebble-blob-file-rewrite": {},
	}}
}

// Stop ends all rest: the engine is to be closed.
func (f *FS) Stop() { f.stopped.Store(true) }

// Create implements vfs.FS.
func (f *FS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	return f.paced(file, c, err)
}

// ReuseForWrite implements vfs.FS.
func (f *FS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(from, to, c)
	return f.paced(file, c, err)
}

// Unwrap gives the wrapped file system, as vfs asks.
func (f *FS) Unwrap() vfs.FS { return f.FS }

func (f *FS) paced(file vfs.File, c vfs.DiskWriteCategory, err error) (vfs.File, error) {
	if c == "pebble-wal" {
		f.mu.Lock()
		f.logs = [2]time.Time{time.Now(), f.logs[0]}
		f.mu.Unlock()
	}
	if j := f.jobs[c]; j != nil && err == nil {
		return &pacedFile{file, f, j}, nil
	}
	return file, err
}

// hurry tells whether jobs are not to rest.
func (f *FS) hurry(now time.Time) bool {
	f.mu.Lock()
	last := f.logs[1]
	f.mu.Unlock()
	return f.stopped.Load() || now.Sub(last) < soon || f.behind()
}

type pacedFile struct {
	vfs.File
	fs  *FS
	job *job
}

func (p *pacedFile) Write(b []byte) (int, error) {
	n, err := p.File.Write(b)
	now := time.Now()
	if d := p.job.due(now); d > 0 && !p.fs.hurry(now) {
		p.fs.sleep(d)
		p.job.resume(time.Now())
	}
	return n, err
}

// job is the work of a kind: one flush goes on at a time, and one compaction while
// there is no backlog, whatever the files that it writes.
type job struct {
	mu     sync.Mutex
	since  time.Time // the last write or rest
	worked time.Duration
}

// due says how long to rest after a write: for most writes, not at all.
func (j *job) due(now time.Time) (rest time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.worked += min(now.Sub(j.since), slice) // blocks are written far more often: it had not begun
	j.since = now
	if j.worked < slice {
		return 0
	}
	rest, j.worked = j.worked, 0
	return rest
}

func (j *job) resume(now time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.since = now
}
