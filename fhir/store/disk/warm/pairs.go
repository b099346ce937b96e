package warm

import (
	"sync"
	"sync/atomic"

	"hutong/fhir"
	"hutong/fhir/store/disk/layout"
)

const (
	pairShards = 64
	pairSlots  = 1 << 10 // of a shard: as many pairs, two for a number, and moments of changes
)

// Pairs remembers the first posting of patients with tokens, or that there is
// none, until something of the patient changes. It takes 4 MB, is safe for
// concurrent use, and a nil one remembers nothing.
type Pairs struct {
	since  fhir.T // what changed before is not known
	epoch  atomic.Uint64
	shards [pairShards]pairShard
}

type pairShard struct {
	mu      sync.Mutex
	pairs   *[pairSlots / 2][2]pair // of two, the one that came last first; made when the first comes
	changed [pairSlots]fhir.T       // the newest commit that changed something of a patient of the slot
}

type pair struct {
	Pair
	t     fhir.T // of the reading that found it
	epoch uint64
	first First
}

// Pair is a patient and a token, which the caller numbers; 0 is none.
type Pair struct {
	Patient layout.RID
	Token   uint64
}

// First is the first posting of a pair.
type First struct {
	Some  bool
	Class uint32
	Place layout.Place
}

// NewPairs makes one for a store whose newest applied commit is t: what earlier
// moments saw is not remembered.
func NewPairs(t fhir.T) *Pairs { return &Pairs{since: t} }

// Epoch is to be read before the tree is, and handed to Keep.
func (p *Pairs) Epoch() uint64 {
	if p == nil {
		return 0
	}
	return p.epoch.Load()
}

// Reset forgets all: postings changed that no commit changed.
func (p *Pairs) Reset() {
	if p != nil {
		p.epoch.Add(1)
	}
}

// at gives where a pair stands, if it does.
func (p *Pairs) at(of Pair) (s *pairShard, i int, changed *fhir.T) {
	home := of.Patient.Home()
	s = &p.shards[home%pairShards]
	h := (uint64(of.Patient) ^ of.Token) * 0x9e3779b97f4a7c15
	return s, int(h >> 55), &s.changed[home/pairShards%pairSlots]
}

// First gives what a reading at t would find; known is false if it must read.
func (p *Pairs) First(of Pair, t fhir.T) (first First, known bool) {
	if p == nil {
		return First{}, false
	}
	s, at, changed := p.at(of)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pairs == nil {
		return First{}, false
	}
	for i := range s.pairs[at] {
		if e := &s.pairs[at][i]; e.Pair == of {
			return e.first, e.t <= t && *changed <= e.t && e.epoch == p.epoch.Load()
		}
	}
	return First{}, false
}

// Keep takes what a reading at t, begun at an epoch, found.
func (p *Pairs) Keep(of Pair, t fhir.T, epoch uint64, first First) {
	if p == nil {
		return
	}
	s, at, changed := p.at(of)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t < p.since || *changed > t {
		return
	}
	if s.pairs == nil {
		s.pairs = new([pairSlots / 2][2]pair)
	}
	two := &s.pairs[at]
	if two[0].Pair != of {
		two[1] = two[0]
	}
	two[0] = pair{Pair: of, t: t, epoch: epoch, first: first}
}

// Changed tells that commit t changes something of the patients of a home: after
// it was applied to the tree, and before anybody reads at t.
func (p *Pairs) Changed(home uint32, t fhir.T) {
	if p == nil {
		return
	}
	s := &p.shards[home%pairShards]
	s.mu.Lock()
	s.changed[home/pairShards%pairSlots] = t
	s.mu.Unlock()
}

// Long remembers lists that were found to have many postings. It is a hint for
// plans, safe for concurrent use, and a nil one remembers nothing.
type Long struct {
	mu    sync.Mutex
	lists map[string]struct{}
}

// maxLong lists are remembered; then it begins anew.
const maxLong = 4096

// Has reports whether a list is remembered.
func (l *Long) Has(list []byte) bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.lists[string(list)]
	return ok
}

// Add remembers a list.
func (l *Long) Add(list []byte) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lists == nil || len(l.lists) >= maxLong {
		l.lists = map[string]struct{}{}
	}
	l.lists[string(list)] = struct{}{}
}
