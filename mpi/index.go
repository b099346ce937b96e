// Package mpi is the master patient index: which of the hospitals' Patient
// resources are the same person. A source Patient stays as its hospital posted
// it; the index keeps person -> members beside it and every reader joins at
// read time, so a link or unlink rewrites nothing clinical.
package mpi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/mpi/link"
	"hutong/mpi/normal"
	"hutong/mpi/policy"
	"hutong/mpi/score"
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
	return x, ctx.Err()
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
