// Package mpi is the master patient index: which of the hospitals' Patient
// resources are the same person. A source Patient stays as its hospital posted
// it; the index keeps person -> members beside it and every reader joins at
// read time, so a link or unlink rewrites nothing clinical.
package mpi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/mpi/block"
	"hutong/mpi/link"
	"hutong/mpi/normal"
	"hutong/mpi/policy"
	"hutong/mpi/score"
	"hutong/mpi/shelf"
)

// Config is what an Index works with.
type Config struct {
	// Space holds everything durable: rows, links, queue and journal.
	Space store.Space
	// Read gives the current version of a source Patient, unrestricted;
	// NotFound or Gone if there is none.
	Read func(ctx context.Context, k fhir.Key) (fhir.Resource, error)
	// Policy says whom to believe and what needs two people; nil takes
	// policy.Default.
	Policy *policy.Policy
	// Model weighs evidence; nil takes score.Default.
	Model *score.Model
	// Shadow judges beside Model, for the report only; nil: none.
	Shadow *score.Model
	// Changed is called after each commit that changed a person, so that who
	// follows Outbox need not wait; it must not block. nil: nobody.
	Changed func()
	// CacheFor is how long what was read is taken for what the Space holds: set
	// it where other processes write to the Space, too. 0: for ever.
	CacheFor time.Duration
	Log      zerolog.Logger
	Now      func() time.Time // nil is time.Now
}

// Index is the master patient index. Safe for concurrent use.
type Index struct {
	space   store.Space
	read    func(context.Context, fhir.Key) (fhir.Resource, error)
	policy  *policy.Policy
	model   *score.Model
	rules   *link.Rules
	shadow  *link.Rules // nil: none
	changed func()
	domains sync.Map // identifier systems that are stored as known
	log     zerolog.Logger
	now     func() time.Time
	clock   clock
	salt    string // of this process, in the ids that it makes
	locks   stripes
	// gate is held shared by feeds and alone by human decisions, which touch
	// any number of records.
	gate    sync.RWMutex
	rows    *cache[*row]
	persons *cache[*person]
	stats   counters
	alone   bool                        // no other process writes to the Space
	filling atomic.Pointer[shelf.Shelf] // the posting lists in memory, kept up with changes
	lists   atomic.Pointer[shelf.Shelf] // the same once they are whole; nil: the Space is asked
}

// Open makes an Index on cfg.Space. It reads nothing: the state is what the
// Space says, so a restart costs nothing.
func Open(ctx context.Context, cfg Config) (*Index, error) {
	if cfg.Space == nil || cfg.Read == nil {
		return nil, fhir.Errorf(fhir.Internal, "mpi: Space and Read are required")
	}
	x := &Index{space: cfg.Space, read: cfg.Read, policy: cfg.Policy, model: cfg.Model, changed: cfg.Changed, log: cfg.Log, now: cfg.Now}
	if x.now == nil {
		x.now = time.Now
	}
	if err := x.defaults(); err != nil {
		return nil, err
	}
	x.rules = link.NewRules(x.model)
	if cfg.Shadow != nil {
		x.shadow = link.NewRules(cfg.Shadow)
	}
	var salt [2]byte
	_, _ = rand.Read(salt[:]) // never fails (crypto/rand)
	x.salt = hex.EncodeToString(salt[:])
	x.rows = newCache[*row](rowsCached, cfg.CacheFor)
	x.persons = newCache[*person](personsCached, cfg.CacheFor)
	x.alone = cfg.CacheFor == 0
	return x, ctx.Err()
}

// warmChunk is how many rows Warm reads at a time.
const warmChunk = 2048

// Warm reads the posting lists into memory, from the rows. Feeds and matches go
// on meanwhile and ask the Space, as they do for ever where other processes write
// to it: there Warm does nothing. The owner calls it once, on a goroutine of its
// own that ctx ends.
func (x *Index) Warm(ctx context.Context) error {
	s := shelf.New()
	if !x.alone || !x.filling.CompareAndSwap(nil, s) {
		return nil
	}
	if err := x.fill(ctx, s); err != nil {
		x.filling.Store(nil)
		return err
	}
	s.Loaded()
	x.lists.Store(s)
	x.log.Info().Int("records", s.Len()).Msg("mpi: posting lists are in memory")
	return nil
}

