package revive

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"hutong/fhir/store/disk/health"
)

// gate lets no compaction begin while an engine is opened: Pebble does not wait
// for those under way when an opening fails. Who was refused waits to be called,
// as he does not ask again: neither then, nor when a growing backlog raises the
// number of compactions that may run at once while one of them takes long.
type gate struct {
	pebble.CompactionScheduler
	opened atomic.Bool
	tree   atomic.Pointer[pebble.DBForCompaction]
	stop   context.CancelFunc
	calls  sync.WaitGroup
}

// callEvery is how often those who wait are looked after.
const callEvery = 100 * time.Millisecond

// open lets compactions begin, those that wait first, until Unregister.
func (g *gate) open() {
	g.opened.Store(true)
	ctx, stop := context.WithCancel(context.Background())
	g.stop = stop
	g.calls.Go(func() {
		for ctx.Err() == nil {
			if ok, grant := g.CompactionScheduler.TrySchedule(); ok {
				grant.Done() // whoever gives a grant back has it passed on
			}
			select {
			case <-ctx.Done():
			case <-time.After(callEvery):
			}
		}
	})
}

// Unregister implements pebble.CompactionScheduler.
func (g *gate) Unregister() {
	if g.stop != nil {
		g.stop()
	}
	g.CompactionScheduler.Unregister()
	g.calls.Wait()
}

// Register implements pebble.CompactionScheduler.
func (g *gate) Register(goroutines int, tree pebble.DBForCompaction) {
	g.tree.Store(&tree)
	g.CompactionScheduler.Register(goroutines, tree)
}

// behind tells whether there is a backlog, for which more than one compaction may
// run at once.
func (g *gate) behind() bool {
	tree := g.tree.Load()
	return tree == nil || (*tree).GetAllowedWithoutPermission() > 1
}

// TrySchedule implements pebble.CompactionScheduler.
func (g *gate) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	if !g.opened.Load() {
		return false, nil
	}
	return g.CompactionScheduler.TrySchedule()
}

// UpdateGetAllowedWithoutPermission implements pebble.CompactionScheduler.
func (g *gate) UpdateGetAllowedWithoutPermission() {
	if g.opened.Load() {
		g.CompactionScheduler.UpdateGetAllowedWithoutPermission()
	}
}

// errFenced is what the writes of an engine fail by that another has replaced.
var errFenced = errors.New("revive: this engine has been replaced")

// fence is the file system of one engine. Once closed, no write of that engine
// reaches the disk, so that its successor is alone in the directory; reads go
// on until the files are released.
type fence struct {
	vfs.FS
	down atomic.Bool
	gate sync.RWMutex // held for reading by each write under way

	once   sync.Once
	failed chan struct{} // closed by the first write that the disk did not take

	mu    sync.Mutex
	files map[*fencedFile]struct{}
}

func newFence(fs vfs.FS) *fence {
	return &fence{FS: fs, failed: make(chan struct{}), files: map[*fencedFile]struct{}{}}
}

// close lets no further write through and waits for those under way.
func (f *fence) close() {
	f.down.Store(true)
	f.gate.Lock()
	defer f.gate.Unlock()
}

// release closes the files that the engine has left open.
func (f *fence) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for file := range f.files {
		_ = file.File.Close() // what was to be durable is in the successor's files
	}
	clear(f.files)
}

// through runs a write unless the fence is closed.
func (f *fence) through(write func() error) error {
	f.gate.RLock()
	defer f.gate.RUnlock()
	if f.down.Load() {
		return errFenced
	}
	err := write()
	if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrExist) && !health.Full(err) {
		f.once.Do(func() { close(f.failed) })
	}
	return err
}

func (f *fence) open(write bool, open func() (vfs.File, error)) (file vfs.File, err error) {
	if write {
		err = f.through(func() (err error) { file, err = open(); return err })
	} else {
		file, err = open()
	}
	if err != nil {
		return nil, err
	}
	wrapped := &fencedFile{File: file, fence: f}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.files[wrapped] = struct{}{}
	return wrapped, nil
}

// Lock gives a lock that does nothing: revive holds the directory's for all
// engines that follow each other in it.
func (f *fence) Lock(string) (io.Closer, error) { return noLock{}, nil }

type noLock struct{}

func (noLock) Close() error { return nil }

func (f *fence) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.open(true, func() (vfs.File, error) { return f.FS.Create(name, c) })
}

func (f *fence) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return f.open(true, func() (vfs.File, error) { return f.FS.OpenReadWrite(name, c, o...) })
}

func (f *fence) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.open(true, func() (vfs.File, error) { return f.FS.ReuseForWrite(from, to, c) })
}

func (f *fence) Open(name string, o ...vfs.OpenOption) (vfs.File, error) {
	return f.open(false, func() (vfs.File, error) { return f.FS.Open(name, o...) })
}

func (f *fence) OpenDir(name string) (vfs.File, error) {
	return f.open(false, func() (vfs.File, error) { return f.FS.OpenDir(name) })
}

func (f *fence) Link(from, to string) error {
	return f.through(func() error { return f.FS.Link(from, to) })
}

func (f *fence) Rename(from, to string) error {
	return f.through(func() error { return f.FS.Rename(from, to) })
}

func (f *fence) Remove(name string) error {
	return f.through(func() error { return f.FS.Remove(name) })
}

func (f *fence) RemoveAll(name string) error {
	return f.through(func() error { return f.FS.RemoveAll(name) })
}

func (f *fence) MkdirAll(dir string, perm os.FileMode) error {
	return f.through(func() error { return f.FS.MkdirAll(dir, perm) })
}

// Unwrap gives the wrapped file system, as vfs asks.
func (f *fence) Unwrap() vfs.FS { return f.FS }

type fencedFile struct {
	vfs.File
	fence *fence
}

func (f *fencedFile) Write(b []byte) (n int, err error) {
	err = f.fence.through(func() error { n, err = f.File.Write(b); return err })
	return n, err
}

func (f *fencedFile) WriteAt(b []byte, at int64) (n int, err error) {
	err = f.fence.through(func() error { n, err = f.File.WriteAt(b, at); return err })
	return n, err
}

func (f *fencedFile) Preallocate(at, n int64) error {
	return f.fence.through(func() error { return f.File.Preallocate(at, n) })
}

func (f *fencedFile) Sync() error { return f.fence.through(f.File.Sync) }

func (f *fencedFile) SyncData() error { return f.fence.through(f.File.SyncData) }

func (f *fencedFile) SyncTo(n int64) (full bool, err error) {
	err = f.fence.through(func() error { full, err = f.File.SyncTo(n); return err })
	return full, err
}

// Close forgets the file; release may have closed it already.
func (f *fencedFile) Close() error {
	f.fence.mu.Lock()
	_, open := f.fence.files[f]
	delete(f.fence.files, f)
	f.fence.mu.Unlock()
	if !open {
		return nil
	}
	return f.File.Close()
}
