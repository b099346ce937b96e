package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"hutong/fhir"
	"hutong/fhir/search"
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
	return fhir.Key{Type: "AuditEvent", ID: fmt.Sprintf("%s-%012d", chain, seq)}
}

// hashOf is the hash of a record: SHA-256 of its stored body.
func hashOf(b fhir.Body) string {
	sum := sha256.Sum256(b.Raw)
	return hex.EncodeToString(sum[:])
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

// chain appends records. Only the writer goroutine calls append.
type chain struct {
	name    string
	store   store.Store
	extract func(fhir.Body, fhir.Key) ([]search.Entry, fhir.Facts, error)

	mu     sync.Mutex // guards head, which others read
	head   Head
	stored []byte // the head as the space holds it; nil if it holds none
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
		return c.advance(ctx, Head{})
	}
	if head.Seq > 0 {
		r, err := snap.Get(ctx, recordKey(c.name, head.Seq))
		if err != nil || hashOf(r.Body) != head.Hash {
			return fmt.Errorf("audit: chain %s does not end as its head says (record %d): run verify-audit: %w", c.name, head.Seq, errors.Join(err, errBroken))
		}
	}
	adopted := head
	for {
		r, err := snap.Get(ctx, recordKey(c.name, adopted.Seq+1))
		if errors.Is(err, fhir.E(fhir.NotFound)) {
			break
		}
		if err != nil || previousOf(r.Body) != linkTo(adopted) {
			return fmt.Errorf("audit: chain %s is broken behind its head (record %d): run verify-audit: %w", c.name, adopted.Seq+1, errors.Join(err, errBroken))
		}
		adopted = Head{adopted.Seq + 1, hashOf(r.Body)}
	}
	c.set(head, stored)
	if adopted != head {
		return c.advance(ctx, adopted)
	}
	return nil
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

func (c *chain) set(h Head, stored []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.head, c.stored = h, stored
}

// append commits the batch behind the head: first the records, then the head,
// and only then is anybody answered. So the head never promises a record that
// is not there, and a tail that was cut off is always missed.
func (c *chain) append(ctx context.Context, batch []*request) error {
	err := c.try(ctx, batch)
	if errors.Is(err, fhir.E(fhir.Conflict)) {
		// Another writer of this chain's name, or a head that an earlier
		// failure left behind: find the true end and try once more.
		if rerr := c.resume(ctx); rerr != nil {
			return errors.Join(err, rerr)
		}
		err = c.try(ctx, batch)
	}
	return err
}

func (c *chain) try(ctx context.Context, batch []*request) error {
	end := c.head
	var tx store.Tx
	for _, r := range batch {
		first := end.Seq + 1
		for _, e := range r.events {
			key := recordKey(c.name, end.Seq+1)
			body, err := e.body(key, recordKey(c.name, first), linkTo(end))
			if err != nil {
				return err
			}
			entries, facts, err := c.extract(body, key)
			if err != nil {
				return fmt.Errorf("audit: index %s: %w", key, err)
			}
			facts.Custodian = e.custodian
			tx.Ops = append(tx.Ops, store.Op{
				Key: key, Method: fhir.Created, Expect: store.Expect{Kind: store.ExpectAbsent},
				Body: body, Facts: facts, Entries: entries,
			})
			end = Head{end.Seq + 1, hashOf(body)}
		}
	}
	if _, err := c.store.Commit(ctx, tx); err != nil {
		return err
	}
	return c.advance(ctx, end)
}

// advance makes the head durable.
func (c *chain) advance(ctx context.Context, h Head) error {
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
	c.set(h, next)
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
