// Package intern gives short numbers to the names that a store repeats: types,
// posting lists, code systems.
package intern

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"hutong/fhir"
	"hutong/fhir/store/disk/health"
	"hutong/fhir/store/disk/layout"
)

// maxNames bounds the table of names in memory; names beyond it are read from
// their rows.
const maxNames = 100_000

// Table is the store's table of names. A name's row is written
// ahead of the rows that use its number and in the same log, so none of them
// can be durable without it. A number is never given twice.
type Table struct {
	db   *pebble.DB
	mu   sync.RWMutex
	ids  map[string]uint32
	text []string // by id-1, the first maxNames
	last uint32
}

// Load reads the table of db.
func Load(db *pebble.DB) (*Table, error) {
	n := &Table{db: db, ids: map[string]uint32{}}
	return n, n.load()
}

func (n *Table) load() error {
	it, err := n.db.NewIter(&pebble.IterOptions{LowerBound: []byte{'n'}, UpperBound: []byte{'n' + 1}})
	if err != nil {
		return fail(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return errors.Join(fail(err), it.Close())
		}
		n.remember(string(v), binary.BigEndian.Uint32(it.Key()[1:]))
	}
	return it.Close()
}

// remember keeps a name in memory while there is room.
func (n *Table) remember(name string, id uint32) {
	n.last = max(n.last, id)
	if len(n.ids) < maxNames && int(id) == len(n.text)+1 {
		n.ids[name] = id
		n.text = append(n.text, name)
	}
}

// Find gives the number of a name, 0 if it was never interned.
func (n *Table) Find(name string) (uint32, error) {
	n.mu.RLock()
	id, ok := n.ids[name]
	all := len(n.ids) < maxNames
	n.mu.RUnlock()
	if ok || all {
		return id, nil
	}
	return n.stored(name)
}

func (n *Table) stored(name string) (uint32, error) {
	v, closer, err := n.db.Get(layout.NameKey(nil, name))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fail(err)
	}
	id, _ := binary.Uvarint(v)
	return uint32(id), closer.Close()
}

// ID gives the number of a name, making it if it is new.
func (n *Table) ID(name string) (uint32, error) {
	if id, err := n.Find(name); id != 0 || err != nil {
		return id, err
	}
	var id uint32
	err := health.Do(func() (err error) { id, err = n.make(name); return err })
	return id, err
}

// IDOf is ID of a name that the caller builds in a buffer of its own; a name
// that is known costs no memory.
func (n *Table) IDOf(name []byte) (uint32, error) {
	n.mu.RLock()
	id, ok := n.ids[string(name)]
	n.mu.RUnlock()
	if ok {
		return id, nil
	}
	return n.ID(string(name))
}

func (n *Table) make(name string) (uint32, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if id, ok := n.ids[name]; ok {
		return id, nil
	}
	if id, err := n.stored(name); id != 0 || err != nil {
		return id, err
	}
	id := n.last + 1
	b := n.db.NewBatch()
	defer b.Close()
	err := errors.Join(
		b.Set(layout.NameKey(nil, name), binary.AppendUvarint(nil, uint64(id)), nil),
		b.Set(layout.NameIDKey(nil, id), []byte(name), nil),
	)
	if err == nil {
		err = n.db.Apply(b, pebble.NoSync)
	}
	if err != nil {
		return 0, fail(err)
	}
	n.remember(name, id)
	return id, nil
}

// Name gives a name back.
func (n *Table) Name(id uint32) (string, error) {
	n.mu.RLock()
	if id > 0 && int(id) <= len(n.text) {
		defer n.mu.RUnlock()
		return n.text[id-1], nil
	}
	n.mu.RUnlock()
	v, closer, err := n.db.Get(layout.NameIDKey(nil, id))
	if err != nil {
		return "", fail(err)
	}
	return string(v), closer.Close()
}

// Types lists the names that are types, those in memory at least: a store has
// at most some hundred, and they come first.
func (n *Table) Types() []fhir.Type {
	n.mu.RLock()
	defer n.mu.RUnlock()
	var out []fhir.Type
	for _, s := range n.text {
		if s[0] >= 'A' && s[0] <= 'Z' && !strings.Contains(s, "\x00") {
			out = append(out, fhir.Type(s))
		}
	}
	slices.Sort(out)
	return out
}

func fail(err error) error { return fhir.Errorf(fhir.Internal, "storage: %w", err) }
