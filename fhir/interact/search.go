package interact

import (
	"context"
	"slices"
	"strconv"

	"hutong/fhir"
	"hutong/fhir/interact/answer"
	"hutong/fhir/interact/outcome"
	"hutong/fhir/interact/page"
	"hutong/fhir/search"
	"hutong/fhir/store"
)

// SearchRequest is one search, whether from a URL or from a form.
type SearchRequest struct {
	Type        fhir.Type // "" for a search of the system or of a whole compartment
	Compartment fhir.Key  // of a compartment search: Patient/1
	Query       string    // raw query string, without '?'
	Lenient     bool      // Prefer: handling=lenient
}

func (r *SearchRequest) op() Op {
	if r.Type == "" {
		return Op{Interaction: "search-system"}
	}
	return Op{"search-type", r.Type}
}

// path of the search below the base.
func (r *SearchRequest) path() string {
	switch {
	case r.Compartment.IsZero():
		return string(r.Type)
	case r.Type == "":
		return r.Compartment.String() + "/*"
	}
	return r.Compartment.String() + "/" + string(r.Type)
}

// Search runs a search and gives one page of it: the matches, what _include
// and _revinclude add, and an OperationOutcome for what was left out. Errors:
// NotSupported and Invalid for parameters, Gone for a page whose snapshot is
// no longer kept, Forbidden.
func (s *Service) Search(ctx context.Context, c Caller, r SearchRequest) (*Bundle, error) {
	note := &Disclosure{Op: r.op(), Caller: c, Query: r.Query, Total: -1}
	if !r.Compartment.IsZero() {
		note.Keys = []fhir.Key{r.Compartment}
	}
	return audited(ctx, s, note, func(ctx context.Context) (*Bundle, error) {
		req, err := s.parse(&r)
		if err != nil {
			return nil, err
		}
		scope := scopeOf(c, r.path(), req.Self)
		snap, from, err := s.resume(ctx, scope, req.Page, &req.Query.After)
		if err != nil {
			return nil, err
		}
		defer snap.Close()
		return s.searchPage(ctx, snap, c, &r, req, scope, from, note)
	})
}

func (s *Service) parse(r *SearchRequest) (*search.Request, error) {
	if r.Type != "" {
		if err := s.unknownType(r.Type); err != nil {
			return nil, err
		}
	}
	if r.Lenient {
		return s.cfg.Parser.ParseLenient(r.Type, r.Query)
	}
	return s.cfg.Parser.Parse(r.Type, r.Query)
}

// scopeOf binds page tokens to a query and to on whose behalf it runs.
func scopeOf(c Caller, path, query string) string {
	stamp := c.Stamp()
	return path + "?" + query + "\n" + stamp.Custodian + "\n" + stamp.Source + "\n" + strconv.FormatBool(c.ExpandPersons())
}

// resume opens the snapshot of a page token, or the newest for a first page,
// whose token counts nothing.
func (s *Service) resume(ctx context.Context, scope, token string, after *[]byte) (store.Snapshot, page.Token, error) {
	at := page.Token{Total: -1}
	if token != "" {
		var err error
		if at, err = page.Open(s.cfg.PageKey, scope, token); err != nil {
			return nil, at, err
		}
		*after = at.After
	}
	snap, err := s.cfg.Store.Snapshot(ctx, at.T)
	return snap, at, err
}

// counted runs q for a page that continues from a token. What the first page
// counted at this snapshot, or left out, is not counted again, unless the
// caller's view has changed since. next is the token of the page that follows.
func (s *Service) counted(ctx context.Context, snap store.Snapshot, q *search.Query, from page.Token) (found store.Page, next page.Token, err error) {
	view, ok := page.ViewOf(q, s.cfg.Now())
	known := ok && q.Total && from.View == view
	q.Total = q.Total && !known
	if found, err = snap.Search(ctx, q); known {
		found.Total = from.Total
	}
	next = page.Token{T: snap.T(), After: found.Next, Total: -1}
	if ok {
		next.Total, next.View = found.Total, view
	}
	return found, next, err
}

