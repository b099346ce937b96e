package interact

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/interact/outcome"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/profiles"
)

// settle decides what a draft does in this attempt: which resource it is
// about, what stands there now, and whether the caller may.
func (u *unit) settle(ctx context.Context, snap store.Snapshot, d *draft) error {
	d.current, d.live, d.guard, d.idle = fhir.Resource{}, false, nil, false
	if d.criteria != "" {
		if err := u.match(ctx, snap, d); err != nil {
			return err
		}
	}
	if d.key.ID == "" && !d.idle {
		d.key.ID = u.s.cfg.NewID()
	}
	if d.action != create && !d.idle && !u.unread {
		if err := u.load(ctx, snap, d); err != nil {
			return err
		}
	}
	if err := u.permit(ctx, snap, d); err != nil {
		return err
	}
	if d.action == patch {
		return u.applyPatch(d)
	}
	return nil
}

// match evaluates the criteria of a conditional write and guards what it
// found. Source: R4 http.html#ccreate, #cond-update, #3.1.0.7.1.
func (u *unit) match(ctx context.Context, snap store.Snapshot, d *draft) error {
	if d.request == nil {
		r, err := u.s.cfg.Parser.ParseCriteria(d.key.Type, d.criteria)
		if err != nil {
			return err
		}
		d.request = r
	}
	q := d.request.Query
	found, err := u.s.find(ctx, snap, u.c, d.op(), &q)
	switch {
	case err != nil:
		return err
	case len(found) > 1:
		return fhir.Errorf(fhir.MultipleMatches, "the criteria match more than one resource")
	}
	d.guard = &store.Guard{Claim: d.request.Claim(), Query: &q}
	switch {
	case len(found) == 1:
		d.guard.Expect = []fhir.Key{found[0].Key}
		return d.matched(found[0])
	case d.action == remove:
		d.idle = true
	case d.action == patch:
		return fhir.Errorf(fhir.NotFound, "no resource matches the criteria")
	case d.action == update && d.doc != nil:
		d.key.ID = d.doc.ChildText(d.node, "id")
	}
	return nil
}

// matched takes the one match of the criteria.
func (d *draft) matched(r fhir.Resource) error {
	if d.action == create {
		d.key, d.current, d.idle = r.Key, r, true
		return nil
	}
	if d.action == update {
		if id := d.doc.ChildText(d.node, "id"); id != "" && id != r.ID {
			return fhir.Errorf(fhir.Invalid, "the id is not that of the resource that the criteria match").At(d.doc.Path(d.node) + ".id")
		}
	}
	d.key = r.Key
	return nil
}

// load reads what stands at the key and holds If-Match against it.
func (u *unit) load(ctx context.Context, snap store.Snapshot, d *draft) error {
	r, err := snap.Get(ctx, d.key)
	gone := errors.Is(err, fhir.E(fhir.Gone))
	if err != nil && !gone && !errors.Is(err, fhir.E(fhir.NotFound)) {
		return err
	}
	d.live = err == nil
	if d.live || gone {
		d.current = r
	}
	if d.live && d.guard != nil && len(d.guard.Expect) == 0 {
		return fhir.Errorf(fhir.Conflict, "a resource of this id is there, and the criteria do not match it")
	}
	if d.ifMatch != "" {
		want, err := ParseETag(d.ifMatch)
		if err != nil {
			return err
		}
		if !d.live || want != d.current.VersionID {
			return versionMismatch()
		}
	}
	switch {
	case d.action == update && d.noneMatch != "" && d.noneMatch != "*":
		return fhir.Errorf(fhir.NotSupported, "If-None-Match of an update is * only")
	case d.action == update && d.noneMatch == "*" && d.live:
		return fhir.Errorf(fhir.PreconditionFailed, "a resource is there, and If-None-Match asks that none be")
	case d.live || d.action == update:
	case d.action == remove:
		d.idle = true
	case gone:
		return fhir.Errorf(fhir.Gone, "the resource was deleted")
	default:
		return fhir.Errorf(fhir.NotFound, "no such resource")
	}
	return nil
}

// permit holds the draft against the custodian rule (only the organisation
// that owns a resource changes it) and against what the caller may do. A
// deleted resource stays its last owner's: references to it still stand.
func (u *unit) permit(ctx context.Context, snap store.Snapshot, d *draft) error {
	var existing *fhir.Facts
	owned := &d.current.Facts
	switch {
	case d.live:
		existing = owned
	case d.current.VersionID > 0 && !d.idle:
		if last := lastFacts(ctx, snap, d.current); last != nil {
			owned = last
		}
	}
	stamp := u.c.Stamp()
	if owner := owned.Custodian; !d.idle && owner != "" && owner != stamp.Custodian && !stamp.System {
		e := fhir.Errorf(fhir.Forbidden, "the resource belongs to another organisation")
		e.Issues[0].MessageID = outcome.NotYours
		return e
	}
	return u.c.MayWrite(ctx, d.op(), d.key, existing)
}

