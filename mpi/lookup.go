package mpi

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/mpi/block"
	"hutong/mpi/head"
	"hutong/mpi/link"
	"hutong/mpi/normal"
	"hutong/mpi/score"
	"hutong/mpi/source"
)

// Members gives all source Patients of the person that k names, sorted: k is a
// source Patient or a person. A key of which nothing is known gives itself.
func (x *Index) Members(ctx context.Context, k fhir.Key) ([]fhir.Key, error) {
	p, err := x.personFor(ctx, k)
	if err != nil {
		return nil, err
	}
	if p == nil || len(p.Members) == 0 {
		return []fhir.Key{k}, nil
	}
	return keysOf(p.Members), nil
}

// Model is the one in force.
func (x *Index) Model() *score.Model { return x.model }

// PersonOf gives the person of a source Patient, or the person into which a
// person went. ok is false if nothing is known of k.
func (x *Index) PersonOf(ctx context.Context, k fhir.Key) (fhir.Key, bool, error) {
	p, err := x.personFor(ctx, k)
	if err != nil || p == nil {
		return fhir.Key{}, false, err
	}
	return keyOf(p.ID), true, nil
}

// IsPerson reports whether k names a person, whatever became of them, and not a
// source record.
func (x *Index) IsPerson(ctx context.Context, k fhir.Key) (bool, error) {
	if k.Type != "Patient" || !isPerson(k.ID) {
		return false, nil
	}
	p, err := x.personRow(ctx, k.ID)
	return p != nil, err
}

func (x *Index) personFor(ctx context.Context, k fhir.Key) (*person, error) {
	if k.Type != "Patient" {
		return nil, nil
	}
	if isPerson(k.ID) {
		if p, err := x.person(ctx, k.ID); p != nil || err != nil {
			return p, err
		}
	}
	r, err := x.glance(ctx, k.ID, 0)
	if err != nil || r == nil || r.head.Person == "" || r.head.Deleted {
		return nil, err
	}
	return x.person(ctx, r.head.Person)
}

// Certain reports whether two records are held for one person at present.
func (x *Index) Certain(ctx context.Context, a, b fhir.Key) (bool, error) {
	if a == b {
		return true, nil
	}
	p, err := x.personFor(ctx, a)
	if err != nil || p == nil {
		return false, err
	}
	q, err := x.personFor(ctx, b)
	return err == nil && q != nil && p.ID == q.ID, err
}

// ByIdentifier resolves a card to the one person who holds it. Cards in force
// count first; if there are none, ended ones do, since a person outlives their
// cards. MultipleMatches if two persons hold it: the queue then asks a human.
func (x *Index) ByIdentifier(ctx context.Context, system, value string) (fhir.Key, bool, error) {
	if system == personSystem {
		return x.PersonOf(ctx, keyOf(value))
	}
	value = normal.Lookup(system, value, x.now())
	if value == "" {
		return fhir.Key{}, false, nil
	}
	current, ended, err := x.holders(ctx, system+"|"+value)
	if err != nil {
		return fhir.Key{}, false, err
	}
	found := current
	if len(found) == 0 {
		found = ended
	}
	switch len(found) {
	case 0:
		return fhir.Key{}, false, nil
	case 1:
		return keyOf(found[0]), true, nil
	}
	return fhir.Key{}, false, fhir.Errorf(fhir.MultipleMatches, "the card is held by more than one person")
}

// holders lists the persons whose records carry an identifier.
func (x *Index) holders(ctx context.Context, token string) (current, ended []string, err error) {
	patients, _, err := x.posted(ctx, block.Identifier(token))
	if err != nil {
		return nil, nil, err
	}
	for _, id := range patients {
		r, err := x.glance(ctx, id, 0)
		if err != nil {
			return nil, nil, err
		}
		if r == nil || r.head.Deleted || r.head.Person == "" {
			continue
		}
		i := slices.IndexFunc(r.rec.IDs, func(i normal.Identifier) bool { return i.Token() == token })
		switch {
		case i < 0: // another token with the same hash
		case r.rec.IDs[i].Ended:
			ended = addOnce(ended, r.head.Person)
		default:
			current = addOnce(current, r.head.Person)
		}
	}
	return current, ended, nil
}

