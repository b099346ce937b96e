package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store"
)

// Report is what Verify found.
type Report struct {
	Whole  bool      `json:"whole"`  // every chain is
	Chains []Summary `json:"chains"` // by name
	Faults []Fault   `json:"faults"` // the first one of each chain that is not whole
}

// Fault is a place where a chain is not what it was.
type Fault struct {
	Chain  string `json:"chain"`
	Seq    uint64 `json:"seq"` // the first record that is broken or missing
	Reason string `json:"reason"`
}

func (f Fault) String() string {
	return fmt.Sprintf("%s: %s", recordKey(f.Chain, f.Seq), f.Reason)
}

// Summary tells of one verified chain.
type Summary struct {
	Chain   string `json:"chain"`
	Records uint64 `json:"records"` // verified
	Hash    string `json:"hash"`    // of the last verified record
	// Behind are records behind the head, which follows a moment later: on a
	// node that runs, or that a crash ended. It adopts them at its next start.
	Behind uint64 `json:"behindHead,omitempty"`
	Whole  bool   `json:"whole"`
}

// add notes a chain and its fault, if it has one.
func (r *Report) add(s Summary, f *Fault) {
	s.Whole = f == nil
	r.Chains = append(r.Chains, s)
	if f != nil {
		r.Whole, r.Faults = false, append(r.Faults, *f)
	}
}

// verifyBatch is how many records are read at once.
const verifyBatch = 500

// Verify proves every chain whole: each record is there, once, unchanged, in
// order, and the head names the last one, or one of the last (Summary.Behind). The error is
// of reading the store, not of a chain.
func Verify(ctx context.Context, s store.Store) (Report, error) {
	report := Report{Whole: true, Chains: []Summary{}, Faults: []Fault{}}
	heads, err := s.Space(spaceName).Scan(ctx, []byte(headPrefix), []byte("head0"), 0)
	if err != nil {
		return report, err
	}
	snap, err := s.Snapshot(ctx, 0)
	if err != nil {
		return report, err
	}
	defer snap.Close()
	for _, kv := range heads {
		v := verifier{chain: strings.TrimPrefix(string(kv.Key), headPrefix), snap: snap}
		fault := &Fault{v.chain, 0, "the head record cannot be read"}
		if json.Unmarshal(kv.Value, &v.head) == nil {
			if fault, err = v.run(ctx); err != nil {
				return report, err
			}
		}
		report.add(v.summary(), fault)
	}
	return report, headless(ctx, snap, &report)
}

// headless looks for records of chains that have lost their head.
func headless(ctx context.Context, snap store.Snapshot, report *Report) error {
	known := map[string]bool{}
	for _, s := range report.Chains {
		known[s.Chain] = true
	}
	q := search.Query{Type: "AuditEvent", Count: 1000, Restriction: search.Unrestricted()}
	for {
		page, err := guarded(func() (store.Page, error) { return snap.Search(ctx, &q) })
		if err != nil && !report.Whole {
			return ctx.Err() // the search meets the same damage
		}
		if err != nil {
			return err
		}
		for i := range page.Matches {
			chain, _, ok := parseRecord(page.Matches[i].ID)
			if ok && !known[chain] {
				known[chain] = true
				report.add(Summary{Chain: chain}, &Fault{chain, 1, "the chain has no head record"})
			}
		}
		if page.Next == nil {
			return nil
		}
		q.After = page.Next
	}
}

// verifier walks one chain.
type verifier struct {
	chain string
	head  Head
	snap  store.Snapshot
	end   Head // last record read
	prior Head // the one before

	behind uint64 // records after the head
}

func (v *verifier) run(ctx context.Context) (*Fault, error) {
	for v.end.Seq < v.head.Seq {
		records, missing, err := v.read(ctx, min(verifyBatch, v.head.Seq-v.end.Seq))
		if err != nil {
			return nil, err
		}
		for i := range records {
			if f := v.step(ctx, &records[i]); f != nil {
				return f, nil
			}
		}
		if missing != nil {
			return missing, nil
		}
	}
	if v.end != v.head {
		return &Fault{v.chain, v.head.Seq, "its content is not what the head record names"}, nil
	}
	return v.tail(ctx)
}

