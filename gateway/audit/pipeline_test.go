package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/gateway/audit"
	"hutong/gateway/principal"
)

// everyKind are requests of all shapes that the log knows, with texts that
// need care in JSON.
func everyKind(t *testing.T, l *audit.Log) {
	t.Helper()
	hostile := &principal.Principal{
		Subject: `a"b\`, Name: "林\x01\xff<&>\u2028\n", Client: "c", Organization: "org", Practitioner: "p",
		Roles: []principal.Role{principal.Clinician, principal.Auditor},
	}
	for _, ctx := range []context.Context{
		t.Context(), principal.With(t.Context(), hostile), principal.With(t.Context(), &principal.Principal{Subject: "his", Client: "his"}),
		principal.WithOrigin(principal.With(t.Context(), drLin), principal.Origin{Address: "192.0.2.7"}),
	} {
		for _, who := range [][]string{nil, {"a1"}, {"a1", "a2"}, {"a1", "b", "c"}} {
			d := disclosure(who...)
			for _, op := range []string{"read", "search-type", "create", "update", "delete", "transaction", "$everything", "history-system"} {
				d.Op.Interaction, d.Caller = op, nil
				must(t, l.Record(ctx, d))
			}
			d.Caller, d.Err, d.Query = caller{purpose: "BTG"}, fhir.Errorf(fhir.Internal, "no"), "patient=a1,b"
			must(t, l.Record(ctx, d))
			must(t, l.Record(ctx, interact.Disclosure{Op: interact.Op{Interaction: "create"}, Total: -1}))
		}
		must(t, l.Event(ctx, audit.Event{Action: audit.LoginFailed, Subject: `x"y`, Failed: true, Reason: "no \"such\" \x00", Keys: []fhir.Key{{Type: "Patient", ID: "a1"}}}))
		odd := interact.Disclosure{Op: interact.Op{Interaction: "read"}, Total: -1}
		for _, k := range []fhir.Key{{Type: "Observation", ID: "a b"}, {Type: "Observation", ID: "a/_history/1"}, {Type: "Patient", ID: "#x"}, {Type: "observation", ID: "1"}, {Type: "", ID: "1"}, {Type: "Patient", ID: "some-resource"}} {
			odd.Keys = append(odd.Keys, k)
		}
		must(t, l.Record(ctx, odd))
		must(t, l.Event(ctx, audit.Event{Action: "new", Patients: []fhir.Key{{Type: "Patient", ID: "a1"}}, Purpose: "TREAT"}))
	}
}

// TestIndexIsThatOfTheWholeBody: what the log says of a record's index, put
// together from halves before the record had its place, is what the engine
// would extract from the stored body.
func TestIndexIsThatOfTheWholeBody(t *testing.T) {
	t.Parallel()
	st := openStore(t, t.TempDir())
	f := &faulty{Store: st}
	var seen int
	parts := 0
	check := func(ctx context.Context, tx store.Tx) (store.Result, error) {
		for i := range tx.Ops {
			op := &tx.Ops[i]
			seen++
			if bytes.Contains(op.Body.Raw, []byte(`"AuditEvent/`)) {
				parts++
			}
			if !json.Valid(op.Body.Raw) || !strings.Contains(string(op.Body.Raw), `"id":"`+op.Key.ID+`"`) {
				t.Errorf("%s: %s", op.Key, op.Body.Raw)
			}
			entries, facts, err := extractor().ExtractBody(op.Body, op.Key)
			if err != nil {
				t.Error(err)
			}
			facts.Custodian = "org-exchange"
			if got, want := lines(op.Entries), lines(entries); !slices.Equal(got, want) {
				t.Errorf("%s\ngot  %s\nwant %s", op.Body.Raw, got, want)
			}
			if got, want := fmt.Sprint(op.Facts), fmt.Sprint(facts); got != want {
				t.Errorf("%s\ngot  %s\nwant %s", op.Body.Raw, got, want)
			}
		}
		return st.Commit(ctx, tx)
	}
	f.commit.Store(&check)
	l := openLog(t, f, nil)
	for range 2 { // from memory, too
		everyKind(t, l)
	}
	must(t, l.Close(t.Context()))
	if seen < 300 || parts < 100 {
		t.Errorf("%d records, %d of them parts", seen, parts)
	}
	for _, r := range find(t, st, "action=E") {
		valid(t, &r)
	}
	must(t, st.Check(t.Context()))
	must(t, st.Close())
}

