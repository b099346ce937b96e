package interact

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store"
)

// Read gives the current version of a resource. Errors: NotFound; Gone for
// what was deleted; what the restriction refuses with for what the caller may
// not see, which by default cannot be told from NotFound.
func (s *Service) Read(ctx context.Context, c Caller, k fhir.Key) (fhir.Resource, error) {
	return s.read(ctx, c, Op{"read", k.Type}, k, func(ctx context.Context, snap store.Snapshot) (fhir.Resource, error) {
		return snap.Get(ctx, k)
	})
}

// Get is Read, for the exchange's own workflows.
func (s *Service) Get(ctx context.Context, c Caller, k fhir.Key) (fhir.Resource, error) {
	return s.Read(ctx, c, k)
}

// VRead gives one version of a resource, under the access facts of that
// version.
func (s *Service) VRead(ctx context.Context, c Caller, k fhir.Key, version uint64) (fhir.Resource, error) {
	return s.read(ctx, c, Op{"vread", k.Type}, k, func(ctx context.Context, snap store.Snapshot) (fhir.Resource, error) {
		return snap.GetVersion(ctx, k, version)
	})
}

func (s *Service) read(ctx context.Context, c Caller, op Op, k fhir.Key, get func(context.Context, store.Snapshot) (fhir.Resource, error)) (fhir.Resource, error) {
	d := &Disclosure{Op: op, Caller: c, Keys: []fhir.Key{k}, Total: -1}
	return audited(ctx, s, d, func(ctx context.Context) (fhir.Resource, error) {
		if err := s.unknownType(k.Type); err != nil {
			return fhir.Resource{}, err
		}
		snap, err := s.cfg.Store.Snapshot(ctx, 0)
		if err != nil {
			return fhir.Resource{}, err
		}
		defer snap.Close()
		r, err := get(ctx, snap)
		d.Patients = patientsOf(k, &r.Facts)
		return s.show(ctx, c, op, snap, k, r, err)
	})
}

// show holds a read against what the caller may see. The restriction is asked
// for in every case, so that scopes refuse alike whether k is there or not.
func (s *Service) show(ctx context.Context, c Caller, op Op, snap store.Snapshot, k fhir.Key, r fhir.Resource, err error) (fhir.Resource, error) {
	facts := &r.Facts
	switch {
	case errors.Is(err, fhir.E(fhir.Gone)):
		facts = lastFacts(ctx, snap, r)
	case errors.Is(err, fhir.E(fhir.NotFound)):
		facts = nil
	case err != nil:
		return fhir.Resource{}, err
	}
	var about []fhir.Key
	if facts != nil {
		about = patientsOf(k, facts)
	}
	restriction, rerr := s.restrict(ctx, c, op, about)
	switch {
	case rerr != nil:
		return fhir.Resource{}, rerr
	case facts == nil, !restriction.Sees(k, facts, s.cfg.Now()):
		return fhir.Resource{}, refusal(&restriction)
	}
	return r, err
}

// lastFacts gives the access facts of a deleted resource as of its last
// version with content; nil if they are not kept, and then nobody hears that
// it was there.
func lastFacts(ctx context.Context, snap store.Snapshot, r fhir.Resource) *fhir.Facts {
	for v := r.VersionID; v > 1; v-- {
		last, err := snap.GetVersion(ctx, r.Key, v-1)
		if err == nil {
			return &last.Facts
		}
		if !errors.Is(err, fhir.E(fhir.Gone)) {
			return nil
		}
	}
	return nil
}

// refusal is the answer for what is invisible or absent. One text for both.
func refusal(r *search.Restriction) error {
	if r.Refuse == fhir.Forbidden {
		return fhir.Errorf(fhir.Forbidden, "access is not permitted")
	}
	return fhir.Errorf(fhir.NotFound, "no such resource")
}

// restrict has the caller compile what may be seen. No decision is an error
// of ours, never a permission.
func (s *Service) restrict(ctx context.Context, c Caller, op Op, about []fhir.Key) (search.Restriction, error) {
	members, err := s.members(ctx, about)
	if err != nil {
		return search.Restriction{}, err
	}
	r, err := c.Restrict(ctx, op, members)
	if err != nil {
		return search.Restriction{}, err
	}
	if !r.Decided {
		return search.Restriction{}, fhir.Errorf(fhir.Internal, "interact: the caller made no access decision for %s", op.Interaction)
	}
	return r, nil
}

