package interact

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"slices"
	"sync"
	"time"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/search"
)

// ExportRequest asks for one page of all current resources of a type.
type ExportRequest struct {
	Type     fhir.Type
	Since    time.Time // lastUpdated >= Since; zero = all
	Patients bool      // only what lies in some patient's compartment
	T        fhir.T    // the moment of an earlier page; 0 = now
	After    []byte    // ExportPage.Next of the page before; nil = from the front
	Count    int       // resources read for a page
}

// ExportPage is one page.
type ExportPage struct {
	T         fhir.T
	Resources []fhir.Resource
	Next      []byte // nil at the end
}

// Export reads one page of what the caller may see of a type. All pages of one
// T show one moment; the restriction is compiled anew for each. Gone if T is no
// longer kept.
func (s *Service) Export(ctx context.Context, c Caller, r ExportRequest) (*ExportPage, error) {
	query := ""
	if !r.Since.IsZero() {
		query = "_lastUpdated=" + url.QueryEscape("ge"+r.Since.UTC().Format(time.RFC3339Nano))
	}
	note := &Disclosure{Op: Op{"$export", r.Type}, Caller: c, Query: query, Total: -1}
	return audited(ctx, s, note, func(ctx context.Context) (*ExportPage, error) {
		req, err := s.parse(&SearchRequest{Type: r.Type, Query: query})
		if err != nil {
			return nil, err
		}
		snap, err := s.cfg.Store.Snapshot(ctx, r.T)
		if err != nil {
			return nil, err
		}
		defer snap.Close()
		q := &req.Query
		q.Count, q.After, q.Total = r.Count, r.After, false
		if _, err := s.plan(ctx, snap, c, note.Op, q, planOptions{}); err != nil {
			return nil, err
		}
		found, err := snap.Search(ctx, q)
		if err != nil {
			return nil, err
		}
		if r.Patients {
			found.Matches = slices.DeleteFunc(found.Matches, func(r fhir.Resource) bool { return len(patientsOf(r.Key, &r.Facts)) == 0 })
		}
		_, err = s.entries(found.Matches, nil, subsetting{}, note)
		return &ExportPage{T: snap.T(), Resources: found.Matches, Next: found.Next}, err
	})
}

// ExportTypes gives the types of an export: those asked for, each of which the
// caller's scopes must cover, or else all that they cover. patients leaves
// those that the Patient compartment can hold. Errors: Invalid for what is no
// type or not in the compartment, Forbidden.
func (s *Service) ExportTypes(ctx context.Context, c Caller, asked []fhir.Type, patients bool) ([]fhir.Type, error) {
	note := &Disclosure{Op: Op{Interaction: "$export"}, Caller: c, Total: -1}
	return audited(ctx, s, note, func(ctx context.Context) ([]fhir.Type, error) {
		candidates := asked
		if len(asked) == 0 {
			candidates = s.cfg.Defs.Types()
		}
		var types []fhir.Type
		for _, t := range candidates {
			fits := s.cfg.Defs.IsType(t) && (!patients || t == "Patient" || len(s.cfg.Defs.Compartment("Patient", t)) > 0)
			if !fits && len(asked) > 0 {
				return nil, fhir.Errorf(fhir.Invalid, "a type that cannot be exported here").At("_type")
			}
			if !fits || slices.Contains(types, t) {
				continue
			}
			_, err := s.restrict(ctx, c, Op{"$export", t}, nil)
			if err == nil {
				types = append(types, t)
			} else if len(asked) > 0 || !errors.Is(err, fhir.E(fhir.Forbidden)) {
				return nil, err
			}
		}
		if len(types) == 0 {
			return nil, fhir.Errorf(fhir.Forbidden, "no type may be exported")
		}
		return types, nil
	})
}

// Refuse records an operation that was refused before it got here, and gives
// the answer.
func (s *Service) Refuse(ctx context.Context, c Caller, operation string, err error) error {
	return s.refused(ctx, c, Op{Interaction: operation}, err)
}

// Import is resources on their way in by $import, parsed and validated.
type Import struct {
	s      *Service
	lines  []importLine
	faults []error
	keys   map[fhir.Key]struct{}
	asks   bool // a reference may be a search
	there  bool // some of the resources, or of those before, were there already
}

type importLine struct {
	index int
	draft *draft
}

// PrepareImport parses and validates resources (JSON, ids given), each by
// itself. It touches neither the store nor the caller.
func (s *Service) PrepareImport(resources [][]byte) *Import {
	b := &Import{s: s, faults: make([]error, len(resources)), keys: make(map[fhir.Key]struct{}, len(resources))}
	for i, body := range resources {
		d := &draft{action: update}
		if b.faults[i] = s.content(d, body); b.faults[i] != nil {
			continue
		}
		d.key = fhir.Key{Type: d.doc.ResourceType(0), ID: d.doc.ChildText(0, "id")}
		if b.faults[i] = s.importable(d); b.faults[i] == nil {
			b.lines = append(b.lines, importLine{i, d})
			b.keys[d.key] = struct{}{}
			b.asks = b.asks || mayAsk(body)
		}
	}
	return b
}

