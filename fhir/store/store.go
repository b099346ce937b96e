// Package store is the contract that every storage engine keeps. It holds no
// code but small helpers; fhir/store/storetest is the contract's test.
//
// Engines are multi-version: a commit makes all its versions visible at one
// moment T; a Snapshot at t sees exactly the commits up to t, for reads,
// searches, totals and histories alike, however many commits follow.
package store

import (
	"context"
	"time"

	"hutong/fhir"
	"hutong/fhir/search"
)

// Store is one engine. All methods are safe for concurrent use. Errors are
// *fhir.Error: Conflict for a failed expectation or guard, Busy when the
// engine cannot take a write now (queue full, disk full, closing), NotFound,
// Gone.
type Store interface {
	// Commit makes the operations of tx visible together, durably, or none of
	// them. It returns when the commit is durable and visible to every
	// Snapshot(0) that starts afterwards. The results stand in the order of
	// tx.Ops.
	Commit(ctx context.Context, tx Tx) (Result, error)

	// Snapshot opens a reading at t; 0 asks for the newest. Gone if t is older
	// than the engine keeps. The caller closes it.
	Snapshot(ctx context.Context, t fhir.T) (Snapshot, error)

	// Changes lists committed versions with T > after, oldest first, whole
	// commits only: at least one commit, then up to about limit versions.
	// It is the outbox: what the event tail, the MPI and other followers read.
	Changes(ctx context.Context, after fhir.T, limit int) ([]Change, error)

	// WaitChange returns when a commit with T > after is visible.
	WaitChange(ctx context.Context, after fhir.T) error

	// Space opens a named ordered key-value space beside the resources, for
	// state that is not a FHIR resource (identity links, sessions, cursors).
	// A name is letters, digits and '-'.
	Space(name string) Space

	// Close stops the engine's goroutines and releases its files.
	Close() error
}

// Tx is one transaction.
type Tx struct {
	Ops    []Op
	Guards []Guard
	// Now stamps meta.lastUpdated; the zero value takes the engine's clock.
	// lastUpdated never goes backwards for one resource.
	Now time.Time
}

// Op writes or deletes one resource. A Tx names a key at most once. Deleting
// what is absent or deleted already makes no version: the result then carries
// the version that is current, or the key alone. A deletion keeps the facts of
// what it deletes.
type Op struct {
	Key    fhir.Key
	Method fhir.Method
	Expect Expect
	Body   fhir.Body // of a write
	// Facts, as the extractor gives them: a Patient that an entry of the
	// parameter "patient" refers to is among Facts.Patients.
	Facts fhir.Facts
	// Entries are the index values of Body, as search.Extractor gives them.
	Entries []search.Entry
}

// Expect is what must hold of a key's current version at commit.
type Expect struct {
	Kind      ExpectKind
	VersionID uint64
}

// ExpectKind says how Expect is read.
type ExpectKind uint8

// The expectations. A failed one is fhir.Conflict, with the op's index in
// OpError; the transaction has then done nothing.
const (
	ExpectAny     ExpectKind = iota // no condition
	ExpectAbsent                    // never existed
	ExpectVersion                   // current version is VersionID (deleted versions count)
	ExpectLive                      // exists and is not deleted
)

// Guard must hold at commit: Query (its Restriction included) matches exactly
// the keys of Expect, in any order, as of this commit. Transactions whose
// guards carry equal Claims run one after the other, so of 64 concurrent
// conditional creates one creates. A failed guard is a *GuardError.
type Guard struct {
	Claim  string // canonical form of the criteria: "Patient?identifier=sys|val"
	Query  *search.Query
	Expect []fhir.Key
}

// GuardError says that the guard with this index failed, and what matched.
type GuardError struct {
	Index int
	Found []fhir.Key
}

func (e *GuardError) Error() string { return "store: guard no longer holds" }

// OpError says that the op with this index failed.
type OpError struct {
	Index   int
	Current fhir.Version // zero if absent
	Err     error        // an *fhir.Error
}

func (e *OpError) Error() string { return e.Err.Error() }
func (e *OpError) Unwrap() error { return e.Err }