func (s *Service) searchPage(ctx context.Context, snap store.Snapshot, c Caller, r *SearchRequest, req *search.Request, scope string, from page.Token, note *Disclosure) (*Bundle, error) {
	q := &req.Query
	p, err := s.plan(ctx, snap, c, r.op(), q, planOptions{compartment: r.Compartment, widen: c.ExpandPersons()})
	if err != nil {
		return nil, err
	}
	found, next, err := s.counted(ctx, snap, q, from)
	if err != nil {
		return nil, err
	}
	in := &includer{s: s, snap: snap, restriction: p.restriction, have: map[fhir.Key]bool{}}
	if err := in.run(ctx, found.Matches, req); err != nil {
		return nil, err
	}
	b := &Bundle{Type: "searchset", Total: -1, At: s.cfg.Now()}
	if req.Total != search.TotalNone || req.Summary == search.SummaryCount {
		b.Total = found.Total
	}
	note.Total = b.Total
	b.Links = s.links(r.path(), req.Self, scope, next)
	subset := s.subsetting(req)
	if b.Entries, err = s.entries(found.Matches, in.added, subset, note); err != nil {
		return nil, err
	}
	issues := append(append(req.Issues, p.issues...), in.issues...)
	if len(issues) > 0 {
		b.Entries = append(b.Entries, Entry{Mode: "outcome", JSON: outcome.Issues(issues, fhir.NotSupported, outcome.LanguageOf(ctx))})
	}
	return b, nil
}

// links of a page: self, first, and next if there is more.
func (s *Service) links(path, self, scope string, next page.Token) []Link {
	address := s.cfg.BaseURL + "/" + path
	glue := "?"
	if path == "" {
		address = s.cfg.BaseURL
	}
	if self != "" {
		address += "?" + self
		glue = "&"
	}
	l := []Link{{Relation: "self", URL: address}, {Relation: "first", URL: address}}
	if next.After != nil {
		l = append(l, Link{Relation: "next", URL: address + glue + "_page=" + page.Sign(s.cfg.PageKey, scope, next)})
	}
	return l
}

// entries writes matches and included resources down, and into the note.
func (s *Service) entries(matches, included []fhir.Resource, subset subsetting, note *Disclosure) ([]Entry, error) {
	list := make([]Entry, 0, len(matches)+len(included)+1)
	for i := range matches {
		e, err := s.entry(&matches[i], "match", subset.match)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	for i := range included {
		e, err := s.entry(&included[i], "include", subset.include)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	patients := make(map[fhir.Key]bool)
	note.Keys = slices.Grow(note.Keys, len(list))
	for i := range list {
		r := &list[i].Resource
		note.Keys = append(note.Keys, r.Key)
		for _, k := range patientsOf(r.Key, &r.Facts) {
			if !patients[k] {
				patients[k] = true
				note.Patients = append(note.Patients, k)
			}
		}
	}
	return list, nil
}

// AppendSubset writes a resource that was read as _summary and _elements, if
// the query string has them, leave it.
func (s *Service) AppendSubset(dst []byte, r *fhir.Resource, query string) ([]byte, error) {
	if query == "" {
		return r.AppendJSON(dst), nil
	}
	req, err := s.cfg.Parser.ParseLenient(r.Type, query)
	if err != nil {
		return dst, err
	}
	if keep := s.subsetting(req).match; keep != nil {
		text, err := answer.Subset(r, func(name string) bool { return keep(r.Type, name) })
		return append(dst, text...), err
	}
	return r.AppendJSON(dst), nil
}

func (s *Service) entry(r *fhir.Resource, mode string, keep keeper) (Entry, error) {
	e := Entry{FullURL: s.cfg.BaseURL + "/" + string(r.Type) + "/" + r.ID, Resource: *r, Mode: mode}
	var err error
	if keep != nil {
		e.JSON, err = answer.Subset(r, func(name string) bool { return keep(r.Type, name) })
	}
	return e, err
}

// keeper says whether a top-level element stays in a subset.
type keeper func(t fhir.Type, name string) bool

type subsetting struct{ match, include keeper }

// subsetting gives what _summary and _elements leave; nil leaves all.
// Source: R4 search.html#summary, #elements.
func (s *Service) subsetting(req *search.Request) subsetting {
	var k keeper
	switch req.Summary {
	case search.SummaryTrue:
		k = answer.InSummary
	case search.SummaryText:
		k = func(t fhir.Type, name string) bool { return name == "text" || answer.IsMandatory(t, name) }
	case search.SummaryData:
		k = func(_ fhir.Type, name string) bool { return name != "text" }
	}
	if len(req.Elements) == 0 {
		return subsetting{k, k}
	}
	return subsetting{match: func(t fhir.Type, name string) bool {
		return answer.Named(req.Elements, name) || answer.IsMandatory(t, name)
	}, include: k}
}
