// Package health stands between Pebble and the disk: it waits where the disk is
// full, remembers what the disk did not survive, and keeps Pebble from ending
// the process.
package health

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"hutong/fhir"
)

// Monitor is what the engine knows of the health of its disk. It is also
// Pebble's logger, because Pebble reports what it cannot survive by Fatalf.
type Monitor struct {
	Log     zerolog.Logger
	full    atomic.Int32 // operations that wait for space on the disk
	failure atomic.Pointer[error]
	damaged atomic.Bool // the failure is a damaged file: reopening does not help

	mu     sync.Mutex
	failed chan struct{} // made when it is first asked for; closed by the failure
}

// Failed is closed once writing has failed for the rest of this engine's life.
func (m *Monitor) Failed() <-chan struct{} { return m.signal() }

func (m *Monitor) signal() chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failed == nil {
		m.failed = make(chan struct{})
	}
	return m.failed
}

// Damaged reports whether a file was found damaged: no reopening mends that.
func (m *Monitor) Damaged() bool { return m.damaged.Load() }

// Writable tells why the store takes no writes now, nil if it does.
func (m *Monitor) Writable() error {
	if err := m.Fatal(); err != nil {
		return fhir.Errorf(fhir.Busy, "the store refuses writes after a disk error until it is reopened: %w", err)
	}
	if m.full.Load() > 0 {
		return fhir.Errorf(fhir.Busy, "the disk is full; writes resume when there is space")
	}
	return nil
}

// Fatal is the error that ended writing, nil if none did.
func (m *Monitor) Fatal() error {
	if p := m.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// Fail makes the engine refuse writes for the rest of its life: after a failed
// fsync nobody knows what the disk holds (LWN 752063), so only a replay of the
// log tells, which store/disk/revive does.
func (m *Monitor) Fail(err error) {
	if m.failure.CompareAndSwap(nil, &err) {
		m.Log.Error().Err(err).Msg("storage failed: writes are refused until the store is reopened")
		close(m.signal())
	}
}

// Infof drops Pebble's chatter.
func (m *Monitor) Infof(string, ...any) {}

// Errorf passes Pebble's complaints on; they name files, never data.
func (m *Monitor) Errorf(format string, args ...any) {
	m.Log.Warn().Msg("pebble: " + fmt.Sprintf(format, args...))
}

// Fatalf must not return, and must not end the process: it ends the calling
// goroutine, which is one of Pebble's own or the committer.
func (m *Monitor) Fatalf(format string, args ...any) {
	m.Fail(fmt.Errorf("pebble: "+format, args...))
	runtime.Goexit()
}

// Corrupt takes note of a damaged file and returns, so that the read that met
// it fails by its own error. The bounds that Pebble tells of are index values:
// they stay out of the log.
func (m *Monitor) Corrupt(info pebble.DataCorruptionInfo) {
	m.damaged.Store(true)
	m.Fail(fmt.Errorf("%s is damaged: restore it from a backup", filepath.Base(info.Path)))
}

// FS waits where the disk is full instead of failing, since Pebble
// takes a failed write of its log or manifest for its end. Waiting is safe for
// ENOSPC, whose write was refused whole or in part and can be repeated; any
// other error is passed on. Close ends the waiting.
type FS struct {
	vfs.FS
	monitor *Monitor
	closing <-chan struct{}
}

// Guard wraps fs; waits end when closing is closed.
func (m *Monitor) Guard(fs vfs.FS, closing <-chan struct{}) *FS {
	return &FS{FS: fs, monitor: m, closing: closing}
}

const fullRetry = 50 * time.Millisecond

// insist repeats op until it meets no full disk.
func (p *FS) insist(op func() error) error {
	err := op()
	if !Full(err) {
		return err
	}
	p.monitor.full.Add(1)
	defer p.monitor.full.Add(-1)
	p.monitor.Log.Error().Err(err).Msg("disk full: writes wait")
	for Full(err) {
		select {
		case <-p.closing:
			return err
		case <-time.After(fullRetry):
		}
		err = op()
	}
	return err
}

// Full reports whether err says that the disk is full.
func Full(err error) bool {
	return err != nil && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT))
}

// file wraps what an opening call of the file system made.
func (p *FS) file(open func() (vfs.File, error)) (vfs.File, error) {
	var f vfs.File
	err := p.insist(func() (err error) { f, err = open(); return err })
	if err != nil {
		return nil, err
	}
	return &patientFile{File: f, fs: p}, nil
}

func (p *FS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return p.file(func() (vfs.File, error) { return p.FS.Create(name, c) })
}

func (p *FS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return p.file(func() (vfs.File, error) { return p.FS.OpenReadWrite(name, c, o...) })
}

func (p *FS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return p.file(func() (vfs.File, error) { return p.FS.ReuseForWrite(from, to, c) })
}

func (p *FS) Link(from, to string) error {
	return p.insist(func() error { return p.FS.Link(from, to) })
}

func (p *FS) Rename(from, to string) error {
	return p.insist(func() error { return p.FS.Rename(from, to) })
}

func (p *FS) MkdirAll(dir string, perm os.FileMode) error {
	return p.insist(func() error { return p.FS.MkdirAll(dir, perm) })
}

// Unwrap gives the wrapped file system, as vfs asks.
func (p *FS) Unwrap() vfs.FS { return p.FS }

// Do runs f on a goroutine of its own and waits for it, since Pebble may end
// the goroutine that writes.
func Do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		var err error = fhir.Errorf(fhir.Busy, "the store could not write")
		defer func() { done <- err }()
		err = f()
	}()
	return <-done
}

// Tidy lets Pebble open the tree in dir, which was closed well, once more: that
// writes what is in the logs into tables, and deletes logs that were kept for
// reuse. Whether it succeeds or not, the store is whole: the next opening does
// the same.
func (m *Monitor) Tidy(dir string, o *pebble.Options) {
	o.Cache, o.CacheSize = nil, 2*int64(o.MemTableSize)
	o.DisableAutomaticCompactions = true
	o.Experimental.CompactionScheduler = nil // the caller's served the tree that was closed
	done := make(chan error, 1)
	go func() {
		err := errors.New("the disk failed")
		defer func() { done <- err }() // Pebble may end this goroutine
		var db *pebble.DB
		if db, err = pebble.Open(dir, o); err == nil {
			err = db.Close()
		}
	}()
	var err error
	select {
	case err = <-done:
	case <-m.Failed(): // Pebble may wait for ever for a goroutine that its own failure ended
		err = m.Fatal()
	}
	if err != nil {
		m.Log.Warn().Err(err).Msg("storage: closed; its logs stay until the next start")
	}
}

type patientFile struct {
	vfs.File
	fs *FS
}

// Write carries on behind what was written before the disk was full.
func (f *patientFile) Write(b []byte) (int, error) {
	done := 0
	err := f.fs.insist(func() error {
		n, err := f.File.Write(b[done:])
		done += n
		if err == nil && done < len(b) {
			return io.ErrShortWrite
		}
		return err
	})
	return done, err
}

func (f *patientFile) WriteAt(b []byte, off int64) (n int, err error) {
	err = f.fs.insist(func() error { n, err = f.File.WriteAt(b, off); return err })
	return n, err
}

// Preallocate only helps; a full disk shows itself at the write.
func (f *patientFile) Preallocate(off, n int64) error {
	if err := f.File.Preallocate(off, n); !Full(err) {
		return err
	}
	return nil
}