// fill reads all rows: one goroutine reads, the others put their keys in.
func (x *Index) fill(ctx context.Context, s *shelf.Shelf) error {
	g, ctx := errgroup.WithContext(ctx)
	chunks := make(chan []store.KV, runtime.GOMAXPROCS(0))
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			load := s.Loader()
			var keys []block.Key
			for chunk := range chunks {
				for _, kv := range chunk {
					id := string(kv.Key[len(rowPrefix):])
					var err error
					if keys, err = decodeKeys(keys[:0], id, kv.Value); err != nil {
						return err
					}
					load.Add(id, keys)
				}
			}
			load.Flush()
			return nil
		})
	}
	g.Go(func() error {
		defer close(chunks)
		from, to := []byte(rowPrefix), behind([]byte(rowPrefix))
		for {
			chunk, err := x.space.Scan(ctx, from, to, warmChunk)
			if err != nil || len(chunk) == 0 {
				return err
			}
			select {
			case chunks <- chunk:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			from = append(chunk[len(chunk)-1].Key, 0)
		}
	})
	return g.Wait()
}

// Shelved is what the posting lists in memory hold; zero until Warm is through.
func (x *Index) Shelved() shelf.Size {
	if s := x.lists.Load(); s != nil {
		return s.Size()
	}
	return shelf.Size{}
}

func (x *Index) defaults() (err error) {
	if x.changed == nil {
		x.changed = func() {}
	}
	if x.policy == nil {
		if x.policy, err = policy.Default(); err != nil {
			return err
		}
	}
	if x.model == nil {
		x.model, err = score.Default()
	}
	return err
}

// Sizes of the read caches, in entries. A row is about 1 KiB decoded.
const (
	rowsCached    = 50_000
	personsCached = 100_000
)

// Grade is a rung of http://hl7.org/fhir/ValueSet/match-grade.
type Grade = score.Grade

// Candidate is one person who may be the one asked for.
type Candidate struct {
	Person      fhir.Key   // Patient/<person id>
	Best        fhir.Key   // the member that agrees best
	Members     []fhir.Key // all members, sorted
	Explanation Explanation

	card bool // shares a number with the query, whatever the probability
}

// Explanation tells why two records are, or are not, held for one person.
type Explanation struct {
	A           string            `json:"a,omitempty"` // Patient/..., "" for a query
	B           string            `json:"b,omitempty"`
	Probability float64           `json:"probability"` // 0..1 that they are one person
	Weight      float64           `json:"weight"`      // sum of the field weights, log2
	Grade       Grade             `json:"grade"`
	Verdict     string            `json:"verdict"` // link, review, none, or never
	Rules       []Phrase          `json:"rules"`   // the rules that decided, in words
	Fields      []FieldComparison `json:"fields"`
	Model       string            `json:"model"`
	Same        bool              `json:"samePerson"` // linked at present
}

// Phrase is a coded sentence in both languages.
type Phrase struct {
	Code string     `json:"code"`
	Text score.Text `json:"text"`
}

// Phrases puts rule codes into words.
func Phrases(rs []link.Reason) []Phrase {
	out := make([]Phrase, 0, len(rs))
	for _, r := range rs {
		out = append(out, Phrase{string(r), r.Words()})
	}
	return out
}

// FieldComparison is one field of an Explanation.
type FieldComparison = score.FieldComparison

// MatchOptions narrow a Match.
type MatchOptions struct {
	OnlyCertain bool // onlyCertainMatches
	OnlySingle  bool // onlySingleMatch: the best one, if no other has its grade
	Count       int  // at most; 0 is 20
	Exclude     fhir.Key
}

// Record is the normalised demographics that matching works on.
type Record = normal.Record
