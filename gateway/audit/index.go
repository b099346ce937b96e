package audit

import (
	"slices"
	"sync"
	"time"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/search"
)

// indexer gives the index values of records without reading each record. They
// are put together from what was once extracted of its parts: who did what,
// which is the same for a client's thousand requests; the moment; and each
// entity, which differs from others of its kind in the id that it refers to. No
// search parameter of AuditEvent joins elements of two parts (a test compares
// with the whole).
type indexer struct {
	extract  func(fhir.Body, fhir.Key) ([]search.Entry, fhir.Facts, error)
	unplaced fhir.Key // of a record that has no place yet

	mu sync.Mutex
	// What is not asked for while as many others come as a generation holds is
	// forgotten.
	young, old map[string]values
}

// values are index values and facts; they are shared and must not be changed.
type values struct {
	entries []search.Entry
	facts   fhir.Facts
}

// generation is how many parts are remembered, about: 3 KB each, twice.
const generation = 1024

func newIndexer(x Extractor, chain string) *indexer {
	return &indexer{extract: x.ExtractBody, unplaced: recordKey(chain, 0), young: map[string]values{}}
}

// values gives entries and facts of the record of e, which has no place yet.
func (x *indexer) values(e *event, r *record) ([]search.Entry, fhir.Facts, error) {
	common, err := x.common(r)
	if err != nil {
		return nil, fhir.Facts{}, err
	}
	v := values{append(make([]search.Entry, 0, len(common.entries)+8+4*len(e.Entity)), common.entries...), common.facts}
	if err := x.moment(&v, e.Recorded); err != nil {
		return nil, fhir.Facts{}, err
	}
	for i := range e.Entity {
		if err := x.entity(&v, &e.Entity[i]); err != nil {
			return nil, fhir.Facts{}, err
		}
	}
	if e.partOf {
		whole := partOf(x.unplaced)
		err = x.entity(&v, &whole)
	}
	return v.entries, v.facts, err
}

// common gives what the record shares with others of the same request shape.
func (x *indexer) common(r *record) (values, error) {
	key := make([]byte, 0, 2048)
	key = append(append(key, r.raw[r.content:r.recorded]...), r.raw[r.outcome:r.entity]...)
	if v, ok := x.known(key); ok {
		return v, nil
	}
	return x.learn(key, append(append(slices.Clone(r.raw[:r.content]), key...), '}'), r.metaAt)
}

// standIn is the moment that is extracted for every other.
var standIn = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// moment adds the values of when it was, which move with the moment.
func (x *indexer) moment(to *values, at time.Time) error {
	const name = "recorded"
	v, ok := x.known([]byte(name))
	if !ok {
		body := standIn.AppendFormat([]byte(`{"resourceType":"AuditEvent","recorded":"`), fhir.InstantLayout)
		var err error
		if v, err = x.learn([]byte(name), append(body, `"}`...), 0); err != nil {
			return err
		}
	}
	after := at.Truncate(time.Millisecond).Sub(standIn) // as it is written
	for _, e := range v.entries {
		e.Lo, e.Hi = e.Lo+after.Microseconds(), e.Hi+after.Microseconds()
		to.entries = append(to.entries, e)
	}
	facts := v.facts
	if !facts.Clinical.IsZero() {
		facts.Clinical = facts.Clinical.Add(after)
	}
	to.facts = join(to.facts, facts)
	return nil
}

// placeholder is the id that is extracted for every other.
const placeholder = "some-resource"

// entity adds the values of an entity: those of its kind, with its id.
func (x *indexer) entity(to *values, of *entity) error {
	kind, id := *of, ""
	kind.Query, kind.Detail = "", nil // are not searched by
	if of.What != nil {
		key, ok := fhir.ParseKey(of.What.Reference)
		if !ok {
			return x.odd(to, of)
		}
		id = key.ID
		kind.What = &reference{Reference: string(key.Type) + "/" + placeholder}
	}
	name := kind.append(append(make([]byte, 0, 512), "entity{"...))
	v, ok := x.known(name)
	if !ok {
		var err error
		if v, err = x.learn(name, entityBody(&kind), 0); err != nil {
			return err
		}
	}
	for _, e := range v.entries {
		if e.Param.Type == definition.Reference && e.Code == placeholder {
			e.Code = id
		}
		to.entries = append(to.entries, e)
	}
	facts := v.facts
	facts.Patients, facts.Authors = named(facts.Patients, id), named(facts.Authors, id)
	to.facts = join(to.facts, facts)
	return nil
}

// odd adds the values of an entity that refers to what no key names: somebody
// may ask for anything.
func (x *indexer) odd(to *values, of *entity) error {
	entries, facts, err := x.extract(fhir.Body{Raw: entityBody(of)}, x.unplaced)
	to.entries, to.facts = append(to.entries, entries...), join(to.facts, facts)
	return err
}

// entityBody is a record of one entity and nothing else.
func entityBody(of *entity) []byte {
	return append(of.append([]byte(`{"resourceType":"AuditEvent","entity":[{`)), "}]}"...)
}

// named gives the keys with the placeholder replaced.
func named(keys []fhir.Key, id string) []fhir.Key {
	if !slices.ContainsFunc(keys, func(k fhir.Key) bool { return k.ID == placeholder }) {
		return keys
	}
	keys = slices.Clone(keys)
	for i := range keys {
		if keys[i].ID == placeholder {
			keys[i].ID = id
		}
	}
	return keys
}

// learn extracts the values of a part and remembers them under key.
func (x *indexer) learn(key, body []byte, metaAt uint32) (v values, err error) {
	if v.entries, v.facts, err = x.extract(fhir.Body{Raw: body, MetaAt: metaAt}, x.unplaced); err != nil {
		return v, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.keep(string(key), v)
	return v, nil
}

func (x *indexer) known(key []byte) (v values, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if v, ok = x.young[string(key)]; ok {
		return v, true
	}
	if v, ok = x.old[string(key)]; ok {
		x.keep(string(key), v)
	}
	return v, ok
}

func (x *indexer) keep(key string, v values) {
	if len(x.young) >= generation {
		x.old, x.young = x.young, map[string]values{}
	}
	x.young[key] = v
}

// join puts the facts of two parts together, those of the first before.
func join(a, b fhir.Facts) fhir.Facts {
	b.Patients, b.Authors = union(a.Patients, b.Patients), union(a.Authors, b.Authors)
	b.Categories, b.Codes, b.Labels = union(a.Categories, b.Categories), union(a.Codes, b.Codes), union(a.Labels, b.Labels)
	if b.Clinical.IsZero() {
		b.Clinical = a.Clinical
	}
	return b
}

// union gives a list that shares nothing that may be appended to.
func union[T comparable](a, b []T) []T {
	if len(a) == 0 {
		return slices.Clip(b)
	}
	all := slices.Clip(a)
	for _, v := range b {
		if !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all
}