// members widens patients to all records of their persons, those named first.
func (s *Service) members(ctx context.Context, patients []fhir.Key) ([]fhir.Key, error) {
	if s.cfg.Persons == nil {
		return patients, nil
	}
	all := slices.Clone(patients)
	for _, k := range patients {
		of, err := s.cfg.Persons.Members(ctx, k)
		if err != nil {
			return nil, err
		}
		all = appendNew(all, of...)
	}
	return all, nil
}

// appendNew appends the keys that are not there yet.
func appendNew(list []fhir.Key, keys ...fhir.Key) []fhir.Key {
	for _, k := range keys {
		if !slices.Contains(list, k) {
			list = append(list, k)
		}
	}
	return list
}

// bundleRead is a GET inside a Bundle.
type bundleRead struct {
	run       func(ctx context.Context) (fhir.Resource, error) // read, vread
	list      func(ctx context.Context) (*Bundle, error)       // search, history
	noneMatch string
}

// parseRead understands the URL of a GET: what it asks for is checked before
// anything is written.
func (x *bundleRun) parseRead(url, noneMatch string) (*bundleRead, error) {
	path, query, _ := strings.Cut(x.relative(url), "?")
	parts := strings.Split(strings.TrimSuffix(path, "/"), "/")
	r := &bundleRead{noneMatch: noneMatch}
	if parts[0] != "" && parts[0] != "_history" {
		if err := x.s.unknownType(fhir.Type(parts[0])); err != nil {
			return nil, err
		}
	}
	k := fhir.Key{Type: fhir.Type(parts[0])}
	if len(parts) > 1 {
		k.ID = parts[1]
	}
	switch {
	case parts[len(parts)-1] == "_history" && len(parts) <= 3:
		x.readHistory(r, parts, query)
	case len(parts) == 1:
		x.readSearch(r, SearchRequest{Type: k.Type, Query: query})
		return r, x.probe(SearchRequest{Type: k.Type, Query: query})
	case !fhir.ValidID(k.ID):
		return nil, fhir.Errorf(fhir.NotSupported, "this URL cannot be read in a Bundle")
	case len(parts) == 2:
		r.run = func(ctx context.Context) (fhir.Resource, error) { return x.s.Read(ctx, x.c, k) }
	case len(parts) == 4 && parts[2] == "_history":
		version, err := strconv.ParseUint(parts[3], 10, 64)
		if err != nil {
			return nil, fhir.Errorf(fhir.NotFound, "no such version")
		}
		r.run = func(ctx context.Context) (fhir.Resource, error) { return x.s.VRead(ctx, x.c, k, version) }
	case len(parts) == 3:
		req := SearchRequest{Compartment: k, Type: fhir.Type(strings.TrimPrefix(parts[2], "*")), Query: query}
		x.readSearch(r, req)
		return r, x.probe(req)
	default:
		return nil, fhir.Errorf(fhir.NotSupported, "this URL cannot be read in a Bundle")
	}
	return r, nil
}

// probe checks a search without running it.
func (x *bundleRun) probe(req SearchRequest) error {
	req.Lenient = x.o.Lenient
	_, err := x.s.parse(&req)
	return err
}

func (x *bundleRun) readSearch(r *bundleRead, req SearchRequest) {
	req.Lenient = x.o.Lenient
	r.list = func(ctx context.Context) (*Bundle, error) { return x.s.Search(ctx, x.c, req) }
}

func (x *bundleRun) readHistory(r *bundleRead, parts []string, query string) {
	req := HistoryRequest{Query: query}
	if len(parts) > 1 {
		req.Key.Type = fhir.Type(parts[0])
	}
	if len(parts) > 2 {
		req.Key.ID = parts[1]
	}
	r.list = func(ctx context.Context) (*Bundle, error) { return x.s.History(ctx, x.c, req) }
}

// runRead answers the entry of a GET, which stands at the expression at.
func (x *bundleRun) runRead(ctx context.Context, r *bundleRead, at string) Entry {
	if r.list != nil {
		b, err := r.list(ctx)
		if err != nil {
			return failed(ctx, locate(err, at))
		}
		var buf bytes.Buffer
		if _, err := b.WriteTo(&buf); err != nil {
			return failed(ctx, locate(err, at))
		}
		return Entry{JSON: buf.Bytes(), Status: "200 OK"}
	}
	res, err := r.run(ctx)
	if err != nil {
		return failed(ctx, locate(err, at))
	}
	e := Entry{FullURL: x.s.cfg.BaseURL + "/" + res.Key.String(), Status: "200 OK", ETag: res.ETag(), Modified: res.LastUpdated}
	if r.noneMatch != "" && strings.Trim(r.noneMatch, " ") == res.ETag() {
		e.Status = "304 Not Modified"
		return e
	}
	e.Resource = res
	return e
}
