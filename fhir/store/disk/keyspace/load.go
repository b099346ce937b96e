package keyspace

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sync/errgroup"

	"hutong/fhir"
	"hutong/fhir/store"
)

// Tables is how a Set makes tables of its own beside the tree.
type Tables struct {
	FS      vfs.FS
	Dir     string // in the tree's own file system; it holds nothing else
	Options sstable.WriterOptions
}

// Clear removes what a load left that a crash ended.
func (t *Tables) Clear() error { return t.FS.RemoveAll(t.Dir) }

// tableBytes is about how large a table gets before the next one is begun.
const tableBytes = 64 << 20

// Load implements store.Loader: the pairs become tables, which join the tree in
// one step. An archive that follows the spaces' writes would not see them.
func (p *space) Load(ctx context.Context, parts []store.Part) error {
	leave, err := p.s.Enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	p.s.loading.Lock()
	defer p.s.loading.Unlock()
	t := &p.s.Tables
	if err := t.Clear(); err != nil {
		return fail(err)
	}
	if err := t.FS.MkdirAll(t.Dir, 0o755); err != nil {
		return fail(err)
	}
	l := &load{space: p, tables: t}
	g, working := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, part := range parts {
		g.Go(func() error { return l.part(working, part) })
	}
	err = g.Wait()
	if err == nil {
		err = p.s.join(ctx, l.names)
	}
	if cerr := t.Clear(); err == nil && cerr != nil {
		err = fail(cerr)
	}
	return err
}

// join puts tables into the tree, all or none, durably.
func (s *Set) join(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	if err := s.Health.Writable(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.journal.epoch != "" {
		return fhir.Errorf(fhir.Conflict, "an archive follows the store and would miss what is loaded at once: end it, load, and begin a new one")
	}
	if err := s.DB.Ingest(ctx, names); err != nil {
		return fail(err)
	}
	return nil
}

// load is the tables of one Load.
type load struct {
	space  *space
	tables *Tables
	mu     sync.Mutex
	names  []string // guarded by mu
}

// next begins a table.
func (l *load) next() (*sstable.Writer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := l.tables.FS.PathJoin(l.tables.Dir, fmt.Sprintf("%06d", len(l.names)))
	f, err := l.tables.FS.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	l.names = append(l.names, name)
	return sstable.NewWriter(objstorageprovider.NewFileWritable(f), l.tables.Options), nil
}

func (l *load) part(ctx context.Context, part store.Part) (err error) {
	var w *sstable.Writer
	defer func() {
		if w != nil {
			if cerr := w.Close(); err == nil && cerr != nil {
				err = fail(cerr)
			}
		}
	}()
	key := append([]byte(nil), l.space.prefix...)
	n := 0
	return part(func(k, v []byte) error {
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := checkWrites([]store.Write{{Key: k, Value: v}}); err != nil {
			return err
		}
		if w != nil && w.Raw().EstimatedSize() > tableBytes {
			err := w.Close()
			if w = nil; err != nil {
				return fail(err)
			}
		}
		if w == nil {
			if w, err = l.next(); err != nil {
				return fail(err)
			}
		}
		key = append(key[:len(l.space.prefix)], k...)
		if err := w.Set(key, v); err != nil {
			return fail(err)
		}
		return nil
	})
}

// TableOptions are those of the tables that a tree with options o holds at its
// last level.
func TableOptions(db *pebble.DB, o *pebble.Options) sstable.WriterOptions {
	o.EnsureDefaults()
	return o.MakeWriterOptions(len(o.Levels)-1, db.FormatMajorVersion().MaxTableFormat())
}
