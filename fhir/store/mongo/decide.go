package mongo

import (
	"context"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/fhir/store/mongo/layout"
	"hutong/fhir/store/mongo/wire"
)

// decision is what becomes of a group at one state of the log. It stands only
// if the group's record is inserted right behind that state.
type decision struct {
	s *Store
	t int64 // the state: everything up to t is visible

	keys     map[string]*keyState
	written  []*store.Op // by accepted transactions, in order
	ops      []layout.Op
	count    int64 // commits
	undo     bool
	accepted []*pending
	refused  []refusal
	deferred []*pending
	record   *layout.Record // once it is in the log
}

// refusal waits for its turn: it may rest on what the same group commits.
type refusal struct {
	p   *pending
	err error
}

// keyState is the newest version of a resource, with the accepted ops of the
// group.
type keyState struct {
	fhir.Version
	version string // _id of its document
	home    string // and its shard key
	curHome string
	facts   layout.Facts
	op      int // of the group that made it, in decision.ops; -1 if none
}

// decide waits until everything committed is visible and holds the group's
// guards and expectations against it, one transaction after the other.
func (s *Store) decide(ctx context.Context, group []*pending) (*decision, error) {
	t, err := s.settle(ctx)
	if err != nil {
		return nil, err
	}
	d := &decision{s: s, t: t}
	if err := d.load(ctx, group); err != nil {
		return nil, err
	}
	for _, p := range group {
		if err := d.take(ctx, p); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// load reads what is current of the keys that the group writes.
func (d *decision) load(ctx context.Context, group []*pending) error {
	d.keys = map[string]*keyState{}
	ids := bson.A{}
	for _, p := range group {
		for i := range p.tx.Ops {
			k := p.tx.Ops[i].Key.String()
			if d.keys[k] == nil {
				d.keys[k] = &keyState{op: -1}
				ids = append(ids, k)
			}
		}
	}
	for part := range slices.Chunk(ids, 1000) {
		if err := d.loadPart(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

func (d *decision) loadPart(ctx context.Context, ids bson.A) error {
	ctx, cancel := d.s.timed(ctx)
	defer cancel()
	cur, err := d.s.current.Find(ctx, wire.ByIDs(ids), options.Find().SetProjection(bson.D{{Key: "b", Value: 0}, {Key: "tok", Value: 0}, {Key: "r", Value: 0}}))
	if err != nil {
		return wire.Failure(ctx, err)
	}
	var docs []layout.Current
	if err := cur.All(ctx, &docs); err != nil {
		return wire.Failure(ctx, err)
	}
	for i := range docs {
		c := &docs[i]
		k, _ := fhir.ParseKey(c.ID)
		*d.keys[c.ID] = keyState{Version: c.VersionOf(k), version: c.Version, home: c.VersionHome, curHome: c.Home, facts: c.Facts, op: -1}
	}
	return nil
}

// take decides one transaction: accepted, refused or deferred. Its error is of
// the database.
func (d *decision) take(ctx context.Context, p *pending) error {
	if err := wire.CtxError(p.ctx); err != nil {
		d.refused = append(d.refused, refusal{p, err})
		return nil
	}
	if d.s.log.aborts.has(p.token) {
		d.refused = append(d.refused, refusal{p, fhir.Errorf(fhir.Busy, "the write took too long and was given up")})
		return nil
	}
	for i := range p.tx.Guards {
		later, err := d.guard(ctx, i, &p.tx.Guards[i])
		if later {
			d.deferred = append(d.deferred, p)
			return nil
		}
		if err != nil {
			return d.refuseFor(p, err)
		}
	}
	if err := d.expectations(p); err != nil {
		d.refused = append(d.refused, refusal{p, err})
		return nil
	}
	d.accept(p)
	return nil
}

// refuseFor tells a failed guard from a failed database.
func (d *decision) refuseFor(p *pending, err error) error {
	if _, ok := err.(*store.GuardError); !ok && fhir.KindOf(err) == fhir.Busy {
		return err
	}
	d.refused = append(d.refused, refusal{p, err})
	return nil
}

// guard holds a guard against the state. later is true where it depends on
// what the group writes: the transaction then waits for the next group.
func (d *decision) guard(ctx context.Context, i int, g *store.Guard) (later bool, err error) {
	q := *g.Query
	q.Count, q.After, q.Total, q.Sort = len(g.Expect)+2, nil, false, nil
	found, err := (&snapshot{s: d.s, t: d.t}).keys(ctx, &q)
	if err != nil {
		return false, err
	}
	for _, op := range d.written {
		if slices.Contains(found, op.Key) || slices.Contains(g.Expect, op.Key) || mayMatch(&q, op) {
			return true, nil
		}
	}
	want := make(map[fhir.Key]bool, len(g.Expect))
	for _, k := range g.Expect {
		want[k] = true
	}
	ok := len(found) == len(want)
	for _, k := range found {
		ok = ok && want[k]
	}
	if ok {
		return false, nil
	}
	return false, &store.GuardError{Index: i, Found: found}
}

// mayMatch tells whether an op could change what q finds, by more than its
// key. A query over several resources is not followed.
func mayMatch(q *search.Query, op *store.Op) bool {
	for i := range q.Filter {
		p := &q.Filter[i]
		switch {
		case p.Has != nil || p.Chain != nil:
			return true
		case q.Type != "" && q.Type != op.Key.Type || op.Method == fhir.Deleted:
			continue
		case p.Param.Code == "_id" || p.Param.Code == "_lastUpdated":
			continue
		case !search.Matches(p, op.Entries):
			return false
		}
	}
	return op.Method != fhir.Deleted && (q.Type == "" || q.Type == op.Key.Type)
}

// expectations holds the ops of p against the newest versions.
func (d *decision) expectations(p *pending) error {
	for i := range p.tx.Ops {
		op := &p.tx.Ops[i]
		cur := d.keys[op.Key.String()]
		exists, ok := cur.VersionID > 0, true
		switch op.Expect.Kind {
		case store.ExpectAbsent:
			ok = !exists
		case store.ExpectVersion:
			ok = cur.VersionID == op.Expect.VersionID
		case store.ExpectLive:
			ok = exists && !cur.Deleted()
		}
		if !ok {
			return &store.OpError{Index: i, Current: cur.Version, Err: fhir.Errorf(fhir.Conflict, "the resource was changed by another request")}
		}
	}
	return nil
}

// accept numbers the versions of p and makes them the newest.
func (d *decision) accept(p *pending) {
	now := p.tx.Now
	if now.IsZero() {
		now = d.s.opts.Now()
	}
	now = now.UTC().Truncate(time.Millisecond)
	t, made := d.t+d.count+1, false
	versions := make([]fhir.Version, len(p.tx.Ops))
	for i := range p.tx.Ops {
		op := &p.tx.Ops[i]
		cur := d.keys[op.Key.String()]
		if op.Method == fhir.Deleted && (cur.VersionID == 0 || cur.Deleted()) {
			versions[i] = cur.Version // nothing to delete: no version is made
			versions[i].Key = op.Key
			continue
		}
		v := fhir.Version{Key: op.Key, VersionID: cur.VersionID + 1, T: fhir.T(t), Method: op.Method, LastUpdated: now}
		if cur.LastUpdated.After(now) {
			v.LastUpdated = cur.LastUpdated
		}
		d.version(op, &p.staged[i], i, v, cur)
		versions[i], made = v, true
	}
	p.result = store.Result{T: fhir.T(d.t + d.count), Versions: versions}
	if made {
		d.count++
		p.result.T = fhir.T(t)
	}
	d.accepted = append(d.accepted, p)
}

// version adds the op of one version to the record.
func (d *decision) version(op *store.Op, st *stagedOp, place int, v fhir.Version, cur *keyState) {
	o := layout.Op{Key: op.Key.String(), T: int64(v.T), Place: int32(place), Number: int64(v.VersionID), At: v.LastUpdated.UnixMilli(),
		Ord: layout.OrdOf(&op.Facts, v.LastUpdated), Method: int32(op.Method), Version: st.id, Home: st.home, CurHome: cur.curHome,
		Prev: cur.version, PrevHome: cur.home, Last: true}
	facts := st.facts
	if op.Method == fhir.Deleted {
		facts = cur.facts // who may hear of a deletion is who could see what was deleted
		o.Facts, o.Home = &facts, cur.home
	}
	if o.CurHome == "" {
		o.CurHome = st.home
	}
	if cur.op >= 0 {
		d.ops[cur.op].Last = false
	}
	d.undo = d.undo || cur.VersionID > 0
	*cur = keyState{Version: v, version: o.Version, home: o.Home, curHome: o.CurHome, facts: facts, op: len(d.ops)}
	d.ops = append(d.ops, o)
	d.written = append(d.written, op)
}

// answer tells the transactions of the group what became of them.
func (d *decision) answer() {
	for _, p := range d.accepted {
		close(p.done)
	}
	for _, r := range d.refused {
		r.p.err = r.err
		close(r.p.done)
	}
}

// fail answers with a failure of the database. The refused ones too, because
// they may rest on what was to be committed.
func (d *decision) fail(err error) {
	for _, r := range d.refused {
		d.accepted = append(d.accepted, r.p)
	}
	d.s.refuse(d.accepted, err)
}
