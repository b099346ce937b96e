package interact

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/search"
	"hutong/fhir/store"
)

// links are the references of a unit's drafts that have to be resolved, and
// what they became. Source: R4 bundle.html#references, http.html#trules.
type links struct {
	collected bool
	dangling  []link                     // urn: references, which only an entry can answer
	queries   []link                     // conditional references: Patient?identifier=...
	requests  map[string]*search.Request // of the queries, by text
	to        map[string][]byte          // text as written -> Type/id
	entries   map[*draft][]search.Entry  // index values of drafts, for the queries
}

// link is one reference as written, and where it stands first.
type link struct {
	text string
	doc  *codec.Doc
	node uint32
}

// at is the expression of the place, which only a refusal needs.
func (l link) at() string { return l.doc.Path(l.node) }

// rewrite gives what the codec replaces; nil if nothing is replaced.
func (l *links) rewrite() codec.Rewrite {
	if len(l.to) == 0 {
		return nil
	}
	return func(ref []byte) ([]byte, bool) {
		to := l.to[string(ref)]
		return to, to != nil
	}
}

// resolve maps the fullUrls of the drafts and the conditional references to
// the keys that this attempt gave them.
func (u *unit) resolve(ctx context.Context, snap store.Snapshot) error {
	l := &u.links
	if !l.collected || u.patches() {
		l.collect(u.drafts)
	}
	l.to = make(map[string][]byte, len(u.drafts)+len(l.queries))
	l.entries = map[*draft][]search.Entry{}
	for _, d := range u.drafts {
		l.name(d)
	}
	for _, urn := range l.dangling {
		if l.to[urn.text] == nil && len(u.drafts) > 0 && u.drafts[0].at != "" {
			return fhir.Errorf(fhir.Invalid, "no entry of the Bundle has this fullUrl").At(urn.at())
		}
	}
	for _, q := range l.queries {
		key, err := u.follow(ctx, snap, q)
		if err != nil {
			return locate(err, q.at())
		}
		l.to[q.text] = []byte(key.String())
	}
	return nil
}

func (u *unit) patches() bool {
	return slices.ContainsFunc(u.drafts, func(d *draft) bool { return d.action == patch })
}

// name maps the fullUrl of an entry to its key. Where it is a RESTful URL,
// siblings may also name the entry relative to the common base.
func (l *links) name(d *draft) {
	if d.fullURL == "" || d.key.ID == "" {
		return
	}
	to := d.key.String()
	l.to[d.fullURL] = []byte(to)
	if parts := strings.Split(d.fullURL, "/"); len(parts) > 2 && strings.Contains(d.fullURL, "://") {
		relative := strings.Join(parts[len(parts)-2:], "/")
		if k, ok := fhir.ParseKey(relative); !ok || k.Type != d.key.Type || relative == to {
			return
		}
		if _, twice := l.to[relative]; twice { // of two bases: it means neither
			l.to[relative] = nil
			return
		}
		l.to[relative] = []byte(to)
	}
}

// collect finds the references of all drafts that need resolving, once each.
func (l *links) collect(drafts []*draft) {
	*l = links{collected: true, requests: map[string]*search.Request{}}
	seen := map[string]bool{}
	for _, d := range drafts {
		if d.doc == nil || d.action == remove {
			continue
		}
		l.walk(d, seen)
	}
}

// walk looks at every Reference.reference of a resource, those of contained
// resources too. The references within a nested Bundle hold there and are left
// alone.
func (l *links) walk(d *draft, seen map[string]bool) {
	doc := d.doc
	if doc.ResourceType(d.node) == "Bundle" {
		return
	}
	for i := d.node + 1; i < doc.Nodes[d.node].Next; i++ {
		switch n := &doc.Nodes[i]; {
		case n.Kind == codec.Object && doc.ResourceType(i) == "Bundle":
			i = n.Next - 1
			continue
		case !n.Kind.IsString() || n.KeyEnd-n.KeyStart != uint32(len("reference")) || string(doc.Key(i)) != "reference":
			continue
		}
		ref := doc.Bytes(i)
		urn, query := bytes.HasPrefix(ref, []byte("urn:")), isConditional(ref)
		if !urn && !query || seen[string(ref)] {
			continue
		}
		seen[string(ref)] = true
		if urn {
			l.dangling = append(l.dangling, link{string(ref), doc, i})
		} else {
			l.queries = append(l.queries, link{string(ref), doc, i})
		}
	}
}

