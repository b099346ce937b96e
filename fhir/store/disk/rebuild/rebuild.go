// Package rebuild brings the index of a store to a new table of search
// parameters while the store is in use: parameters that are new or changed are
// extracted anew from every kept version, in the background, from a durable
// cursor. Until that is done a search that needs them is refused as Busy.
package rebuild

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/rs/zerolog"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/search"
	"hutong/fhir/store/disk/layout"
	"hutong/fhir/store/disk/ledger"
)

// Host is the store whose index is built.
type Host struct {
	DB      *pebble.DB
	Names   layout.Dict
	Log     zerolog.Logger
	Horizon func() fhir.T
	// Oldest is the first version of a resource that is kept.
	Oldest func(rid layout.RID, newest uint64) (uint64, error)
	// Version reads the row of a version, Postings what its body gives.
	Version  func(rid layout.RID, ver uint64, row *layout.Row) (bool, error)
	Postings func(rid layout.RID, k fhir.Key, row *layout.Row, into *layout.Postings) error
	// Exec fills a batch and applies it between two commits.
	Exec func(ctx context.Context, fill func(*pebble.Batch) error) error
}

// Build is the state of a store's index.
type Build struct {
	host  Host
	table map[string]string
	state state
	open  atomic.Pointer[map[string]bool] // lists that cannot be searched yet, true, or are to go; nil: neither
	chain ledger.Chain
	row   layout.Row
	posts layout.Postings
	list  map[uint32]bool // by number: whether a list is being built
}

// state is the durable part.
type state struct {
	Lists  []string `json:"lists"`
	Gone   []string `json:"gone,omitempty"` // only cleared: others have their values
	Begun  bool     `json:"begun"`          // what the lists held before is gone
	Cursor uint64   `json:"cursor"`
}

var (
	tableKey = []byte("Mparameters")
	stateKey = []byte("Mbuild")
)

// Open compares the table with the one that the store was indexed by. A nil
// table changes nothing; a store that remembers none takes it as its own.
func Open(h Host, table map[string]string) (*Build, error) {
	b := &Build{host: h, table: table, list: map[uint32]bool{}}
	if table == nil {
		return b, nil
	}
	var old map[string]string
	if err := errors.Join(b.load(tableKey, &old), b.load(stateKey, &b.state)); err != nil {
		return nil, fmt.Errorf("rebuild: %w", err)
	}
	if old == nil {
		return b, b.save(tableKey, table)
	}
	b.compare(old)
	if len(b.state.Lists)+len(b.state.Gone) == 0 {
		return b, nil
	}
	// The new table and what is owed to it become durable together.
	batch := h.DB.NewBatch()
	err := errors.Join(b.put(batch, stateKey, b.state), b.put(batch, tableKey, table), batch.Commit(pebble.Sync), batch.Close())
	waiting := map[string]bool{}
	for _, name := range b.state.Gone {
		waiting[name] = false
	}
	for _, name := range b.state.Lists {
		waiting[name] = true
	}
	b.open.Store(&waiting)
	return b, err
}

func (b *Build) load(key []byte, into any) error {
	v, closer, err := b.host.DB.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(json.Unmarshal(v, into), closer.Close())
}

func (b *Build) save(key []byte, v any) error {
	batch := b.host.DB.NewBatch()
	return errors.Join(b.put(batch, key, v), batch.Commit(pebble.Sync), batch.Close())
}

func (b *Build) put(batch *pebble.Batch, key []byte, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return batch.Set(key, raw, nil)
}

// Waiting lists the parameters, as Type.code, whose lists are not as they are to be:
// that cannot be searched yet, or have lists that are to go.
func (b *Build) Waiting() []string {
	var out []string
	if open := b.open.Load(); open != nil {
		for name := range *open {
			out = append(out, strings.Replace(name, "\x00", ".", 1))
		}
	}
	slices.Sort(out)
	return out
}

// Refuses tells why a query cannot be answered now, nil if it can.
func (b *Build) Refuses(q *search.Query) error {
	open := b.open.Load()
	if open == nil || q == nil {
		return nil
	}
	types := q.Types
	if q.Type != "" {
		types = []fhir.Type{q.Type}
	}
	for name, wanted := range *open {
		if t, code, _ := strings.Cut(name, "\x00"); wanted && code == "" && (len(types) == 0 || slices.Contains(types, fhir.Type(t))) {
			return fhir.Errorf(fhir.Busy, "the index of %s is being built; ask again later", t)
		}
	}
	for _, p := range q.Filter {
		if err := b.refuses(*open, types, p.Param); err != nil {
			return err
		}
		for _, c := range p.Chain {
			if err := b.Refuses(c); err != nil {
				return err
			}
		}
		if p.Has != nil {
			if err := errors.Join(b.refuses(*open, []fhir.Type{p.Has.Type}, p.HasParam), b.Refuses(p.Has)); err != nil {
				return fhir.Errorf(fhir.Busy, "an index that _has needs is being built; ask again later")
			}
		}
	}
	for _, k := range q.Sort {
		if err := b.refuses(*open, types, k.Param); err != nil {
			return err
		}
	}
	return nil
}

// refuses: an empty list of types asks all.
func (b *Build) refuses(open map[string]bool, types []fhir.Type, p *definition.SearchParam) error {
	if p == nil {
		return nil
	}
	for name, wanted := range open {
		t, code, _ := strings.Cut(name, "\x00")
		if wanted && code == p.Code && (len(types) == 0 || slices.Contains(types, fhir.Type(t))) {
			return fhir.Errorf(fhir.Busy, "the index of %s is being built for %s; ask again later", p.Code, t)
		}
	}
	return nil
}