func (s *Service) importable(d *draft) error {
	if d.doc.Nodes[0].Kind != codec.Object || d.key.Type == "" {
		return fhir.Errorf(fhir.Invalid, "not a resource").At("resourceType")
	}
	if d.key.ID == "" {
		return fhir.Errorf(fhir.Invalid, "a resource needs its id to be imported").At(string(d.key.Type) + ".id")
	}
	return locate(s.admit(d), string(d.key.Type))
}

// mayAsk reports whether a resource may hold a conditional reference. One that
// only looks like it costs a wait.
func mayAsk(body []byte) bool {
	return bytes.IndexByte(body, '?') >= 0 || bytes.Contains(body, []byte(`\u`))
}

// After reports whether b must wait until before is committed: it writes some
// of the same resources, or asks for what before may write.
func (b *Import) After(before *Import) bool {
	if b.asks {
		return true
	}
	for k := range b.keys {
		if _, both := before.keys[k]; both {
			return true
		}
	}
	return false
}

// There reports whether Commit met resources that were there already.
func (b *Import) There() bool { return b.there }

// Expect says that resources of a stream were there already, as those of b may
// be: then each is read first. Otherwise all are taken to be new until the
// commit says that they are not, which spares a new one the reading.
func (b *Import) Expect(there bool) { b.there = there }

// Shared gives a Caller for several imports at once: it is called from one
// goroutine at a time, as c may expect.
func Shared(c Caller) Caller { return &shared{c: c} }

type shared struct {
	mu sync.Mutex
	c  Caller
}

func (s *shared) Restrict(ctx context.Context, op Op, about []fhir.Key) (search.Restriction, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.c.Restrict(ctx, op, about)
}

func (s *shared) MayWrite(ctx context.Context, op Op, key fhir.Key, existing *fhir.Facts) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.c.MayWrite(ctx, op, key, existing)
}

func (s *shared) Stamp() Stamp {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.c.Stamp()
}

func (s *shared) ExpandPersons() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.c.ExpandPersons()
}

func (s *shared) Inspect(ctx context.Context, op Op, key fhir.Key, body fhir.Body, facts *fhir.Facts) error {
	inspector, ok := s.c.(Inspector)
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return inspector.Inspect(ctx, op, key, body, facts)
}

// behind gives the caller that the trail is to know.
func behind(c Caller) Caller {
	if s, ok := c.(*shared); ok {
		return s.c
	}
	return c
}

// Commit creates or updates the resources in one transaction. Those that
// cannot be stored are found by halving it and keep none of the others out;
// faults says of each resource why it was not stored, nil if it was. err is a
// failure of ours (Busy, Timeout ...): then those of the resources that have
// no fault may or may not be stored, and Commit may be called again.
func (b *Import) Commit(ctx context.Context, c Caller) (faults []error, err error) {
	if len(b.lines) == 0 && len(b.faults) > 0 {
		err = b.s.refused(ctx, behind(c), Op{Interaction: "$import"}, b.faults[0])
		if err == b.faults[0] {
			err = nil
		}
		return b.faults, err
	}
	return b.faults, b.commit(ctx, c, b.lines)
}

func (b *Import) commit(ctx context.Context, c Caller, lines []importLine) error {
	if len(lines) == 0 {
		return nil
	}
	err := b.attempt(ctx, c, lines)
	switch {
	case err == nil || isOurs(err):
		return err
	case len(lines) == 1:
		b.faults[lines[0].index] = locate(err, string(lines[0].draft.key.Type))
		return nil
	}
	half := len(lines) / 2
	if err := b.commit(ctx, c, lines[:half]); err != nil {
		return err
	}
	return b.commit(ctx, c, lines[half:])
}

func (b *Import) attempt(ctx context.Context, c Caller, lines []importLine) error {
	note := &Disclosure{Op: Op{Interaction: "$import"}, Caller: behind(c), Total: -1}
	_, err := audited(ctx, b.s, note, func(ctx context.Context) (none struct{}, err error) {
		u := &unit{s: b.s, c: c, drafts: make([]*draft, len(lines)), unread: !b.there, unhurried: true}
		for i := range lines {
			u.drafts[i] = lines[i].draft
		}
		defer u.disclose(note)
		err = u.run(ctx)
		b.there = b.there || u.there
		return none, err
	})
	return err
}

// isOurs tells failures that say nothing about what was sent.
func isOurs(err error) bool {
	switch fhir.KindOf(err) {
	case fhir.Internal, fhir.Busy, fhir.Timeout, fhir.Throttled, fhir.Unauthorized:
		return true
	}
	return false
}
