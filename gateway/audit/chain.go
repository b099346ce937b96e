package audit

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/profiles"
)

// PreviousExtension carries the hash of the record before, in hex.
const PreviousExtension = profiles.Canonical + "/StructureDefinition/audit-previous"

// spaceName is the store.Space that keeps the heads: "head/<chain>" -> Head.
const (
	spaceName  = "audit"
	headPrefix = "head/"
)

// Head is the durable end of a chain.
type Head struct {
	Seq  uint64 `json:"seq"`  // number of records
	Hash string `json:"hash"` // of the last record, hex; "" of an empty chain
}

// genesis stands for the record before the first.
var genesis = strings.Repeat("0", 2*sha256.Size)

// recordKey names a record: "<chain>-<seq, 12 digits>", counted from 1.
func recordKey(chain string, seq uint64) fhir.Key {
	return fhir.Key{Type: Type, ID: string(appendID(nil, chain, seq))}
}

// previousOf reads the hash that a record carries of the one before; "" if it
// carries none.
func previousOf(b fhir.Body) string {
	var v struct {
		Extension []struct {
			URL   string `json:"url"`
			Value string `json:"valueString"`
		} `json:"extension"`
	}
	if json.Unmarshal(b.Raw, &v) != nil {
		return ""
	}
	for _, x := range v.Extension {
		if x.URL == PreviousExtension {
			return x.Value
		}
	}
	return ""
}

// chain appends records. Only the committer's goroutine calls its methods.
type chain struct {
	name  string
	store store.Store
	every time.Duration // how far the head may stay behind

	mu  sync.Mutex // guards end, which others read
	end Head       // of the durable records

	head   Head      // as it was last made durable
	stored []byte    // head as the space holds it; nil if it holds none
	since  time.Time // since when the head is behind; zero if it is not
	next   time.Time // when it is to be written
}

// resume reads the head, checks that its record is what it was, and adopts
// records that were committed but whose head was not: a crash leaves at most
// one batch of those, none of them answered.
func (c *chain) resume(ctx context.Context) error {
	head, stored, err := readHead(ctx, c.store, c.name)
	if err != nil {
		return err
	}
	snap, err := c.store.Snapshot(ctx, 0)
	if err != nil {
		return err
	}
	defer snap.Close()
	if stored == nil {
		// The first start writes the head of the empty chain before any record,
		// so records without a head have lost it.
		if _, err := snap.Get(ctx, recordKey(c.name, 1)); !errors.Is(err, fhir.E(fhir.NotFound)) {
			return fmt.Errorf("audit: chain %s has records but no head: run verify-audit: %w", c.name, errors.Join(err, errBroken))
		}
		return c.write(ctx, Head{})
	}
	if head.Seq > 0 {
		r, err := snap.Get(ctx, recordKey(c.name, head.Seq))
		if err != nil || hashOf(r.Body) != head.Hash {
			return fmt.Errorf("audit: chain %s does not end as its head says (record %d): run verify-audit: %w", c.name, head.Seq, errors.Join(err, errBroken))
		}
	}
	end := head
	for {
		r, err := snap.Get(ctx, recordKey(c.name, end.Seq+1))
		if errors.Is(err, fhir.E(fhir.NotFound)) {
			break
		}
		if err != nil || previousOf(r.Body) != linkTo(end) {
			return fmt.Errorf("audit: chain %s is broken behind its head (record %d): run verify-audit: %w", c.name, end.Seq+1, errors.Join(err, errBroken))
		}
		end = Head{end.Seq + 1, hashOf(r.Body)}
	}
	c.head, c.stored = head, stored
	c.set(end)
	return c.advance(ctx)
}

var errBroken = errors.New("broken chain")

// linkTo is what the record after head must carry.
func linkTo(h Head) string {
	if h.Seq == 0 {
		return genesis
	}
	return h.Hash
}

func readHead(ctx context.Context, s store.Store, chain string) (h Head, stored []byte, err error) {
	stored, err = s.Space(spaceName).Get(ctx, []byte(headPrefix+chain))
	if err != nil || stored == nil {
		return h, nil, err
	}
	if err := json.Unmarshal(stored, &h); err != nil {
		return h, stored, fmt.Errorf("audit: head of chain %s: %w", chain, err)
	}
	return h, stored, nil
}

func (c *chain) set(end Head) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end = end
}

// append commits the batch behind the end.
func (c *chain) append(ctx context.Context, b *batch) error {
	err := c.try(ctx, b)
	if errors.Is(err, fhir.E(fhir.Conflict)) {
		// Another writer of this chain's name, or records that an earlier
		// failure left behind: find the true end and try once more.
		if rerr := c.resume(ctx); rerr != nil {
			return errors.Join(err, rerr)
		}
		b.rebase(c.end)
		err = c.try(ctx, b)
	}
	return err
}

// try commits the batch, but so long as the head cannot be written, nothing is.
func (c *chain) try(ctx context.Context, b *batch) error {
	if !c.since.IsZero() && time.Since(c.since) > overdue*c.every {
		if err := c.advance(ctx); err != nil {
			return err
		}
	}
	return c.commit(ctx, b)
}

// commit makes the batch durable, all or nothing. That each key must be absent
// keeps two writers of one name from forking the chain.
func (c *chain) commit(ctx context.Context, b *batch) error {
	if _, err := c.store.Commit(ctx, store.Tx{Ops: b.ops}); err != nil {
		return err
	}
	c.set(b.end)
	if c.since.IsZero() {
		c.since = time.Now()
		c.next = c.since.Add(c.every)
	}
	return nil
}

// due fires when the head is to be written; never if it is not behind.
func (c *chain) due() <-chan time.Time {
	if c.since.IsZero() {
		return nil
	}
	return time.After(time.Until(c.next))
}

// isDue tells whether the head is to be written now.
func (c *chain) isDue() bool { return !c.since.IsZero() && !time.Now().Before(c.next) }

// keep is advance where another writer of this chain's name may have been
// first.
func (c *chain) keep(ctx context.Context) error {
	err := c.advance(ctx)
	if errors.Is(err, fhir.E(fhir.Conflict)) {
		err = c.resume(ctx)
	}
	return err
}

// advance makes the head durable if it is behind.
func (c *chain) advance(ctx context.Context) error {
	if c.head == c.end {
		c.since = time.Time{}
		return nil
	}
	if err := c.write(ctx, c.end); err != nil {
		c.next = time.Now().Add(max(c.every, leastPause))
		return err
	}
	c.since = time.Time{}
	return nil
}

// write replaces the head that the space holds, which nobody else may have
// done.
func (c *chain) write(ctx context.Context, h Head) error {
	next, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("audit: head: %w", err)
	}
	w := store.Write{Key: []byte(headPrefix + c.name), Value: next, If: store.IfEquals, Old: c.stored}
	if c.stored == nil {
		w.If = store.IfAbsent
	}
	if err := c.store.Space(spaceName).Apply(ctx, []store.Write{w}); err != nil {
		return err
	}
	c.head, c.stored = h, next
	return nil
}

// parseRecord splits a record's id into chain and number.
func parseRecord(id string) (chain string, seq uint64, ok bool) {
	chain, digits, ok := strings.Cut(id, "-")
	if !ok || len(digits) != 12 || !validChain(chain) {
		return "", 0, false
	}
	seq, err := strconv.ParseUint(digits, 10, 64)
	return chain, seq, err == nil
}