// Carriers lists the records that carry an identifier and belong to a custodian
// ("" is any), replaced ones left out.
func (x *Index) Carriers(ctx context.Context, system, value, custodian string) ([]fhir.Key, error) {
	id, ok := normal.NewIdentifier(normal.RawIdentifier{System: system, Value: value}, custodian, x.now())
	if !ok {
		return nil, nil
	}
	patients, _, err := x.posted(ctx, block.Identifier(id.Token()))
	if err != nil {
		return nil, err
	}
	var out []fhir.Key
	for _, p := range patients {
		r, err := x.glance(ctx, p, 0)
		if err != nil {
			return nil, err
		}
		if r != nil && !r.head.Deleted && !r.replaced() && carries(r.rec, id.Token()) && (custodian == "" || r.head.Custodian == custodian) {
			out = append(out, r.key())
		}
	}
	return out, nil
}

// replaced reports that its hospital merged the record into another.
func (r *row) replaced() bool {
	return r.head.Inactive && slices.ContainsFunc(r.head.Links, func(l source.Link) bool { return l.Type == "replaced-by" })
}

// Card is what a record is known by.
type Card struct {
	Patient  fhir.Key
	Numbers  []string // system|value in comparison form
	Systems  []string
	Replaced bool // merged into another by its hospital
}

// Card reads what a record is known by; nothing, if nothing is known of it.
func (x *Index) Card(ctx context.Context, k fhir.Key) (Card, error) {
	out := Card{Patient: k}
	r, err := x.glance(ctx, k.ID, 0)
	if err != nil || r == nil {
		return out, err
	}
	out.Replaced = r.replaced()
	for i := range r.rec.IDs {
		id := &r.rec.IDs[i]
		out.Numbers = append(out.Numbers, domainOf(id.System)+"|"+id.Value)
		out.Systems = addOnce(out.Systems, domainOf(id.System))
	}
	return out, nil
}