// isConditional reports whether a reference is a search: Type?criteria.
func isConditional(ref []byte) bool {
	i := bytes.IndexByte(ref, '?')
	return i > 0 && ref[0] >= 'A' && ref[0] <= 'Z' && bytes.IndexAny(ref[:i], "/:") < 0
}

// follow finds the one resource that a conditional reference means: an entry
// that is written under the same criteria, or the one match there is once the
// entries are.
func (u *unit) follow(ctx context.Context, snap store.Snapshot, q link) (fhir.Key, error) {
	r, err := u.linkRequest(q.text)
	if err != nil {
		return fhir.Key{}, err
	}
	for _, d := range u.drafts {
		if d.request != nil && d.action != remove && d.key.ID != "" && d.request.Claim() == r.Claim() {
			return d.key, nil
		}
	}
	query := r.Query
	found, err := u.s.find(ctx, snap, u.c, Op{"search-type", query.Type}, &query)
	if err != nil {
		return fhir.Key{}, err
	}
	keys, err := u.afterwards(found, &r.Query)
	switch {
	case err != nil:
		return fhir.Key{}, err
	case len(keys) == 0:
		return fhir.Key{}, fhir.Errorf(fhir.PreconditionFailed, "no resource matches the conditional reference")
	case len(keys) > 1:
		return fhir.Key{}, fhir.Errorf(fhir.MultipleMatches, "more than one resource matches the conditional reference")
	}
	return keys[0], nil
}

// afterwards gives the matches as they are once the drafts are committed:
// conditional references are resolved last. found are at most two matches of
// before. Source: R4 http.html#trules.
func (u *unit) afterwards(found []fhir.Resource, q *search.Query) ([]fhir.Key, error) {
	var keys []fhir.Key
	for i := range found {
		keys = append(keys, found[i].Key)
	}
	if len(keys) > 1 {
		return keys, nil
	}
	for _, d := range u.drafts {
		if d.idle || d.key.Type != q.Type {
			continue
		}
		keys = slices.DeleteFunc(keys, func(k fhir.Key) bool { return k == d.key })
		if d.action == remove {
			continue
		}
		entries, err := u.entriesOf(d)
		if err != nil {
			return nil, err
		}
		if satisfies(d.key, entries, q.Filter) {
			keys = append(keys, d.key)
		}
	}
	return keys, nil
}

// entriesOf gives the index values of a draft's content, taken once an attempt.
func (u *unit) entriesOf(d *draft) ([]search.Entry, error) {
	if entries, ok := u.links.entries[d]; ok {
		return entries, nil
	}
	entries, _, err := u.s.cfg.Extractor.Extract(nil, d.doc, d.node, nil)
	if err != nil {
		return nil, locate(err, d.at)
	}
	u.links.entries[d] = entries
	return entries, nil
}

// satisfies holds a resource of the Bundle against criteria. A chain, _has and
// _lastUpdated ask about more than the resource says: none satisfies these.
func satisfies(k fhir.Key, entries []search.Entry, criteria []search.Predicate) bool {
	for i := range criteria {
		p := &criteria[i]
		if p.Param != nil && p.Param.Code == "_id" && p.Modifier == search.NoModifier {
			if !slices.ContainsFunc(p.Values, func(v search.Value) bool { return v.Code == k.ID }) {
				return false
			}
		} else if !search.Matches(p, entries) {
			return false
		}
	}
	return true
}

func (u *unit) linkRequest(text string) (*search.Request, error) {
	if r := u.links.requests[text]; r != nil {
		return r, nil
	}
	t, criteria, _ := strings.Cut(text, "?")
	if err := u.s.unknownType(fhir.Type(t)); err != nil {
		return nil, err
	}
	r, err := u.s.cfg.Parser.ParseCriteria(fhir.Type(t), criteria)
	if err == nil {
		u.links.requests[text] = r
	}
	return r, err
}
