package keyspace

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"hutong/fhir"
	"hutong/fhir/store/disk/health"
)

// The journal is what the change log is for resources: the writes of spaces in
// their order, in the same atomic batch as the write itself, so that an archive
// can follow. It is kept from StartJournal to StopJournal, over restarts, and
// what the archive holds is trimmed from it.

// Entry is one Apply of a space.
type Entry struct {
	Seq    uint64    `json:"seq"` // 1, 2, ... without gaps within an epoch
	T      fhir.T    `json:"t"`   // the newest commit that was visible: whatever the write rests on is not later
	At     time.Time `json:"at"`
	Writes []Put     `json:"writes"`
}

// Put is one write; Key begins with the space's name and a zero byte.
type Put struct {
	Key    []byte `json:"key"`
	Value  []byte `json:"value,omitempty"`
	Delete bool   `json:"delete,omitempty"`
}

// journal is its state in memory; the spaces' lock guards it.
type journal struct {
	epoch string // "" while none is kept
	seq   uint64
}

var (
	journalKey  = []byte("Mjournal")
	journalFrom = []byte{'J'}
	journalTo   = []byte{'J' + 1}
)

func entryKey(seq uint64) []byte { return binary.BigEndian.AppendUint64([]byte{'J'}, seq) }

// LoadJournal reads the journal's state when the store is opened.
func (s *Set) LoadJournal() error {
	epoch, err := s.get(journalKey)
	if err != nil || epoch == nil {
		return err
	}
	it, err := s.DB.NewIter(&pebble.IterOptions{LowerBound: journalFrom, UpperBound: journalTo})
	if err != nil {
		return fail(err)
	}
	if it.Last() {
		s.journal.seq = binary.BigEndian.Uint64(it.Key()[1:])
	}
	s.journal.epoch = string(epoch)
	return it.Close()
}

// Journal tells the epoch of the journal, "" if none is kept, and its newest
// entry.
func (s *Set) Journal() (epoch string, seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.journal.epoch, s.journal.seq
}

// StartJournal keeps a journal from now on, in a new epoch unless one is kept
// already.
func (s *Set) StartJournal(ctx context.Context) error {
	return s.locked(ctx, func(b *pebble.Batch) error {
		if s.journal.epoch != "" {
			return nil
		}
		id := make([]byte, 8)
		_, _ = rand.Read(id) // never fails, see crypto/rand
		s.journal = journal{epoch: hex.EncodeToString(id)}
		return b.Set(journalKey, []byte(s.journal.epoch), nil)
	})
}

// StopJournal ends the epoch and drops its entries.
func (s *Set) StopJournal(ctx context.Context) error {
	return s.locked(ctx, func(b *pebble.Batch) error {
		if s.journal.epoch == "" {
			return nil
		}
		s.journal = journal{}
		return errors.Join(b.Delete(journalKey, nil), b.DeleteRange(journalFrom, journalTo, nil))
	})
}

// locked is write for the journal's own rows.
func (s *Set) locked(ctx context.Context, fill func(*pebble.Batch) error) error {
	leave, err := s.Enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := s.Health.Writable(); err != nil {
		return err
	}
	return s.write(ctx, fill)
}

// note adds the batch's writes to the journal; the caller holds the lock.
func (s *Set) note(b *pebble.Batch, puts []Put) error {
	if len(puts) == 0 {
		return nil
	}
	s.journal.seq++ // a batch that fails afterwards ends the engine, and this state with it
	e := Entry{Seq: s.journal.seq, T: s.Visible(), At: s.Now().UTC(), Writes: puts}
	return b.Set(entryKey(e.Seq), appendEntry(nil, &e), nil)
}

// Entries lists the durable journal after an entry, oldest first, about limit
// bytes but at least one.
func (s *Set) Entries(ctx context.Context, after uint64, limit int) ([]Entry, error) {
	leave, err := s.Enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	it, err := s.DB.NewIter(&pebble.IterOptions{LowerBound: entryKey(after + 1), UpperBound: journalTo})
	if err != nil {
		return nil, fail(err)
	}
	var out []Entry
	for ok := it.First(); ok && limit > 0 && err == nil; ok = it.Next() {
		var v []byte
		if v, err = it.ValueAndErr(); err != nil {
			break
		}
		e := Entry{Seq: binary.BigEndian.Uint64(it.Key()[1:])}
		if err = e.read(bytes.Clone(v)); err == nil {
			out = append(out, e)
			limit -= len(v)
		}
	}
	if cerr := it.Close(); err == nil {
		err = cerr
	}
	if err == nil && out != nil {
		// What an archive holds must not be lost by the store: it would give
		// the same numbers to other writes.
		err = health.Do(func() error { return s.DB.LogData(nil, pebble.Sync) })
	}
	if err != nil {
		return nil, fail(err)
	}
	return out, nil
}

// TrimJournal drops the entries up to one that an archive holds; the newest
// entry stays, because it holds the number of the next.
func (s *Set) TrimJournal(ctx context.Context, upTo uint64) error {
	leave, err := s.Enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	_, newest := s.Journal()
	if upTo = min(upTo, newest-1); newest == 0 || upTo == 0 {
		return nil
	}
	return s.write(ctx, func(b *pebble.Batch) error {
		return b.DeleteRange(journalFrom, entryKey(upTo+1), nil)
	})
}

// Replay makes the writes of entries, whatever stands. It is for restoring.
func (s *Set) Replay(ctx context.Context, entries []Entry) error {
	return s.locked(ctx, func(b *pebble.Batch) error {
		for i := range entries {
			for _, p := range entries[i].Writes {
				key := append([]byte{'S'}, p.Key...)
				if p.Delete {
					_ = b.Delete(key, nil) // fails only for a closed batch
				} else {
					_ = b.Set(key, p.Value, nil)
				}
			}
		}
		return nil
	})
}

func appendEntry(b []byte, e *Entry) []byte {
	b = binary.AppendUvarint(b, uint64(e.T))
	b = binary.AppendVarint(b, e.At.UnixMilli())
	b = binary.AppendUvarint(b, uint64(len(e.Writes)))
	for _, p := range e.Writes {
		b = append(binary.AppendUvarint(b, uint64(len(p.Key))), p.Key...)
		if p.Delete {
			b = binary.AppendUvarint(b, 0)
			continue
		}
		b = append(binary.AppendUvarint(b, uint64(len(p.Value))+1), p.Value...)
	}
	return b
}

var errEntry = errors.New("damaged entry of the journal")

// read decodes appendEntry; the entry shares b's memory.
func (e *Entry) read(b []byte) error {
	uint := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			b = nil
			return 0
		}
		b = b[n:]
		return v
	}
	take := func(n uint64) []byte {
		if n > uint64(len(b)) {
			b = nil
			return nil
		}
		out := b[:n:n]
		b = b[n:]
		return out
	}
	e.T = fhir.T(uint())
	ms, n := binary.Varint(b)
	if n <= 0 {
		return errEntry
	}
	b = b[n:]
	e.At = time.UnixMilli(ms).UTC()
	for count := uint(); count > 0; count-- {
		if len(b) == 0 {
			return errEntry
		}
		p := Put{Key: take(uint())}
		if size := uint(); size == 0 {
			p.Delete = true
		} else {
			p.Value = take(size - 1)
		}
		if p.Key == nil || !p.Delete && p.Value == nil {
			return errEntry
		}
		e.Writes = append(e.Writes, p)
	}
	return nil
}