func addOnce(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// Golden is a person's golden record.
type Golden = source.Golden

// Member is one source record of a person, for a list.
type Member = source.Member

// Golden makes the golden record of the person that k names or belongs to, from
// the members as they are now.
func (x *Index) Golden(ctx context.Context, k fhir.Key) (*Golden, error) {
	p, err := x.personFor(ctx, k)
	if err != nil {
		return nil, err
	}
	if p == nil || len(p.Members) == 0 {
		return nil, fhir.Errorf(fhir.NotFound, "the index knows no such person")
	}
	var members []source.Version
	for _, id := range p.Members {
		v, err := x.version(ctx, keyOf(id))
		if k := fhir.KindOf(err); err != nil && (k == fhir.Gone || k == fhir.NotFound) {
			continue // deleted a moment ago: its feed is on the way
		}
		if err != nil {
			return nil, err
		}
		members = append(members, *v)
	}
	return source.Compose(keyOf(p.ID), members, x.policy, x.now())
}

// JoinPreview is what joining two persons would give.
type JoinPreview struct {
	Golden    *Golden
	Members   []fhir.Key
	Risk      Risk
	Rules     []link.Reason // what speaks for and against
	TwoPeople bool          // the policy wants a second steward
}

// Preview tells what Ask would do to join the persons of two records; nothing
// changes. Conflict if they are one already.
func (x *Index) Preview(ctx context.Context, a, b fhir.Key) (*JoinPreview, error) {
	p := &Proposal{Request: Request{A: a.ID, B: b.ID}}
	two, err := x.assess(ctx, p)
	if err != nil {
		return nil, err
	}
	if same, err := x.Certain(ctx, a, b); err != nil || same {
		return nil, cmp.Or(err, error(fhir.Errorf(fhir.Conflict, "the records are one person already")))
	}
	out := &JoinPreview{Risk: p.Risk, Rules: p.Rules, TwoPeople: two}
	var members []source.Version
	for _, k := range []fhir.Key{b, a} {
		own, err := x.Members(ctx, k)
		if err != nil {
			return nil, err
		}
		for _, m := range own {
			v, err := x.version(ctx, m)
			if err != nil {
				return nil, err
			}
			members = append(members, *v)
			out.Members = append(out.Members, m)
		}
	}
	person, _, err := x.PersonOf(ctx, b)
	if err != nil {
		return nil, err
	}
	out.Golden, err = source.Compose(person, members, x.policy, x.now())
	return out, err
}

func (x *Index) version(ctx context.Context, k fhir.Key) (*source.Version, error) {
	res, err := x.read(ctx, k)
	if err != nil {
		return nil, err
	}
	p, err := source.Read(res.Body.Raw)
	if err != nil {
		return nil, err
	}
	return &source.Version{Key: k, Patient: p, Owner: res.Facts.Custodian, Trust: x.policy.TrustOf(res.Facts.Custodian), Updated: res.LastUpdated}, nil
}

// Member gives the list form of a source record; of a deleted one only its key.
func (x *Index) Member(ctx context.Context, k fhir.Key) (Member, error) {
	v, err := x.version(ctx, k)
	if kind := fhir.KindOf(err); err != nil && (kind == fhir.Gone || kind == fhir.NotFound) {
		return Member{Patient: k}, nil
	}
	if err != nil {
		return Member{}, err
	}
	return source.MemberOf(v), nil
}

// Link is what holds two members of a person together.
type Link struct {
	A, B        fhir.Key
	Reasons     []link.Reason
	Probability float64
	By          string // the human who said so; "" for evidence
}

// Links lists what holds the members of a person together: certain evidence
// and human decisions, in order of the members.
func (x *Index) Links(ctx context.Context, k fhir.Key) ([]Link, error) {
	members, err := x.Members(ctx, k)
	if err != nil {
		return nil, err
	}
	var out []Link
	for _, a := range members {
		evidence, err := x.evidence(ctx, a, members)
		if err != nil {
			return nil, err
		}
		out = append(out, evidence...)
	}
	return out, nil
}

// evidence lists the links of a with members behind it in order.
func (x *Index) evidence(ctx context.Context, a fhir.Key, members []fhir.Key) ([]Link, error) {
	c := newChange(x, nil)
	edges, err := c.edgesOf(ctx, a.ID)
	if err != nil {
		return nil, err
	}
	said, err := c.decisionsOf(ctx, a.ID)
	if err != nil {
		return nil, err
	}
	var out []Link
	for _, b := range members {
		if b.ID <= a.ID {
			continue
		}
		if e := edges[b.ID]; e != nil {
			out = append(out, Link{A: a, B: b, Reasons: e.Reasons, Probability: e.Probability})
		}
		if d := said[b.ID]; d != nil && d.Same {
			entry, err := x.entry(ctx, d.Journal)
			if err != nil {
				return nil, err
			}
			out = append(out, Link{A: a, B: b, Reasons: []link.Reason{link.HumanLink}, Probability: 1, By: entry.Actor})
		}
	}
	return out, nil
}

// settled puts the rows of records with their persons.
func (l *loader) settled(numbers []uint32, put func(key, value []byte) error) error {
	var key, value []byte
	room := make([]byte, 0, 1024)
	for _, n := range numbers {
		raw, _, err := l.records.Get(n, room)
		if err != nil {
			return err
		}
		id := l.lists.Text(n)
		var h head.Head
		first, rest, ok := head.Counted(raw, 1)
		if !ok || !h.Decode(first) {
			return corrupt("row", id)
		}
		h.Rev, h.Person = 1, l.person(l.homes[n])
		h.Origin = h.Person
		first = h.Encode()
		value = append(append(binary.AppendUvarint(value[:0], uint64(len(first))), first...), rest...)
		key = append(append(key[:0], rowPrefix...), id...)
		if err := put(key, value); err != nil {
			return err
		}
	}
	return nil
}

// parts are all that is written, in ranges that do not overlap.
func (l *loader) parts() []store.Part {
	out := append(l.postings.Parts(blockPrefix, l.lists.AppendText), l.out.Parts()...)
	numbers := l.lists.Sorted()
	const ranges = 64
	for i := range ranges {
		part := numbers[len(numbers)*i/ranges : len(numbers)*(i+1)/ranges]
		out = append(out, func(put func(key, value []byte) error) error { return l.settled(part, put) })
	}
	return out
}