func (v *verifier) summary() Summary {
	return Summary{Chain: v.chain, Records: v.end.Seq, Hash: v.end.Hash, Behind: v.behind}
}

// read gets the next n records, or those before the first that is missing or
// cannot be read.
func (v *verifier) read(ctx context.Context, n uint64) ([]fhir.Resource, *Fault, error) {
	keys := make([]fhir.Key, n)
	for i := range keys {
		keys[i] = recordKey(v.chain, v.end.Seq+1+uint64(i))
	}
	records, err := guarded(func() ([]fhir.Resource, error) { return v.snap.GetMany(ctx, keys) })
	if err == nil && len(records) == len(keys) {
		return records, nil, nil
	}
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	records = records[:0:0]
	for i, k := range keys { // one by one, to find which
		r, err := v.get(ctx, k)
		if err != nil {
			return records, &Fault{v.chain, v.end.Seq + 1 + uint64(i), missing(err)}, ctx.Err()
		}
		records = append(records, r)
	}
	return records, nil, nil
}

func (v *verifier) get(ctx context.Context, k fhir.Key) (fhir.Resource, error) {
	return guarded(func() (fhir.Resource, error) { return v.snap.Get(ctx, k) })
}

// guarded calls f where an engine that meets a damaged block may end the
// goroutine (Pebble's default answer to corruption) and not the verification.
func guarded[T any](f func() (T, error)) (value T, err error) {
	done := make(chan struct{})
	err = errors.New("the engine gave up on it")
	go func() {
		defer close(done)
		value, err = f()
	}()
	<-done
	return value, err
}

func missing(err error) string {
	switch {
	case errors.Is(err, fhir.E(fhir.NotFound)):
		return "it is missing"
	case errors.Is(err, fhir.E(fhir.Gone)):
		return "it was deleted"
	}
	return "it cannot be read: " + err.Error()
}

// step holds the next record to the one before. When the two do not fit, the
// one that its own successor vouches for is taken as whole.
func (v *verifier) step(ctx context.Context, r *fhir.Resource) *Fault {
	here := Head{v.end.Seq + 1, hashOf(r.Body)}
	if r.VersionID != 1 {
		return &Fault{v.chain, here.Seq, fmt.Sprintf("it was changed: this is version %d", r.VersionID)}
	}
	if previousOf(r.Body) != linkTo(v.end) {
		if v.end.Seq > 0 && v.vouched(ctx, here) {
			broken := v.end.Seq
			v.end = v.prior
			return &Fault{v.chain, broken, "its content is not what the record after it names"}
		}
		return &Fault{v.chain, here.Seq, "it does not follow the record before it"}
	}
	v.prior, v.end = v.end, here
	return nil
}

// vouched reports whether the successor of a record, or the head, names its
// hash.
func (v *verifier) vouched(ctx context.Context, h Head) bool {
	if h.Seq == v.head.Seq {
		return h.Hash == v.head.Hash
	}
	next, err := v.get(ctx, recordKey(v.chain, h.Seq+1))
	return err == nil && previousOf(next.Body) == h.Hash
}

// tail looks behind the head.
func (v *verifier) tail(ctx context.Context) (*Fault, error) {
	for {
		r, err := v.get(ctx, recordKey(v.chain, v.end.Seq+1))
		if errors.Is(err, fhir.E(fhir.NotFound)) {
			return nil, nil
		}
		if err != nil {
			return &Fault{v.chain, v.end.Seq + 1, missing(err)}, ctx.Err()
		}
		if f := v.step(ctx, &r); f != nil {
			return f, nil
		}
		v.behind++
	}
}
