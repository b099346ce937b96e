package mpi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/mpi/bulk"
	"hutong/mpi/shelf"
)

// LoadOptions are how a first load is done.
type LoadOptions struct {
	// Dir is where a scratch folder is made, about 2 KiB a record; it is deleted.
	Dir string
	// Progress hears how many records, or parts, of a stage are done; total is 0
	// where it is not known. It may be called by several goroutines. nil: nobody.
	Progress func(stage string, done, total int)
}

// Loaded is what a first load made.
type Loaded struct {
	Records int `json:"records"`
	Persons int `json:"persons"`
	Tasks   int `json:"tasks"`
	Refused int `json:"refused"` // Patients that cannot be read as such; the log names them
}

// errLoading is what feeds and decisions hear during a first load.
var errLoading = fhir.Errorf(fhir.Busy, "the index is taking in a whole region")

// Load takes in all Patients of a region at once: what feeding them one by one
// would come to, for a fraction of the work. patients yields their keys, each
// once. All of it is there when Load returns nil; after an error or a crash,
// nothing. Feeds and decisions are refused as Busy meanwhile, and Warm is to be
// called afterwards. Conflict if the index knows any record already.
func (x *Index) Load(ctx context.Context, o LoadOptions, patients func(yield func(fhir.Key) error) error) (*Loaded, error) {
	space, ok := x.space.(store.Loader)
	if !ok || !x.alone {
		return nil, fhir.Errorf(fhir.NotSupported, "an index that other processes share is fed, not loaded")
	}
	if err := x.claim(ctx); err != nil {
		return nil, err
	}
	defer x.loading.Store(false)
	dir, err := os.MkdirTemp(o.Dir, "hutong-load-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	l := &loader{x: x, o: o, dir: dir, lists: shelf.New(), postings: bulk.NewPostings(dir), base: x.now().UnixMicro()}
	if l.records, err = bulk.NewRecords(dir); err != nil {
		return nil, err
	}
	defer l.records.Close()
	l.out = bulk.NewKinds(dir, "du/", edgePrefix, journalPrefix, journalOfPrefix, outboxPrefix, personPrefix, taskPrefix, taskOfPrefix, taskStatusPrefix, domainPrefix)
	for _, stage := range []func(context.Context) error{
		func(ctx context.Context) error { return l.observe(ctx, patients) },
		l.compare, l.unite, l.divide, l.ask,
		func(ctx context.Context) error { return space.Load(ctx, l.parts()) },
	} {
		if err := stage(ctx); err != nil {
			return nil, err
		}
	}
	x.clock.last.Store(max(x.clock.last.Load(), l.base+2*int64(l.records.Len())))
	return &Loaded{Records: l.records.Len(), Persons: int(l.persons.Load()), Tasks: int(l.tasks.Load()), Refused: int(l.refused.Load())}, nil
}

// loader is a first load under way. Records go by number; what is written goes
// through sorters, by kind.
type loader struct {
	x        *Index
	o        LoadOptions
	dir      string
	base     int64 // microseconds: ids count from here
	lists    *shelf.Shelf
	records  *bulk.Records // rows without persons
	postings *bulk.Postings
	verdicts *bulk.Spool // as compare finds them, then links by component
	reviews  *bulk.Spool // by subject
	reasons  bulk.Reasons
	out      bulk.Kinds
	said     map[string]map[string][]byte // human decisions

	mu     sync.Mutex
	quiet  []bool // by number: inactive or deleted; guarded by mu while observing
	union  bulk.Union
	place  []uint32 // by number: where it stands in order
	order  []uint32 // numbers, component by component
	homes  []uint32 // by number: its person's id, from base; 0: none
	parted sync.Map // ids of the tasks of refused links

	persons, tasks, refused, done atomic.Int64
}

// loadChunk is how many records are handed to a processor at a time.
const loadChunk = 512

// each has all processors work on n parts.
func (l *loader) each(ctx context.Context, n int, do func(ctx context.Context, next func() (int, bool)) error) error {
	var at atomic.Int64
	g, working := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			return do(working, func() (int, bool) {
				i := int(at.Add(1)) - 1
				return i, i < n && working.Err() == nil
			})
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// observe reads all Patients into comparison form and puts them under their keys.
func (l *loader) observe(ctx context.Context, patients func(yield func(fhir.Key) error) error) error {
	g, ctx := errgroup.WithContext(ctx)
	chunks := make(chan []fhir.Key, runtime.GOMAXPROCS(0))
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			w := l.out.Writer()
			for chunk := range chunks {
				if err := l.look(ctx, w, chunk); err != nil {
					return err
				}
			}
			return w.Flush()
		})
	}
	g.Go(func() error {
		defer close(chunks)
		var chunk []fhir.Key
		give := func() error {
			select {
			case chunks <- chunk:
				chunk = make([]fhir.Key, 0, loadChunk)
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		err := patients(func(k fhir.Key) error {
			if chunk = append(chunk, k); len(chunk) == loadChunk {
				return give()
			}
			return nil
		})
		if err != nil {
			return err
		}
		return give()
	})
	err := g.Wait()
	l.lists.Loaded()
	return err
}

func (l *loader) look(ctx context.Context, w *bulk.Writer, keys []fhir.Key) error {
	var numbers []uint32
	var rows []byte
	var quiet []bool
	for _, k := range keys {
		r, err := l.x.look(ctx, k, 0)
		switch {
		case errors.Is(err, fhir.E(fhir.NotFound)):
			continue
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			l.refused.Add(1)
			l.x.log.Warn().Err(err).Str("patient", k.ID).Msg("mpi: a Patient was not taken in")
			continue
		}
		n, fresh := l.lists.Load(k.ID, r.keys)
		if n == 0 {
			return fhir.Errorf(fhir.TooLarge, "mpi: more records than an index holds")
		}
		if !fresh {
			continue
		}
		numbers, rows, quiet = append(numbers, n), bulk.Frame(rows, r.encode()), append(quiet, r.head.Deleted || r.head.Inactive)
		if err := l.postings.Put(n, r.keys); err != nil {
			return err
		}
		for i := range r.rec.IDs {
			system := domainOf(r.rec.IDs[i].System)
			if _, known := l.x.domains.LoadOrStore(system, true); !known {
				w.Add(domainPrefix, system, []byte("true"))
			}
		}
	}
	l.mu.Lock()
	for i, n := range numbers {
		for int(n) >= len(l.quiet) {
			l.quiet = append(l.quiet, false)
		}
		l.quiet[n] = quiet[i]
	}
	l.mu.Unlock()
	l.o.Progress("observe", int(l.done.Add(int64(len(keys)))), 0)
	if err := w.Err(); err != nil {
		return err
	}
	return l.records.Put(numbers, rows)
}

// row reads a record.
func (l *loader) row(n uint32) (*row, error) {
	raw, _, err := l.records.Get(n, nil)
	if err != nil {
		return nil, err
	}
	return decodeRow(l.lists.Text(n), raw)
}

// compare holds every record against those that it meets.
func (l *loader) compare(ctx context.Context) error {
	n := l.records.Len()
	l.union = bulk.NewUnion(n)
	l.verdicts = bulk.NewSpool(l.dir, compartments)
	l.done.Store(0)
	return l.each(ctx, (n+loadChunk-1)/loadChunk, func(ctx context.Context, next func() (int, bool)) error {
		w := &comparison{l, bulk.NewRecent(l.row)}
		for i, ok := next(); ok; i, ok = next() {
			for a := i*loadChunk + 1; a <= min((i+1)*loadChunk, n); a++ {
				if err := w.meet(uint32(a)); err != nil {
					return err
				}
			}
			l.o.Progress("compare", int(l.done.Add(loadChunk)), n)
		}
		return nil
	})
}

// compartments is in how many parts verdicts are worked on.
const compartments = 256

func (l *loader) compartment(n uint32) int {
	return int(uint64(n) * compartments / uint64(l.records.Len()+1))
}

// unite finds the components: what links and human decisions hold together. The
// links go by component, what humans are to be asked by its subject: of a pair,
// the record whose id sorts last, as if they had been fed in that order.
func (l *loader) unite(ctx context.Context) error {
	if err := l.decisions(ctx); err != nil {
		return err
	}
	l.lists.Clear()
	l.order = l.union.Order()
	l.place = make([]uint32, len(l.order)+1)
	for i, n := range l.order {
		l.place[n] = uint32(i)
	}
	links, reviews := bulk.NewSpool(l.dir, compartments), bulk.NewSpool(l.dir, compartments)
	for n := range l.union {
		l.union[n] = l.union.Root(uint32(n)) // from here on it is only read
	}
	err := l.each(ctx, compartments, func(_ context.Context, next func() (int, bool)) error {
		var room []byte
		for i, ok := next(); ok; i, ok = next() {
			var err error
			if room, err = l.verdicts.Take(i, room[:0]); err != nil {
				return err
			}
			vs := bulk.ReadVerdicts(room)
			slices.SortFunc(vs, func(v, w bulk.Verdict) int { return cmp.Or(cmp.Compare(v.A, w.A), cmp.Compare(v.B, w.B)) })
			vs = slices.CompactFunc(vs, func(v, w bulk.Verdict) bool { return v.A == w.A && v.B == w.B })
			for _, v := range vs {
				to, at := links, l.compartment(l.place[l.union[v.A]])
				if !v.Link {
					if l.quiet[v.A] || l.quiet[v.B] {
						continue
					}
					if l.lists.Text(v.A) > l.lists.Text(v.B) {
						v.A, v.B = v.B, v.A
					}
					to, at = reviews, l.compartment(v.B)
				}
				if err := to.Put(at, v.Append(nil)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	l.verdicts, l.reviews = links, reviews
	return err
}

// decisions reads what humans said before the records came (Restore).
func (l *loader) decisions(ctx context.Context) error {
	l.said = map[string]map[string][]byte{}
	kvs, err := l.x.space.Scan(ctx, []byte(decisionPrefix), behind([]byte(decisionPrefix)), 0)
	if err != nil {
		return err
	}
	for _, kv := range kvs {
		a, b, _ := strings.Cut(string(kv.Key[len(decisionPrefix):]), sep)
		var d decision
		if err := json.Unmarshal(kv.Value, &d); err != nil {
			return corrupt("decision", a)
		}
		if l.said[a] == nil {
			l.said[a] = map[string][]byte{}
		}
		l.said[a][b] = kv.Value
		if m, n := l.lists.Number(a), l.lists.Number(b); d.Same && m != 0 && n != 0 {
			l.union.Join(m, n)
		}
	}
	return nil
}

// divide makes the persons of all components.
func (l *loader) divide(ctx context.Context) error {
	l.homes = make([]uint32, len(l.order)+1)
	l.done.Store(0)
	return l.each(ctx, compartments, func(ctx context.Context, next func() (int, bool)) error {
		w := l.out.Writer()
		var room []byte
		for i, ok := next(); ok; i, ok = next() {
			var err error
			if room, err = l.verdicts.Take(i, room[:0]); err != nil {
				return err
			}
			links := bulk.ReadVerdicts(room)
			slices.SortFunc(links, func(v, w bulk.Verdict) int { return cmp.Compare(l.place[l.union[v.A]], l.place[l.union[w.A]]) })
			for at := l.first(i); at < l.first(i+1); {
				root := l.order[at]
				end := at + 1
				for end < len(l.order) && l.union[l.order[end]] == root {
					end++
				}
				n := 0
				for n < len(links) && l.union[links[n].A] == root {
					n++
				}
				if err := l.component(ctx, w, at, l.order[at:end], links[:n]); err != nil {
					return err
				}
				links, at = links[n:], end
			}
			l.o.Progress("divide", int(l.done.Add(1)), compartments)
		}
		return w.Flush()
	})
}

// first is the first place of a compartment at which a component begins.
func (l *loader) first(i int) int {
	n := uint64(len(l.order) + 1)
	at := int((uint64(i)*n + compartments - 1) / compartments)
	for at < len(l.order) && at > 0 && l.union[l.order[at]] == l.union[l.order[at-1]] {
		at++
	}
	return min(at, len(l.order))
}