func lines(entries []search.Entry) []string {
	var all []string
	for i := range entries {
		e := entries[i]
		line := fmt.Sprintf("%s %s|%s|%s|%s %d..%d %v", e.Param.URL, e.System, e.Code, e.Text, e.Version, e.Lo, e.Hi, e.Derived)
		if e.Ident != nil {
			line += fmt.Sprint(*e.Ident)
		}
		all = append(all, line)
	}
	slices.Sort(all)
	return all
}

// told reads all records of the chain in order: the marks of their queries,
// "" where a record has none, and whether each part refers to the right whole.
func told(t *testing.T, st store.Store, n uint64) (marks []string) {
	t.Helper()
	snap, err := st.Snapshot(t.Context(), 0)
	must(t, err)
	defer snap.Close()
	whole := ""
	for seq := uint64(1); seq <= n; seq++ {
		r, err := snap.Get(t.Context(), fhir.Key{Type: "AuditEvent", ID: fmt.Sprintf("audit-%012d", seq)})
		must(t, err)
		var e struct {
			Entity []struct {
				Query []byte
				What  struct{ Reference string }
			}
		}
		must(t, json.Unmarshal(r.Body.Raw, &e))
		mark := ""
		for _, x := range e.Entity {
			mark += string(x.Query)
			if strings.HasPrefix(x.What.Reference, "AuditEvent/") && x.What.Reference != whole {
				t.Errorf("record %d is part of %s, not of %s", seq, x.What.Reference, whole)
			}
		}
		if mark != "" {
			whole = r.Key.String()
		}
		marks = append(marks, mark)
	}
	return marks
}

// TestOrderUnderConcurrency: what one caller had recorded before stands before,
// the records of one request stand together, and nothing stands twice; while
// commits fail before and after they happen, and heads fail.
func TestOrderUnderConcurrency(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		st := openStore(t, t.TempDir())
		f := &faulty{Store: st}
		var mu sync.Mutex
		var held [][2][]byte // bodies of failed commits, and what they were
		r := rand.New(rand.NewPCG(seed, 7))
		dice := func(n int) int {
			mu.Lock()
			defer mu.Unlock()
			return r.IntN(n)
		}
		l := openLog(t, f, func(c *audit.Config) { c.Batch, c.HeadEvery = 1+dice(20), time.Duration(1+dice(3_000_000)) })
		if seed > 0 { // seed 0: nothing fails
			commit := func(ctx context.Context, tx store.Tx) (res store.Result, err error) {
				defer func() {
					mu.Lock()
					defer mu.Unlock()
					for i := range tx.Ops { // as a store that has not let go of what it refused
						if err != nil {
							held = append(held, [2][]byte{tx.Ops[i].Body.Raw, bytes.Clone(tx.Ops[i].Body.Raw)})
						}
					}
				}()
				switch dice(8) {
				case 0:
					return res, fhir.Errorf(fhir.Busy, "not done")
				case 1:
					_, err := st.Commit(ctx, tx)
					return res, errors.Join(fhir.Errorf(fhir.Busy, "done, but not told"), err)
				}
				return st.Commit(ctx, tx)
			}
			apply := func(ctx context.Context, w []store.Write) error {
				if dice(4) == 0 {
					return fhir.Errorf(fhir.Busy, "no head now")
				}
				return st.Space("audit").Apply(ctx, w)
			}
			f.commit.Store(&commit)
			f.apply.Store(&apply)
		}
		var wg sync.WaitGroup
		answered := make([][]int, 12)
		for who := range answered {
			wg.Go(func() {
				for i := range 20 {
					d := disclosure([][]string{{"a1"}, {"a1", "b"}}[dice(2)]...)
					d.Query = fmt.Sprintf("m=%d.%d", who, i)
					if l.Record(context.Background(), d) == nil {
						answered[who] = append(answered[who], i)
					}
				}
			})
		}
		wg.Wait()
		f.commit.Store(nil)
		f.apply.Store(nil)
		must(t, l.Record(t.Context(), disclosure("a1"))) // meets what was done and not told
		must(t, l.Close(t.Context()))
		report, err := audit.Verify(t.Context(), st)
		must(t, err)
		if !report.Whole || report.Chains[0].Records != l.Head().Seq || report.Chains[0].Behind != 0 {
			t.Errorf("seed %d: %+v, head %+v", seed, report, l.Head())
		}
		for _, pair := range held {
			if !bytes.Equal(pair[0], pair[1]) {
				t.Errorf("a body was changed after it had been handed to the store")
			}
		}
		ordered(t, told(t, st, report.Chains[0].Records), answered)
		must(t, st.Close())
	}
}