// Result is what a commit made.
type Result struct {
	T        fhir.T         // of the newest commit, if this one made no version
	Versions []fhir.Version // one an op, in order
}

// Change is one version that a commit made, with what followers route by.
type Change struct {
	fhir.Version
	Facts fhir.Facts
}

// Snapshot reads the store as of one moment. Safe for concurrent use.
type Snapshot interface {
	T() fhir.T

	// Get reads the current version: NotFound if there never was one, Gone
	// (with Resource.Version filled) if it is deleted. No restriction is
	// applied: the caller holds it against Facts.
	Get(ctx context.Context, k fhir.Key) (fhir.Resource, error)

	// GetMany reads several keys; absent and deleted ones are left out. Order
	// follows keys.
	GetMany(ctx context.Context, keys []fhir.Key) ([]fhir.Resource, error)

	// GetVersion reads one version; a deletion is Gone with Version filled.
	GetVersion(ctx context.Context, k fhir.Key, versionID uint64) (fhir.Resource, error)

	// History lists versions newest first.
	History(ctx context.Context, h History) (HistoryPage, error)

	// Search runs q. The order is total and stable within the snapshot.
	Search(ctx context.Context, q *search.Query) (Page, error)

	// Explain tells the plan that Search would take: for operators and tests.
	Explain(ctx context.Context, q *search.Query) (string, error)

	Close()
}

// Page is one page of matches.
type Page struct {
	Matches []fhir.Resource
	Next    []byte // Query.After of the next page; nil at the end
	Total   int    // exact, or -1 if it was not asked for, or not within Query.TotalWithin
}

// History asks for versions: of one resource (Type and ID), one type (Type),
// or all (neither).
type History struct {
	Key         fhir.Key
	Since       time.Time // lastUpdated >= Since; zero = all
	Before      time.Time // lastUpdated < Before (_at); zero = all
	Count       int
	After       []byte
	Restriction search.Restriction
	Total       bool
}

// HistoryPage is one page of versions; a deletion has an empty Body.
type HistoryPage struct {
	Versions []fhir.Resource
	Next     []byte
	Total    int // -1 if not asked for
}

// Space is an ordered key-value space. Keys are at most 1 KiB, values at most
// 8 MiB.
type Space interface {
	// Get returns the value, or nil if there is none.
	Get(ctx context.Context, key []byte) ([]byte, error)
	// Scan lists pairs with from <= key < to (nil = open), ascending, at most
	// limit (0 = all), as of one moment.
	Scan(ctx context.Context, from, to []byte, limit int) ([]KV, error)
	// Apply makes all writes, durably, or none. A write whose Expect does not
	// hold fails the whole with fhir.Conflict.
	Apply(ctx context.Context, writes []Write) error
}

// KV is a pair of a Space.
type KV struct{ Key, Value []byte }

// Write sets Key to Value, or deletes it if Value is nil.
type Write struct {
	Key, Value []byte
	If         Condition
	Old        []byte // for IfEquals
}

// Condition of a Write.
type Condition uint8

// The conditions.
const (
	Always   Condition = iota
	IfAbsent           // the key has no value
	IfEquals           // the value equals Old
)

// Loader is a Space that takes many pairs in at once, for what is made whole: a
// tenth of the work of Apply.
type Loader interface {
	// Load adds the pairs of all parts, durably, or none: what a crash ends never
	// was. Parts run side by side, each puts its pairs in ascending order of their
	// keys, and the ranges of two parts do not overlap. Conflict while an archive
	// follows the store's writes, which would miss them.
	Load(ctx context.Context, parts []Part) error
}

// Part puts pairs in ascending order of their keys, which may be used again
// after put returned.
type Part func(put func(key, value []byte) error) error

// Walker is a Space that gives many pairs without copying each.
type Walker interface {
	// Walk gives the pairs with from <= key < to, ascending, as of one moment,
	// until do fails: its error comes back. The bytes hold until do returns.
	Walk(ctx context.Context, from, to []byte, do func(key, value []byte) error) error
}