// touched reports whether a list is one of those that are built, or follows
// from one: identifiers of references, canonical units, pairs with a patient.
func (b *Build) touched(id uint32) (bool, error) {
	if yes, known := b.list[id]; known {
		return yes, nil
	}
	name, err := b.host.Names.Name(id)
	if err != nil {
		return false, err
	}
	t, code, _ := strings.Cut(name, "\x00")
	pair, isPair := strings.CutPrefix(code, layout.PairList)
	code, _, _ = strings.Cut(code, ":")
	is := func(code string) bool { return slices.Contains(b.state.Lists, layout.ListName(fhir.Type(t), code)) }
	yes := is("") || is(code) || isPair && (is(pair) || is("patient"))
	b.list[id] = yes
	return yes, nil
}

// gone reports whether a list is of a parameter that has none any more.
func (b *Build) gone(id uint32) (bool, error) {
	name, err := b.host.Names.Name(id)
	name, _, _ = strings.Cut(name, ":")
	return slices.Contains(b.state.Gone, name), err
}

// perStep is how many resources are done between two commits: a few
// milliseconds.
const perStep = 32

// Run builds until all is done or ctx ends. An error is tried again.
func (b *Build) Run(ctx context.Context) {
	if b.open.Load() == nil {
		return
	}
	b.host.Log.Info().Int("parameters", len(b.state.Lists)).Msg("index: building")
	for ctx.Err() == nil {
		done, err := b.step(ctx)
		switch {
		case done:
			b.open.Store(nil)
			b.host.Log.Info().Msg("index: built")
			return
		case err != nil && ctx.Err() == nil:
			b.host.Log.Error().Err(err).Msg("index: building was interrupted; it is tried again")
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
}

// step does the next resources; done says that none is left.
func (b *Build) step(ctx context.Context) (done bool, err error) {
	next := b.state
	err = b.host.Exec(ctx, func(batch *pebble.Batch) error {
		if !next.Begun {
			next.Begun = true
			if err := b.clear(batch); len(next.Lists) > 0 || err != nil {
				return errors.Join(err, b.put(batch, stateKey, next))
			}
			done = true
			return batch.Delete(stateKey, nil)
		}
		n, err := b.some(batch, &next)
		if done = err == nil && n == 0; done {
			return batch.Delete(stateKey, nil)
		}
		return errors.Join(err, b.put(batch, stateKey, next))
	})
	if err == nil {
		b.state = next
	}
	return done && err == nil, err
}

// clear drops what the lists held: other values, or those of a parameter that
// is no more.
func (b *Build) clear(batch *pebble.Batch) error {
	it, err := b.host.DB.NewIter(&pebble.IterOptions{LowerBound: []byte{'n'}, UpperBound: []byte{'n' + 1}})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		id := binary.BigEndian.Uint32(it.Key()[1:])
		var yes bool
		if yes, err = b.touched(id); err == nil && !yes {
			yes, err = b.gone(id)
		}
		if !yes || err != nil {
			continue
		}
		for _, prefix := range []byte{'X', 'Y'} {
			from := binary.BigEndian.AppendUint32([]byte{prefix}, id)
			err = errors.Join(err, batch.DeleteRange(from, binary.BigEndian.AppendUint32([]byte{prefix}, id+1), nil))
		}
	}
	return errors.Join(err, it.Close())
}

// some writes the rows of the next resources behind the cursor.
func (b *Build) some(batch *pebble.Batch, next *state) (n int, err error) {
	it, err := b.host.DB.NewIter(&pebble.IterOptions{LowerBound: layout.RowKey(nil, layout.RID(next.Cursor)), UpperBound: []byte{'F' + 1}})
	if err != nil {
		return 0, err
	}
	for ok := it.First(); ok && n < perStep && err == nil; ok = it.Next() {
		rid := layout.RID(binary.BigEndian.Uint64(it.Key()[1:]))
		err = b.resource(batch, rid)
		next.Cursor = uint64(rid) + 1
		n++
	}
	return n, errors.Join(err, it.Close())
}

// resource writes the rows that follow from a resource's kept versions.
func (b *Build) resource(batch *pebble.Batch, rid layout.RID) error {
	v, closer, err := b.host.DB.Get(layout.RowKey(nil, rid))
	if err != nil {
		return err
	}
	err = errors.Join(b.row.Read(slices.Clone(v), b.host.Names), closer.Close())
	if err != nil {
		return err
	}
	newest := b.row.VersionID
	oldest, err := b.host.Oldest(rid, newest)
	if err != nil {
		return err
	}
	updated, err := b.host.Names.ID(layout.ListName(b.row.Type, layout.UpdatedList))
	if err != nil {
		return err
	}
	write := func(p *ledger.Posting) error {
		yes, err := b.touched(binary.BigEndian.Uint32(p.ListValue))
		if !yes || err != nil || p.To != 0 && p.To <= b.host.Horizon() {
			return err
		}
		return batch.Set(p.Key(nil), p.Value(), nil)
	}
	b.chain.Reset()
	for ver := oldest; ver <= newest; ver++ {
		found, err := b.host.Version(rid, ver, &b.row)
		if err != nil || !found {
			return fmt.Errorf("rebuild: version %d of resource %d: found %t, %w", ver, rid, found, err)
		}
		b.posts = layout.Postings{}
		if !b.row.Deleted() {
			if err := b.host.Postings(rid, b.row.Key, &b.row, &b.posts); err != nil {
				return err
			}
		}
		if err := b.chain.Add(rid, &b.row, &b.posts, updated, write); err != nil {
			return err
		}
	}
	return b.chain.Current(write)
}
