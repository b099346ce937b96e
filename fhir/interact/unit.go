package interact

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/interact/outcome"
	"hutong/fhir/search"
	"hutong/fhir/store"
)

// action is what a draft does, in the order in which R4 has a transaction
// process its entries (http.html#trules).
type action uint8

const (
	remove action = iota
	create
	update
	patch
)

var interactions = [...]string{remove: "delete", create: "create", update: "update", patch: "patch"}

// draft is one write on its way to the store.
type draft struct {
	at        string // expression of its entry, "Bundle.entry[3]"; "" stands alone
	action    action
	key       fhir.Key        // ID is "" until it is known
	criteria  string          // of a conditional write
	ifMatch   string          // entity tag, "" = none
	noneMatch string          // of an update: "*" or ""
	doc       *codec.Doc      // content of a create or update
	node      uint32          // the resource in doc
	patch     []byte          // JSON Patch
	fullURL   string          // what other entries call it
	issues    []fhir.Issue    // warnings
	request   *search.Request // criteria, understood; made once

	// What the current attempt found.
	current fhir.Resource // as of the snapshot; VersionID 0 if it never was
	live    bool          // current has content
	guard   *store.Guard
	idle    bool // there is nothing to write: a match exists, or nothing to delete

	result fhir.Resource // what was written, or current if idle
}

func (d *draft) op() Op { return Op{interactions[d.action], d.key.Type} }

// unit is a set of drafts that are committed together. An attempt settles
// them against one snapshot and commits under the expectation that nothing of
// what it saw has changed; if something has, it is tried again.
type unit struct {
	s      *Service
	c      Caller
	drafts []*draft
	links  links
	// unread: the first attempt takes it that nothing stands at the keys, and
	// leaves it to the commit to find out.
	unread bool
	there  bool // something did
	// unhurried: no single commit is waited for, so the followers get a
	// request's time for it.
	unhurried bool
}

// run commits the drafts and tells the followers.
func (u *unit) run(ctx context.Context) error {
	versions, err := u.commit(ctx)
	if err != nil || len(versions) == 0 {
		return err
	}
	within := u.s.cfg.Limits.Followers
	if u.unhurried {
		within = u.s.cfg.Limits.Request
	}
	u.s.announce(ctx, versions, within)
	return nil
}

func (u *unit) commit(ctx context.Context) ([]fhir.Version, error) {
	for n := 1; ; n++ {
		versions, err := u.attempt(ctx, n > 1)
		if u.unread && err != nil && (errors.Is(err, errOvertaken) || !isOurs(err)) {
			u.unread, u.there = false, true // also what was refused may be allowed of what is there
			continue
		}
		if !errors.Is(err, errOvertaken) {
			return versions, err
		}
		if n == u.s.cfg.Limits.Retries {
			return nil, fhir.Errorf(fhir.Conflict, "others kept changing the same resources; try again")
		}
	}
}

// errOvertaken says that another commit changed what an attempt had seen.
var errOvertaken = errors.New("overtaken by another commit")