// op makes the store's operation of a draft: the body stamped, its index
// values and access facts taken from the same parse.
func (u *unit) op(ctx context.Context, d *draft) (store.Op, error) {
	op := store.Op{Key: d.key, Method: d.method(), Expect: d.expect()}
	if d.action == remove {
		op.Facts = d.current.Facts
		return op, nil
	}
	stamp := u.c.Stamp()
	owner := stamp.Custodian
	if d.live && d.current.Facts.Custodian != "" {
		owner = d.current.Facts.Custodian
	}
	var err error
	o := bodyOptions(d, stamp, owner)
	if d.key.Type != "Bundle" { // whose references hold within it
		o.Rewrite = u.links.rewrite()
	}
	op.Body, err = codec.NewBody(d.doc, d.node, o)
	if err != nil {
		return op, err
	}
	op.Entries, op.Facts, err = u.s.index(d, &o, owner)
	if err != nil {
		return op, err
	}
	if inspector, ok := u.c.(Inspector); ok {
		if err := inspector.Inspect(ctx, d.op(), d.key, op.Body, &op.Facts); err != nil {
			return op, err
		}
	}
	if curator := u.s.cfg.Curators[d.key.Type]; curator != nil {
		var current fhir.Body
		if d.live {
			current = d.current.Body
		}
		op.Body, err = curator.Curate(ctx, u.c, d.key, op.Body, current)
	}
	return op, err
}

func bodyOptions(d *draft, stamp Stamp, owner string) codec.BodyOptions {
	o := codec.BodyOptions{
		ID: d.key.ID, Source: stamp.Source, Security: stamp.Labels,
		DropTagSystems: []string{profiles.CustodianTag},
	}
	if !stamp.System { // what the exchange verified is not for senders to claim
		o.DropTagSystems = append(o.DropTagSystems, profiles.HRScopeTag)
	}
	if owner != "" {
		o.Tags = []fhir.Coding{{System: profiles.CustodianTag, Code: owner}}
	}
	return o
}

// method of the version: a POST, or a PUT, whether or not it creates.
func (d *draft) method() fhir.Method {
	switch d.action {
	case remove:
		return fhir.Deleted
	case create:
		return fhir.Created
	}
	return fhir.Updated
}

// expect binds the commit to what the attempt saw: the custodian rule and the
// caller's decision were about exactly that version.
func (d *draft) expect() store.Expect {
	if d.current.VersionID == 0 {
		return store.Expect{Kind: store.ExpectAbsent}
	}
	return store.Expect{Kind: store.ExpectVersion, VersionID: d.current.VersionID}
}

// find gives the matches of criteria that the caller may see, at most two.
func (s *Service) find(ctx context.Context, snap store.Snapshot, c Caller, op Op, q *search.Query) ([]fhir.Resource, error) {
	q.Count, q.Total = 2, false
	if _, err := s.plan(ctx, snap, c, op, q, planOptions{}); err != nil {
		return nil, err
	}
	page, err := snap.Search(ctx, q)
	return page.Matches, err
}

// ParseETag reads an entity tag of this server: W/"3" (or "3", 3).
func ParseETag(tag string) (uint64, error) {
	v := strings.Trim(strings.TrimPrefix(strings.TrimSpace(tag), "W/"), `"`)
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil || n == 0 {
		return 0, fhir.Errorf(fhir.PreconditionFailed, "not an entity tag of this server")
	}
	return n, nil
}

// index takes the index values and access facts from the sender's parse and
// adds what the server stamped into meta, so that they equal those of the
// stored body without another parse.
func (s *Service) index(d *draft, o *codec.BodyOptions, owner string) ([]search.Entry, fhir.Facts, error) {
	entries, facts, err := s.cfg.Extractor.Extract(nil, d.doc, d.node, o.Rewrite)
	if err != nil {
		return nil, facts, err
	}
	facts.Custodian = owner
	if d.key.Type == "Patient" {
		facts.Patients = ownFirst(d, facts.Patients)
	}
	entries = slices.DeleteFunc(entries, func(e search.Entry) bool {
		return e.Param.Code == "_tag" && slices.Contains(o.DropTagSystems, e.System) ||
			e.Param.Code == "_source" && o.Source != ""
	})
	for _, tag := range o.Tags {
		entries = s.addCoding(entries, d.key.Type, "_tag", tag)
	}
	for _, label := range o.Security {
		entries = s.addCoding(entries, d.key.Type, "_security", label)
		if !slices.Contains(facts.Labels, label) {
			facts.Labels = append(facts.Labels, label)
		}
	}
	if p := s.cfg.Defs.Param(d.key.Type, "_source"); p != nil && o.Source != "" {
		entries = append(entries, search.Entry{Param: p, Code: o.Source})
	}
	return entries, facts, nil
}

// ownFirst gives the patients of a Patient: itself, by the key it is stored
// under and not by the id that the sender wrote, then those it names.
func ownFirst(d *draft, patients []fhir.Key) []fhir.Key {
	sent := fhir.Key{Type: "Patient", ID: d.doc.ChildText(d.node, "id")}
	own := []fhir.Key{d.key}
	for _, k := range patients {
		if k != sent {
			own = appendNew(own, k)
		}
	}
	return own
}

func (s *Service) addCoding(entries []search.Entry, t fhir.Type, code string, c fhir.Coding) []search.Entry {
	p := s.cfg.Defs.Param(t, code)
	if p == nil {
		return entries
	}
	for i := range entries {
		if entries[i].Param == p && entries[i].System == c.System && entries[i].Code == c.Code {
			return entries
		}
	}
	return append(entries, search.Entry{Param: p, System: c.System, Code: c.Code})
}
