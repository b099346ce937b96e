package disk

import (
	"encoding/binary"
	"errors"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"hutong/fhir/store/disk/health"
	"hutong/fhir/store/disk/layout"
)

// maxNames bounds the table of names in memory; names beyond it are read from
// their rows.
const maxNames = 100_000

// names interns types, posting lists and code systems. A name's row is written
// ahead of the rows that use its number and in the same log, so none of them
// can be durable without it. A number is never given twice.
type names struct {
	db   *pebble.DB
	mu   sync.RWMutex
	ids  map[string]uint32
	text []string // by id-1, the first maxNames
	last uint32
}

func newNames(db *pebble.DB) *names { return &names{db: db, ids: map[string]uint32{}} }

// load reads the table at open.
func (n *names) load() error {
	it, err := n.db.NewIter(&pebble.IterOptions{LowerBound: []byte{'n'}, UpperBound: []byte{'n' + 1}})
	if err != nil {
		return ioError(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return errors.Join(ioError(err), it.Close())
		}
		n.remember(string(v), binary.BigEndian.Uint32(it.Key()[1:]))
	}
	return it.Close()
}

// remember keeps a name in memory while there is room.
func (n *names) remember(name string, id uint32) {
	n.last = max(n.last, id)
	if len(n.ids) < maxNames && int(id) == len(n.text)+1 {
		n.ids[name] = id
		n.text = append(n.text, name)
	}
}

// Find gives the number of a name, 0 if it was never interned.
func (n *names) Find(name string) (uint32, error) {
	n.mu.RLock()
	id, ok := n.ids[name]
	all := len(n.ids) < maxNames
	n.mu.RUnlock()
	if ok || all {
		return id, nil
	}
	return n.stored(name)
}

func (n *names) stored(name string) (uint32, error) {
	v, closer, err := n.db.Get(layout.NameKey(nil, name))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, ioError(err)
	}
	id, _ := binary.Uvarint(v)
	return uint32(id), closer.Close()
}

// ID gives the number of a name, making it if it is new.
func (n *names) ID(name string) (uint32, error) {
	if id, err := n.Find(name); id != 0 || err != nil {
		return id, err
	}
	var id uint32
	err := health.Do(func() (err error) { id, err = n.make(name); return err })
	return id, err
}

func (n *names) make(name string) (uint32, error) {
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
		return 0, ioError(err)
	}
	n.remember(name, id)
	return id, nil
}

// Name gives a name back.
func (n *names) Name(id uint32) (string, error) {
	n.mu.RLock()
	if id > 0 && int(id) <= len(n.text) {
		defer n.mu.RUnlock()
		return n.text[id-1], nil
	}
	n.mu.RUnlock()
	v, closer, err := n.db.Get(layout.NameIDKey(nil, id))
	if err != nil {
		return "", ioError(err)
	}
	return string(v), closer.Close()
}

// withPrefix lists the names in memory that start with prefix; the lists of a
// store are few and always are there.
func (n *names) withPrefix(prefix string) []string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	var out []string
	for _, s := range n.text {
		if len(s) > len(prefix) && s[:len(prefix)] == prefix {
			out = append(out, s)
		}
	}
	return out
}
