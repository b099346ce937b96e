// Package mpi is the master patient index: which of the hospitals' Patient
// resources are the same person. A source Patient stays as its hospital posted
// it; the index keeps person -> members beside it and every reader joins at
// read time, so a link or unlink rewrites nothing clinical.
package mpi

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/mpi/bulk"
	"hutong/mpi/cache"
	"hutong/mpi/latch"
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
	// Scratch is a folder for a file of about 300 bytes a record, which Warm writes
	// anew and which has no name: to judge by it costs less than by the Space. "": none.
	Scratch string
	Log     zerolog.Logger
	Now     func() time.Time // nil is time.Now
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
	salt    string      // of this process, in the ids that it makes
	locks   latch.Table // of feeds: two records that share a block key wait for each other
	// gate is held shared by feeds and alone by human decisions, which touch
	// any number of records.
	gate    sync.RWMutex
	rows    *cache.Cache[*row]
	glances cache.Places[*row] // by number in the lists
	persons *cache.Cache[*person]
	stats   counters
	loading atomic.Bool    // a first load is under way: feeds and decisions are refused
	alone   bool           // no other process writes to the Space
	judged  *cache.Perhaps // records of which a human decided something
	heard   atomic.Bool    // judged has all of them: Warm is through
	scratch string
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
	var salt [4]byte
	_, _ = rand.Read(salt[:]) // never fails (crypto/rand)
	x.salt = hex.EncodeToString(salt[:])
	x.rows = cache.New[*row](rowsCached, cfg.CacheFor)
	x.glances = cache.NewPlaces[*row](glancesCached)
	x.persons = cache.New[*person](personsCached, cfg.CacheFor)
	x.alone, x.scratch, x.judged = cfg.CacheFor == 0, cfg.Scratch, cache.NewPerhaps()
	return x, ctx.Err()
}

// Warm reads the posting lists into memory, from the rows. Feeds and matches go
// on meanwhile and ask the Space, as they do for ever where other processes write
// to it: there Warm does nothing. The owner calls it once, on a goroutine of its
// own that ctx ends.
func (x *Index) Warm(ctx context.Context) error {
	if !x.alone || x.filling.Load() != nil {
		return nil
	}
	s := shelf.New()
	if x.scratch != "" {
		lost := func(err error) {
			x.log.Warn().Err(err).Msg("mpi: the scratch file is given up: rows are read from the store")
		}
		if err := s.Briefs(x.scratch, lost); err != nil {
			lost(err)
		}
	}
	if !x.filling.CompareAndSwap(nil, s) { // from here on it is told of changes
		return nil
	}
	if err := s.Fill(ctx, x.walkRows, readStored); err != nil {
		x.filling.Store(nil)
		return err
	}
	if err := x.hear(ctx); err != nil {
		x.filling.Store(nil)
		return err
	}
	s.Loaded()
	x.lists.Store(s)
	x.log.Info().Int("records", s.Len()).Msg("mpi: posting lists are in memory")
	return nil
}

// hear reads of which records a human decided something.
func (x *Index) hear(ctx context.Context) error {
	err := x.walk(ctx, decisionPrefix, func(pair, _ []byte) error {
		id, _, _ := bytes.Cut(pair, []byte(sep))
		x.judged.Add(string(id))
		return nil
	})
	x.heard.Store(err == nil)
	return err
}

// walkRows reads all rows.
func (x *Index) walkRows(ctx context.Context, row func(id, value []byte) error) error {
	return x.walk(ctx, rowPrefix, row)
}

