package interact

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"hutong/fhir"
	"hutong/fhir/interact/page"
	"hutong/fhir/store"
)

// HistoryRequest is one history: of a resource, of a type (Key.Type only), or
// of everything.
type HistoryRequest struct {
	Key   fhir.Key
	Query string // _since, _at, _count and the page token

	from time.Time // start of the period of _at
}

func (r *HistoryRequest) op() Op {
	switch {
	case r.Key.ID != "":
		return Op{"history-instance", r.Key.Type}
	case r.Key.Type != "":
		return Op{"history-type", r.Key.Type}
	}
	return Op{Interaction: "history-system"}
}

func (r *HistoryRequest) path() string {
	switch {
	case r.Key.ID != "":
		return r.Key.String() + "/_history"
	case r.Key.Type != "":
		return string(r.Key.Type) + "/_history"
	}
	return "_history"
}

const (
	defaultHistory = 20
	maxHistory     = 1000
)

// History lists versions, newest first, and gives one page. Source: R4
// http.html#history.
func (s *Service) History(ctx context.Context, c Caller, r HistoryRequest) (*Bundle, error) {
	note := &Disclosure{Op: r.op(), Caller: c, Query: r.Query, Total: -1}
	return audited(ctx, s, note, func(ctx context.Context) (*Bundle, error) {
		if r.Key.Type != "" {
			if err := s.unknownType(r.Key.Type); err != nil {
				return nil, err
			}
		}
		h, self, token, err := parseHistory(&r)
		if err != nil {
			return nil, err
		}
		scope := scopeOf(c, r.path(), self)
		snap, _, err := s.resume(ctx, scope, token, &h.After)
		if err != nil {
			return nil, err
		}
		defer snap.Close()
		if err := s.restrictHistory(ctx, snap, c, &r, &h); err != nil {
			return nil, err
		}
		found, err := snap.History(ctx, h)
		if err != nil {
			return nil, err
		}
		r.cutAt(&found)
		note.Total = found.Total
		b := &Bundle{Type: "history", Total: found.Total, At: s.cfg.Now()}
		b.Links = s.links(r.path(), self, scope, page.Token{T: snap.T(), After: found.Next, Total: -1})
		for i := range found.Versions {
			note.seen(found.Versions[i].Key, &found.Versions[i].Facts)
			b.Entries = append(b.Entries, s.version(&found.Versions[i]))
		}
		return b, nil
	})
}

// cutAt ends a history under _at behind the version that was current when the
// period began: older ones were not current at any time of it.
func (r *HistoryRequest) cutAt(page *store.HistoryPage) {
	if r.from.IsZero() {
		return
	}
	page.Total = -1
	for i := range page.Versions {
		if !page.Versions[i].LastUpdated.After(r.from) {
			page.Versions, page.Next = page.Versions[:i+1], nil
			return
		}
	}
}

// restrictHistory has the caller decide; a resource whose current facts it may
// not see has no history for it.
func (s *Service) restrictHistory(ctx context.Context, snap store.Snapshot, c Caller, r *HistoryRequest, h *store.History) error {
	var about []fhir.Key
	if r.Key.ID != "" {
		current, err := snap.Get(ctx, r.Key)
		if _, err = s.show(ctx, c, r.op(), snap, r.Key, current, err); err != nil && !errors.Is(err, fhir.E(fhir.Gone)) {
			return err
		}
		facts := &current.Facts
		if err != nil {
			facts = lastFacts(ctx, snap, current)
		}
		about = patientsOf(r.Key, facts)
	}
	restriction, err := s.restrict(ctx, c, r.op(), about)
	h.Restriction = restriction
	return err
}

// version writes one version down as an entry.
func (s *Service) version(r *fhir.Resource) Entry {
	e := Entry{
		FullURL: s.cfg.BaseURL + "/" + r.Key.String(), Resource: *r, Method: r.Method.String(), URL: r.Key.String(),
		Status: "200 OK", ETag: r.ETag(), Modified: r.LastUpdated,
	}
	switch {
	case r.Deleted():
		e.Status = "204 No Content"
	case r.Method == fhir.Created:
		e.URL, e.Status = string(r.Type), "201 Created"
	case r.VersionID == 1:
		e.Status = "201 Created"
	}
	return e
}

// parseHistory reads the parameters; self is the query string without the
// token.
func parseHistory(r *HistoryRequest) (h store.History, self, token string, err error) {
	h = store.History{Key: r.Key, Count: defaultHistory, Total: true}
	values, err := url.ParseQuery(r.Query)
	if err != nil {
		return h, "", "", fhir.Errorf(fhir.Invalid, "the query string is not well-formed")
	}
	used := url.Values{}
	for name, list := range values {
		value := list[0]
		if len(list) > 1 {
			return h, "", "", fhir.Errorf(fhir.Invalid, "parameter stands twice").At(name)
		}
		switch name {
		case "_format", "_pretty", "_summary":
			continue
		case "_page":
			token = value
			continue
		case "_count":
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 {
				return h, "", "", fhir.Errorf(fhir.Invalid, "_count is not a number").At("_count")
			}
			h.Count = min(n, maxHistory)
		case "_since":
			if h.Since, _, err = instant(value); err != nil {
				return h, "", "", fhir.Errorf(fhir.Invalid, "_since is not an instant").At("_since")
			}
		case "_at":
			if r.Key.ID == "" {
				return h, "", "", fhir.Errorf(fhir.NotSupported, "_at is supported for the history of one resource").At("_at")
			}
			if r.from, h.Before, err = instant(value); err != nil {
				return h, "", "", fhir.Errorf(fhir.Invalid, "_at is not a date").At("_at")
			}
		default:
			return h, "", "", fhir.Errorf(fhir.NotSupported, "not a parameter of a history").At("_history")
		}
		used[name] = []string{value}
	}
	return h, used.Encode(), token, nil
}

// instant reads a date, dateTime or instant as the moments [lo,hi) that it
// covers.
func instant(s string) (lo, hi time.Time, err error) {
	s = strings.ReplaceAll(s, " ", "+") // the '+' of a zone arrives as a blank
	for _, l := range []struct {
		layout string
		end    func(time.Time) time.Time
	}{
		{time.RFC3339Nano, func(t time.Time) time.Time { return t.Add(time.Millisecond) }},
		{"2006-01-02", func(t time.Time) time.Time { return t.AddDate(0, 0, 1) }},
		{"2006-01", func(t time.Time) time.Time { return t.AddDate(0, 1, 0) }},
		{"2006", func(t time.Time) time.Time { return t.AddDate(1, 0, 0) }},
	} {
		if lo, err = time.Parse(l.layout, s); err == nil {
			return lo, l.end(lo), nil
		}
	}
	return lo, hi, err
}