// attempt settles and commits once. Those that were overtaken before queue for
// their keys, so that each round gets one of them through.
func (u *unit) attempt(ctx context.Context, queue bool) ([]fhir.Version, error) {
	if queue {
		defer u.s.queues.lock(u.claims())()
	}
	snap, err := u.s.cfg.Store.Snapshot(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	for _, d := range u.drafts {
		if err := u.settle(ctx, snap, d); err != nil {
			return nil, locate(err, d.at)
		}
	}
	if err := u.distinct(); err != nil {
		return nil, err
	}
	if err := u.resolve(ctx, snap); err != nil {
		return nil, err
	}
	tx, order, err := u.assemble(ctx)
	if err != nil || len(order) == 0 {
		return nil, err
	}
	result, err := u.s.cfg.Store.Commit(ctx, tx)
	if err != nil {
		return nil, overtaken(err, order)
	}
	for i, d := range order {
		d.result = fhir.Resource{Version: result.Versions[i], Facts: tx.Ops[i].Facts, Body: tx.Ops[i].Body}
	}
	return result.Versions, nil
}

// overtaken sorts out why a commit failed.
func overtaken(err error, order []*draft) error {
	var guard *store.GuardError
	if errors.As(err, &guard) {
		return errOvertaken
	}
	var op *store.OpError
	if !errors.As(err, &op) || op.Index >= len(order) {
		return err
	}
	d := order[op.Index]
	if !errors.Is(op.Err, fhir.E(fhir.Conflict)) {
		return locate(op.Err, d.at)
	}
	if d.ifMatch != "" {
		return locate(versionMismatch(), d.at)
	}
	return errOvertaken
}

// distinct refuses two drafts of one resource. Source: R4 http.html#trules.
func (u *unit) distinct() error {
	first := make(map[fhir.Key]*draft, len(u.drafts))
	for _, d := range u.drafts {
		other, twice := first[d.key]
		if !twice {
			if d.key.ID != "" {
				first[d.key] = d
			}
			continue
		}
		if d.idle && other.idle {
			continue
		}
		return fhir.Errorf(fhir.Invalid, "this resource is also the matter of %s", other.at).At(d.at)
	}
	claims := make(map[string]*draft)
	for _, d := range u.drafts {
		if d.action != create || d.request == nil || d.idle {
			continue
		}
		if other := claims[d.request.Claim()]; other != nil {
			return fhir.Errorf(fhir.Invalid, "the same ifNoneExist stands in %s", other.at).At(d.at + ".request.ifNoneExist")
		}
		claims[d.request.Claim()] = d
	}
	return nil
}

// assemble makes the transaction; order gives the draft of each op.
func (u *unit) assemble(ctx context.Context) (store.Tx, []*draft, error) {
	tx := store.Tx{Now: u.s.cfg.Now(), Ops: make([]store.Op, 0, len(u.drafts))}
	order := make([]*draft, 0, len(u.drafts))
	for _, d := range u.drafts {
		if d.idle {
			d.result = d.current
			continue
		}
		order = append(order, d)
	}
	slices.SortStableFunc(order, func(a, b *draft) int { return int(min(a.action, update)) - int(min(b.action, update)) })
	for _, d := range order {
		op, err := u.op(ctx, d)
		if err != nil {
			return store.Tx{}, nil, locate(err, d.at)
		}
		tx.Ops = append(tx.Ops, op)
		if d.guard != nil {
			tx.Guards = append(tx.Guards, *d.guard)
		}
	}
	return tx, order, nil
}

func (u *unit) claims() []string {
	claims := make([]string, 0, len(u.drafts))
	for _, d := range u.drafts {
		if d.request != nil {
			claims = append(claims, d.request.Claim())
		}
		claims = append(claims, d.key.String())
	}
	return claims
}

// announce tells the followers, within their time. The commit stands whatever
// they do.
func (s *Service) announce(ctx context.Context, versions []fhir.Version, within time.Duration) {
	if len(s.cfg.Followers) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	for _, f := range s.cfg.Followers {
		f.Committed(ctx, versions)
	}
}

// queues lets writers of the same thing wait for each other.
type queues struct {
	seed    maphash.Seed
	stripes [256]sync.Mutex
}

// lock takes the stripes of the names in ascending order and gives the way to
// free them.
func (q *queues) lock(names []string) (unlock func()) {
	var taken [len(q.stripes)]bool
	for _, name := range names {
		taken[maphash.String(q.seed, name)%uint64(len(taken))] = true
	}
	for i := range taken {
		if taken[i] {
			q.stripes[i].Lock()
		}
	}
	return func() {
		for i := range taken {
			if taken[i] {
				q.stripes[i].Unlock()
			}
		}
	}
}

// locate gives the issues of err that name no element the expression at.
func locate(err error, at string) error {
	var e *fhir.Error
	if at == "" || !errors.As(err, &e) {
		return err
	}
	located := *e
	located.Issues = slices.Clone(e.Issues)
	for i := range located.Issues {
		if located.Issues[i].Expression == "" {
			located.Issues[i].Expression = at
		}
	}
	return &located
}

func versionMismatch() error {
	e := fhir.Errorf(fhir.PreconditionFailed, "the current version is not the one of If-Match")
	e.Issues[0].MessageID = outcome.VersionConflict
	return e
}
