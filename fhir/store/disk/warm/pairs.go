package warm

import (
	"sync"
	"sync/atomic"

	"hutong/fhir"
	"hutong/fhir/store/disk/layout"
)

const (
	pairShards = 64
	pairSlots  = 1 << 10 // of a shard: as many pairs, and moments of changes
)

// Pairs remembers the first posting of patients with tokens, or that there is
// none, until something of the patient changes. It takes 4 MB, is safe for
// concurrent use, and a nil one remembers nothing.
type Pairs struct {
	epoch  atomic.Uint64
	shards [pairShards]pairShard
}

type pairShard struct {
	mu      sync.Mutex
	pairs   [pairSlots]pair
	changed [pairSlots]fhir.T // the newest commit that changed something of a patient of the slot
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

func (p *Pairs) at(of Pair) (s *pairShard, e *pair, changed *fhir.T) {
	home := of.Patient.Home()
	s = &p.shards[home%pairShards]
	h := (uint64(of.Patient) ^ of.Token) * 0x9e3779b97f4a7c15
	return s, &s.pairs[h>>54], &s.changed[home/pairShards%pairSlots]
}

// First gives what a reading at t would find; known is false if it must read.
func (p *Pairs) First(of Pair, t fhir.T) (first First, known bool) {
	if p == nil {
		return First{}, false
	}
	s, e, changed := p.at(of)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Pair != of || e.t > t || *changed > e.t || e.epoch != p.epoch.Load() {
		return First{}, false
	}
	return e.first, true
}

// Keep takes what a reading at t, begun at an epoch, found.
func (p *Pairs) Keep(of Pair, t fhir.T, epoch uint64, first First) {
	if p == nil {
		return
	}
	s, e, changed := p.at(of)
	s.mu.Lock()
	defer s.mu.Unlock()
	if *changed <= t {
		*e = pair{Pair: of, t: t, epoch: epoch, first: first}
	}
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
