package mongo_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/fhir/store/mongo"
	"hutong/fhir/store/storetest"
)

var world = sync.OnceValue(storetest.NewWorld)

func patient(id, family string) string {
	return fmt.Sprintf(`{"resourceType":"Patient","id":%q,"name":[{"family":%q}],"identifier":[{"system":"http://example.org/mrn","value":%q}]}`, id, family, id)
}

func op(t *testing.T, m fhir.Method, src string) store.Op {
	t.Helper()
	o, err := world().Op(m, src)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func put(t *testing.T, s store.Store, ops ...store.Op) store.Result {
	t.Helper()
	r, err := s.Commit(t.Context(), store.Tx{Ops: ops})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// node opens one more engine on a database; it closes with the test.
func node(t *testing.T, uri string, o mongo.Options) *mongo.Store {
	t.Helper()
	o.Extract = world().Extract
	s := open(t, uri, o)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// see gives what a query finds at a snapshot, as id.version.
func see(t *testing.T, s store.Store, at fhir.T, query string) []string {
	t.Helper()
	snap, err := s.Snapshot(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	q, err := world().Query(query)
	if err != nil {
		t.Fatal(err)
	}
	q.Total = true
	p, err := snap.Search(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if p.Total != len(p.Matches) {
		t.Errorf("total %d of %d", p.Total, len(p.Matches))
	}
	out := []string{}
	for _, r := range p.Matches {
		out = append(out, fmt.Sprintf("%s.%d", r.ID, r.VersionID))
	}
	slices.Sort(out)
	return out
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: got %s, want %s", what, g, w)
	}
}

var errDied = errors.New("the node died")

// dying is a node that dies at a step, once armed.
func dying(t *testing.T, uri string, at mongo.Step) (*mongo.Store, *atomic.Bool) {
	armed := &atomic.Bool{}
	return node(t, uri, mongo.Options{Fail: func(s mongo.Step) error {
		if s == at && armed.Load() {
			return errDied
		}
		return nil
	}}), armed
}

// A node dies at each step of a bundle that creates, updates and deletes.
// Before the record nothing has happened; behind it everything has, on any
// node, and the snapshot before it stays what it was.
func TestDeathInTheMiddleOfACommit(t *testing.T) {
	t.Parallel()
	for step, committed := range map[mongo.Step]bool{
		mongo.Staged: false, mongo.Decided: false, mongo.Committed: true, mongo.Exposed: true, mongo.Replaced: true,
	} {
		for _, chunks := range []bool{false, true} {
			t.Run(fmt.Sprintf("step %d, chunks %v", step, chunks), func(t *testing.T) {
				t.Parallel()
				death(t, step, committed, chunks)
			})
		}
	}
}

func death(t *testing.T, step mongo.Step, committed, chunks bool) {
	uri := fresh()
	o := mongo.Options{}
	if chunks {
		o.InlineOps = 2
	}
	armed := &atomic.Bool{}
	o.Fail = func(s mongo.Step) error {
		if s == step && armed.Load() {
			return errDied
		}
		return nil
	}
	dead := node(t, uri, o)
	before := put(t, dead, op(t, fhir.Created, patient("stays", "Li")), op(t, fhir.Created, patient("goes", "Li"))).T
	armed.Store(true)
	bundle := []store.Op{op(t, fhir.Updated, patient("stays", "Wang")), op(t, fhir.Created, patient("new", "Wang")),
		{Key: fhir.Key{Type: "Patient", ID: "goes"}, Method: fhir.Deleted}}
	if _, err := dead.Commit(t.Context(), store.Tx{Ops: bundle}); !errors.Is(err, errDied) {
		t.Fatalf("the commit says %v", err)
	}
	heir := node(t, uri, mongo.Options{Help: time.Millisecond, Abandon: time.Millisecond})
	want := []string{"goes.1", "stays.1"}
	changes := 0
	if committed {
		want, changes = []string{"new.1", "stays.2"}, 3
		if err := heir.WaitChange(t.Context(), before); err != nil {
			t.Fatal(err)
		}
	}
	same(t, "what another node sees", see(t, heir, 0, "Patient"), want)
	same(t, "by index", see(t, heir, 0, "Patient?family=wang"), slices.DeleteFunc(slices.Clone(want), func(s string) bool { return !committed }))
	same(t, "what was before", see(t, heir, before, "Patient"), []string{"goes.1", "stays.1"})
	cs, err := heir.Changes(t.Context(), before, 100)
	same(t, "changes", fmt.Sprint(len(cs), err), fmt.Sprint(changes, nil))
	next := put(t, heir, op(t, fhir.Updated, patient("stays", "Zhao")))
	same(t, "the next version", next.Versions[0].VersionID, map[bool]int{false: 2, true: 3}[committed])
	swept(t, heir, uri)
	same(t, "after the sweep", len(see(t, heir, 0, "Patient")), len(want))
	same(t, "check", heir.Check(t.Context()), nil)
}

// swept sweeps and demands that nothing half-written is left.
func swept(t *testing.T, s *mongo.Store, uri string) {
	t.Helper()
	time.Sleep(10 * time.Millisecond)
	if _, err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	db := raw(t, uri)
	for c, f := range map[string]bson.D{mongo.Versions: {{Key: "t", Value: int64(0)}}, mongo.Chunks: {}} {
		n, err := db.Collection(c).CountDocuments(t.Context(), f)
		if err != nil || n > 0 {
			t.Errorf("%d documents are left in %s (%v)", n, c, err)
		}
	}
}

// raw opens a database beside the engine.
func raw(t *testing.T, uri string) *driver.Database {
	t.Helper()
	c, err := driver.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Disconnect(context.Background()) })
	name := uri[strings.LastIndex(uri, "/")+1:]
	name, _, _ = strings.Cut(name, "?")
	return c.Database(name)
}

// A node is paused with its bundle staged, another gives the bundle up; the
// record of the abort and that of the commit race for one _id.
func TestAbortRacesCommit(t *testing.T) {
	t.Parallel()
	for _, when := range []mongo.Step{mongo.Staged, mongo.Decided} {
		t.Run(fmt.Sprintf("paused at step %d", when), func(t *testing.T) {
			t.Parallel()
			uri := fresh()
			paused, goOn := make(chan struct{}), make(chan struct{})
			var once sync.Once
			slow := node(t, uri, mongo.Options{Fail: func(s mongo.Step) error {
				if s == when {
					once.Do(func() { close(paused); <-goOn })
				}
				return nil
			}})
			done := make(chan error, 1)
			go func() {
				_, err := slow.Commit(context.WithoutCancel(t.Context()), store.Tx{Ops: []store.Op{op(t, fhir.Created, patient("late", "Li"))}})
				done <- err
			}()
			<-paused
			quick := node(t, uri, mongo.Options{Abandon: time.Millisecond})
			time.Sleep(5 * time.Millisecond)
			n, err := quick.Sweep(t.Context())
			same(t, "aborted", fmt.Sprint(n, err), fmt.Sprint(1, nil))
			close(goOn)
			if err := <-done; fhir.KindOf(err) != fhir.Busy {
				t.Errorf("the commit says %v, want Busy", err)
			}
			same(t, "nothing came of it", see(t, slow, 0, "Patient"), []string{})
			put(t, slow, op(t, fhir.Created, patient("late", "Li")))
			same(t, "the second try", see(t, quick, 0, "Patient"), []string{"late.1"})
		})
	}
}

// A node that helps is overtaken: what it then writes is old and must change
// nothing.
func TestHelpersComeLateAndTwice(t *testing.T) {
	t.Parallel()
	uri := fresh()
	dead, armed := dying(t, uri, mongo.Committed)
	put(t, dead, op(t, fhir.Created, patient("p", "one")))
	armed.Store(true)
	if _, err := dead.Commit(t.Context(), store.Tx{Ops: []store.Op{op(t, fhir.Updated, patient("p", "two"))}}); !errors.Is(err, errDied) {
		t.Fatal(err)
	}
	paused, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	late := node(t, uri, mongo.Options{Help: time.Nanosecond, Fail: func(s mongo.Step) error {
		if s == mongo.Exposed {
			once.Do(func() { close(paused); <-goOn })
		}
		return nil
	}})
	done := make(chan error, 1)
	go func() { _, err := late.Snapshot(context.WithoutCancel(t.Context()), 0); done <- err }()
	<-paused
	heir := node(t, uri, mongo.Options{Help: time.Nanosecond})
	put(t, heir, op(t, fhir.Updated, patient("p", "three")))
	close(goOn)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for _, s := range []store.Store{late, heir} {
		same(t, "the newest", see(t, s, 0, "Patient?family=three"), []string{"p.3"})
		same(t, "not the one before", see(t, s, 0, "Patient?family=two"), []string{})
	}
}

// Two nodes create conditionally, at once: one resource comes of it.
func TestConditionalCreatesOnTwoNodes(t *testing.T) {
	t.Parallel()
	uri := fresh()
	nodes := []*mongo.Store{node(t, uri, mongo.Options{}), node(t, uri, mongo.Options{})}
	criteria := "Patient?identifier=http://example.org/card|c"
	q, err := world().Query(criteria)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var made, failed atomic.Int64
	for i := range 64 {
		o := op(t, fhir.Created, fmt.Sprintf(`{"resourceType":"Patient","id":"r%d","identifier":[{"system":"http://example.org/card","value":"c"}]}`, i))
		wg.Go(func() {
			_, err := nodes[i%2].Commit(t.Context(), store.Tx{Ops: []store.Op{o}, Guards: []store.Guard{{Claim: criteria, Query: q}}})
			switch ge := new(store.GuardError); {
			case err == nil:
				made.Add(1)
			case errors.As(err, &ge) && len(ge.Found) == 1:
				failed.Add(1)
			default:
				t.Errorf("got %v", err)
			}
		})
	}
	wg.Wait()
	same(t, "made and refused", fmt.Sprint(made.Load(), failed.Load()), "1 63")
	same(t, "found on both", see(t, nodes[0], 0, criteria), see(t, nodes[1], 0, criteria))
}

// Conditional creates that wait together are decided in one group, and still
// one after the other.
func TestConditionalCreatesInOneGroup(t *testing.T) {
	t.Parallel()
	const racers = 8
	var staged atomic.Int64
	all := make(chan struct{})
	var once sync.Once
	s := node(t, fresh(), mongo.Options{Fail: func(step mongo.Step) error {
		switch step {
		case mongo.Staged:
			if staged.Add(1) == racers+1 {
				close(all)
			}
		case mongo.Decided: // the first commit waits until the others stand in the queue
			once.Do(func() { <-all; time.Sleep(50 * time.Millisecond) })
		}
		return nil
	}})
	criteria := "Patient?identifier=http://example.org/card|c"
	q, err := world().Query(criteria)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var made, refused atomic.Int64
	commit := func(id string, guards ...store.Guard) {
		o := op(t, fhir.Created, fmt.Sprintf(`{"resourceType":"Patient","id":%q,"identifier":[{"system":"http://example.org/card","value":%q}]}`, id, id[:1]))
		wg.Go(func() {
			_, err := s.Commit(t.Context(), store.Tx{Ops: []store.Op{o}, Guards: guards})
			switch {
			case err == nil:
				made.Add(1)
			case errors.As(err, new(*store.GuardError)):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	commit("first")
	for staged.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	for i := range racers {
		commit(fmt.Sprintf("c%d", i), store.Guard{Claim: criteria, Query: q})
	}
	wg.Wait()
	same(t, "made and refused", fmt.Sprint(made.Load(), refused.Load()), fmt.Sprint(2, racers-1))
	same(t, "found", len(see(t, s, 0, criteria)), 1)
}

// Writers on two nodes update the same resources; each node sees the other's
// commits, and the versions of a resource have no gap and no double.
func TestTwoNodesWrite(t *testing.T) {
	t.Parallel()
	uri := fresh()
	nodes := []*mongo.Store{node(t, uri, mongo.Options{}), node(t, uri, mongo.Options{})}
	const writers, rounds = 4, 6
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range rounds {
				o, err := world().Op(fhir.Updated, patient(fmt.Sprintf("p%d", i%2), fmt.Sprintf("w%d", w)))
				if err != nil {
					t.Error(err)
					return
				}
				r, err := nodes[w%2].Commit(t.Context(), store.Tx{Ops: []store.Op{o}})
				if err != nil {
					t.Error(err)
					return
				}
				snap, err := nodes[(w+1)%2].Snapshot(t.Context(), 0)
				if err != nil || snap.T() < r.T {
					t.Errorf("the other node is at %v, the commit was %d (%v)", snap, r.T, err)
				}
			}
		})
	}
	wg.Wait()
	for _, s := range nodes {
		same(t, "newest versions", see(t, s, 0, "Patient"), []string{"p0.12", "p1.12"})
		cs, err := s.Changes(t.Context(), 0, 1000)
		same(t, "changes", fmt.Sprint(len(cs), err), fmt.Sprint(writers*rounds, nil))
		for i := 1; i < len(cs); i++ {
			if cs[i].T != cs[i-1].T+1 {
				t.Errorf("T jumps from %d to %d", cs[i-1].T, cs[i].T)
			}
		}
	}
}

// Wake and Poll: a commit of another node is heard of.
func TestOtherNodesAreHeard(t *testing.T) {
	t.Parallel()
	uri := fresh()
	here := node(t, uri, mongo.Options{Poll: time.Hour})
	there := node(t, uri, mongo.Options{})
	start := put(t, here, op(t, fhir.Created, patient("p", "Li"))).T
	done := make(chan error, 1)
	go func() { done <- here.WaitChange(t.Context(), start) }()
	put(t, there, op(t, fhir.Created, patient("q", "Li")))
	for {
		here.Wake()
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// A space's writer dies behind its commit: another node finishes, a scan sees
// all of it or nothing.
func TestSpaceWriterDies(t *testing.T) {
	t.Parallel()
	uri := fresh()
	dead, armed := dying(t, uri, mongo.SpaceCommitted)
	writes := func(v string) []store.Write {
		var ws []store.Write
		for i := range 5 {
			ws = append(ws, store.Write{Key: []byte{byte(i)}, Value: []byte(v)})
		}
		return ws
	}
	if err := dead.Space("x").Apply(t.Context(), writes("old")); err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	if err := dead.Space("x").Apply(t.Context(), writes("new")); !errors.Is(err, errDied) {
		t.Fatal(err)
	}
	heir := node(t, uri, mongo.Options{Help: time.Millisecond})
	kvs, err := heir.Space("x").Scan(t.Context(), nil, nil, 0)
	if err != nil || len(kvs) != 5 {
		t.Fatalf("%d values, %v", len(kvs), err)
	}
	for _, kv := range kvs {
		same(t, "value", string(kv.Value), "new")
	}
}