// walk reads all that is stored under a prefix; the bytes hold until each returns.
func (x *Index) walk(ctx context.Context, prefix string, each func(rest, value []byte) error) error {
	from, to := []byte(prefix), behind([]byte(prefix))
	do := func(k, v []byte) error { return each(k[len(prefix):], v) }
	if w, ok := x.space.(store.Walker); ok {
		return w.Walk(ctx, from, to, do)
	}
	for {
		chunk, err := x.space.Scan(ctx, from, to, 2048)
		if err != nil || len(chunk) == 0 {
			return err
		}
		for _, kv := range chunk {
			if err := do(kv.Key, kv.Value); err != nil {
				return err
			}
		}
		from = append(chunk[len(chunk)-1].Key, 0)
	}
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

// Sizes of the read caches, in entries. A row is about 2 KiB decoded, a glance 1.
const (
	rowsCached    = 25_000
	glancesCached = 1 << 16
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

// clock gives microseconds that never repeat within a process: the order of
// journal entries and of person ids.
type clock struct{ last atomic.Int64 }

func (c *clock) micros(now time.Time) int64 {
	for {
		last := c.last.Load()
		t := max(now.UnixMicro(), last+1)
		if c.last.CompareAndSwap(last, t) {
			return t
		}
	}
}

// counters are what the index counts of its own work since Open.
type counters struct {
	feeds, unchanged, retries, links, reviews, skipped, oversized, overlays atomic.Int64
}

// Stats tells what the index did since Open.
type Stats struct {
	Feeds     int64 `json:"feeds"`     // versions taken in
	Unchanged int64 `json:"unchanged"` // of these, repeats
	Retries   int64 `json:"retries"`   // after a concurrent change
	Links     int64 `json:"links"`     // changes of a person's members
	Reviews   int64 `json:"reviews"`   // tasks opened
	Skipped   int64 `json:"skipped"`   // block lists passed over as too long
	Oversized int64 `json:"oversized"` // components too large to divide anew
	Overlays  int64 `json:"overlays"`  // updates that made a record speak of another human
}

// Stats reads the counters.
func (x *Index) Stats() Stats {
	s := &x.stats
	return Stats{s.feeds.Load(), s.unchanged.Load(), s.retries.Load(), s.links.Load(), s.reviews.Load(), s.skipped.Load(), s.oversized.Load(), s.overlays.Load()}
}

// ask opens the tasks: of each record, the pair with each other person that most
// calls for one.
func (l *loader) ask(ctx context.Context) error {
	l.done.Store(0)
	return l.each(ctx, compartments, func(_ context.Context, next func() (int, bool)) error {
		w := l.out.Writer()
		var room []byte
		for i, ok := next(); ok; i, ok = next() {
			var err error
			if room, err = l.reviews.Take(i, room[:0]); err != nil {
				return err
			}
			vs := bulk.ReadVerdicts(room)
			slices.SortFunc(vs, func(v, w bulk.Verdict) int {
				return cmp.Or(cmp.Compare(v.B, w.B), cmp.Compare(l.homes[v.A], l.homes[w.A]))
			})
			for len(vs) > 0 {
				n := 1
				for n < len(vs) && vs[n].B == vs[0].B && l.homes[vs[n].A] == l.homes[vs[0].A] {
					n++
				}
				l.doubt(w, vs[:n])
				vs = vs[n:]
			}
			l.o.Progress("ask", int(l.done.Add(1)), compartments)
			if w.Err() != nil {
				return w.Err()
			}
		}
		return w.Flush()
	})
}

func (l *loader) task(w *bulk.Writer, t *Task) {
	l.tasks.Add(1)
	l.x.stats.reviews.Add(1)
	t.Status, t.Created = StatusOpen, time.UnixMicro(l.base).UTC()
	t.Kind, t.Risk = classify(t.Reasons, t.Probability)
	set(w, taskPrefix, t.ID, t)
	set(w, taskOfPrefix, pair("", t.A, t.ID), true)
	set(w, taskOfPrefix, pair("", t.B, t.ID), true)
	set(w, taskStatusPrefix, t.order()[len(taskStatusPrefix):], t.ID)
}

// set adds a value as JSON.
func set(w *bulk.Writer, kind, rest string, v any) { w.Add(kind, rest, put("", v).Value) }

// claim has the index to itself, if it is empty.
func (x *Index) claim(ctx context.Context) error {
	x.gate.Lock()
	defer x.gate.Unlock()
	if x.loading.Load() {
		return errLoading
	}
	for _, prefix := range []string{rowPrefix, personPrefix} {
		kvs, err := x.space.Scan(ctx, []byte(prefix), behind([]byte(prefix)), 1)
		if err != nil {
			return err
		}
		if len(kvs) > 0 {
			return fhir.Errorf(fhir.Conflict, "the index knows Patients already: only an empty one is loaded")
		}
	}
	x.loading.Store(true)
	x.filling.Store(nil)
	x.lists.Store(nil)
	return nil
}

// decisive has the gate to a human decision, which gives it back.
func (x *Index) decisive() error {
	x.gate.Lock()
	if x.loading.Load() {
		x.gate.Unlock()
		return errLoading
	}
	return nil
}