// ordered checks that each mark that was answered stands once, and each
// caller's in their order.
func ordered(t *testing.T, marks []string, answered [][]int) {
	t.Helper()
	at := map[string]int{}
	for i, m := range marks {
		if _, twice := at[m]; twice && m != "" {
			t.Errorf("%s stands twice", m)
		}
		at[m] = i
	}
	n := 0
	for who, all := range answered {
		last := -1
		for _, i := range all {
			n++
			place, ok := at[fmt.Sprintf("m=%d.%d", who, i)]
			if !ok || place < last {
				t.Errorf("caller %d: answer %d stands at %d (%v), the one before at %d", who, i, place, ok, last)
			}
			last = place
		}
	}
	if n == 0 {
		t.Error("nothing was answered")
	}
}

// cut is a store whose last records are not there, by whatever way they went.
type cut struct {
	store.Store
	from string // the first id that is gone
}

type cutSnapshot struct {
	store.Snapshot
	from string
}

func (c cut) Snapshot(ctx context.Context, at fhir.T) (store.Snapshot, error) {
	snap, err := c.Store.Snapshot(ctx, at)
	return cutSnapshot{snap, c.from}, err
}

func (s cutSnapshot) Get(ctx context.Context, k fhir.Key) (fhir.Resource, error) {
	if k.Type == "AuditEvent" && k.ID >= s.from {
		return fhir.Resource{}, fhir.Errorf(fhir.NotFound, "gone")
	}
	return s.Snapshot.Get(ctx, k)
}

func (s cutSnapshot) GetMany(ctx context.Context, keys []fhir.Key) ([]fhir.Resource, error) {
	kept := slices.DeleteFunc(slices.Clone(keys), func(k fhir.Key) bool { return k.Type == "AuditEvent" && k.ID >= s.from })
	return s.Snapshot.GetMany(ctx, kept)
}

// TestATailThatIsGoneIsMissed: whatever number of records is cut off without a
// trace, verification finds the first of them and no log continues before it.
func TestATailThatIsGoneIsMissed(t *testing.T) {
	t.Parallel()
	const n = 6
	st := openStore(t, chainOf(t, n))
	defer func() { must(t, st.Close()) }()
	for first := uint64(1); first <= n; first++ {
		c := cut{st, fmt.Sprintf("audit-%012d", first)}
		report, err := audit.Verify(t.Context(), c)
		must(t, err)
		if report.Whole || len(report.Faults) != 1 || report.Faults[0].Seq != first {
			t.Errorf("cut from %d: %+v", first, report)
		}
		if l, err := audit.Open(t.Context(), audit.Config{Store: c, Extractor: extractor(), Custodian: "x"}); err == nil {
			t.Errorf("cut from %d: opened", first)
			must(t, l.Close(t.Context()))
		}
	}
}

// TestHeadFollows: under load and when all is still, the durable head is no
// older than its interval (times the patience of the test).
func TestHeadFollows(t *testing.T) {
	t.Parallel()
	st := openStore(t, t.TempDir())
	l := openLog(t, st, func(c *audit.Config) { c.HeadEvery = 5 * time.Millisecond })
	defer closeAll(t, l, st)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var records atomic.Uint64
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if l.Record(context.Background(), disclosure("a1")) == nil {
						records.Add(1)
					}
				}
			}
		})
	}
	stored := func() (h audit.Head) {
		raw, err := st.Space("audit").Get(t.Context(), []byte("head/audit"))
		must(t, err)
		must(t, json.Unmarshal(raw, &h))
		return h
	}
	reaches := func(seq uint64) {
		for deadline := time.Now().Add(10 * time.Second); stored().Seq < seq; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the head stands at %d, not at %d", stored().Seq, seq)
			}
		}
	}
	for records.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	reaches(records.Load()) // while others come
	close(stop)
	wg.Wait()
	reaches(records.Load()) // when nobody comes
	if stored() != l.Head() {
		t.Errorf("%+v, %+v", stored(), l.Head())
	}
}
