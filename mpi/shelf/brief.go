package shelf

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"hutong/mpi/bulk"
)

// briefs are what a pair is judged by, of every record, in a file without a name:
// to read one takes a fraction of reading a row of the Space that no cache holds.
// A record whose brief is missing or in doubt is read from the Space.
type briefs struct {
	records *bulk.Records
	lost    atomic.Bool // the file cannot be read or written: there are none any more
	tell    func(error)
	putting [64]sync.Mutex // by number: a newer brief is not replaced by an older one
	mu      sync.Mutex
	whole   bool             // all stored ones are in; guarded by mu
	putOff  map[string]brief // what came before; guarded by mu
}

// brief is one with the revision of its row; a nil body is a doubt.
type brief struct {
	revision uint64
	body     []byte
}

// Briefs has s keep briefs in a file in dir. It is called before all else. lost
// hears, once, of an error that ends them.
func (s *Shelf) Briefs(dir string, lost func(error)) error {
	r, err := bulk.NewRecords(dir)
	if err == nil {
		s.briefs = &briefs{records: r, tell: lost, putOff: map[string]brief{}}
	}
	return err
}

// PutBrief takes in what became of a record, after the change is durable. body is
// asked only if there are briefs.
func (s *Shelf) PutBrief(id string, revision uint64, body func() []byte) {
	if s.briefs != nil {
		s.briefs.change(s.ids, id, brief{revision, body()})
	}
}

// DoubtBrief gives the brief of a record up, for good: whether a change of it was
// written is not known.
func (s *Shelf) DoubtBrief(id string) { s.briefs.change(s.ids, id, brief{revision: ^uint64(0)}) }

// change makes a change, or keeps it until the stored ones, which are older, are in.
func (b *briefs) change(ids *ids, id string, next brief) {
	if b == nil || b.lost.Load() {
		return
	}
	b.mu.Lock()
	if was, ok := b.putOff[id]; !b.whole && (!ok || was.revision <= next.revision) {
		b.putOff[id] = next
	}
	whole := b.whole
	b.mu.Unlock()
	if whole {
		b.put(ids.find(id), next)
	}
}

// put adds the brief of a number, if it is the newest.
func (b *briefs) put(n uint32, next brief) {
	if n == 0 {
		return // of no number there is none that could be old
	}
	m := &b.putting[n%uint32(len(b.putting))]
	m.Lock()
	defer m.Unlock()
	if next.body == nil {
		b.records.Drop(n)
		return
	}
	was, ok, err := b.records.Get(n, nil)
	if ok {
		if revision, _ := binary.Uvarint(was); revision > next.revision {
			return
		}
	}
	switch {
	case err == nil && ok:
		err = b.records.Replace(n, next.frame(nil), len(was))
	case err == nil:
		err = b.records.Put([]uint32{n}, next.frame(nil))
	}
	b.check(err)
}

// frame appends a brief as the file holds it.
func (b *brief) frame(dst []byte) []byte {
	var room [512]byte
	return bulk.Frame(dst, append(binary.AppendUvarint(room[:0], b.revision), b.body...))
}

// check ends briefs at an error.
func (b *briefs) check(err error) {
	if err != nil && b.lost.CompareAndSwap(false, true) {
		b.tell(err)
	}
}

// fill takes stored ones in.
func (b *briefs) fill(numbers []uint32, frames []byte) {
	if b != nil && !b.lost.Load() && len(numbers) > 0 {
		b.check(b.records.Fill(numbers, frames))
	}
}

// loaded says that all stored ones are in.
func (b *briefs) loaded(ids *ids) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, next := range b.putOff {
		b.put(ids.find(id), next)
	}
	b.whole, b.putOff = true, nil
}

// Brief gives the brief of a record, by its number, in room, which the caller may
// use again, and its place: it is this one as long as Place gives that. There is
// none if the place is 0: the Space is to be asked.
func (s *Shelf) Brief(n uint32, room []byte) (body []byte, place uint32) {
	if place = s.Place(n); place == 0 {
		return nil, 0
	}
	record, err := s.briefs.records.Read(place, room)
	if s.Place(n) != place {
		return nil, 0 // it was replaced meanwhile, and another may stand there
	}
	if s.briefs.check(err); err != nil {
		return nil, 0
	}
	_, w := binary.Uvarint(record)
	return record[max(w, 0):], place
}

// Place is where the brief of a number is; 0 if there is none.
func (s *Shelf) Place(n uint32) uint32 {
	if s.briefs == nil || s.briefs.lost.Load() {
		return 0
	}
	return s.briefs.records.Place(n)
}
