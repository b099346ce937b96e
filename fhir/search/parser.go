package search

import (
	"net/url"
	"slices"
	"strings"

	"hutong/fhir"
	"hutong/fhir/definition"
)

// Parser turns query strings into Requests. It is immutable and safe for
// concurrent use.
type Parser struct {
	defs *definition.Set
	o    Options
}

// NewParser makes the parser that belongs to the Extractor of the same defs
// and options.
func NewParser(defs *definition.Set, o Options) *Parser {
	if o.DefaultCount == 0 {
		o.DefaultCount = 20
	}
	if o.MaxCount == 0 {
		o.MaxCount = 1000
	}
	return &Parser{defs: defs, o: o}
}

// What one request may cost.
const (
	maxQuery  = 64 << 10 // bytes of the query string
	maxParams = 200
	maxValues = 1000 // alternatives of one parameter
	maxChain  = 10   // links of a chain, _has counted
)

// Parse reads the query string (without '?') of a search on t; "" is a search
// across all types. Unknown parameters are errors of kind NotSupported, bad
// values of kind Invalid; each names the parameter, and no value: it may be PHI.
func (p *Parser) Parse(t fhir.Type, rawQuery string) (*Request, error) {
	return p.parse(t, rawQuery, strict)
}

// ParseLenient is Parse under "Prefer: handling=lenient": parameters that are
// not known become warnings in Request.Issues and are left out of Self.
func (p *Parser) ParseLenient(t fhir.Type, rawQuery string) (*Request, error) {
	return p.parse(t, rawQuery, lenient)
}

// ParseCriteria reads the criteria of a conditional interaction: filters only
// (no paging, sorting or including), at least one.
func (p *Parser) ParseCriteria(t fhir.Type, rawQuery string) (*Request, error) {
	r, err := p.parse(t, strings.TrimPrefix(rawQuery, "?"), criteria)
	if err == nil && len(r.Query.Filter) == 0 {
		return nil, fhir.Errorf(fhir.Invalid, "a conditional interaction needs at least one search parameter as its criterion")
	}
	return r, err
}

// Claim is the canonical form of the request's criteria, for store.Guard:
// equal criteria have equal claims, whatever the order they were written in.
func (r *Request) Claim() string { return string(r.Query.Type) + "?" + r.claim }

type mode uint8

const (
	strict mode = iota
	lenient
	criteria
)

// pair is one name=value of a query string, decoded.
type pair struct{ name, value string }

// reading is the state of one parse.
type reading struct {
	p       *Parser
	mode    mode
	req     *Request
	filters []string // canonical text of the filters
	results []string // canonical text of the result parameters
	seen    map[string]bool
}

func (p *Parser) parse(t fhir.Type, rawQuery string, m mode) (*Request, error) {
	if t != "" && !p.defs.IsType(t) {
		return nil, fhir.Errorf(fhir.NotFound, "there is no R4 resource type of that name")
	}
	pairs, err := split(rawQuery)
	if err != nil {
		return nil, err
	}
	r := &reading{p: p, mode: m, seen: map[string]bool{}, req: &Request{
		Query: Query{Type: t, Count: p.o.DefaultCount, Total: true, TotalWithin: TotalWithin}, Summary: SummaryFalse,
	}}
	// _type decides which parameters there are.
	slices.SortStableFunc(pairs, func(a, b pair) int { return rank(a) - rank(b) })
	for _, kv := range pairs {
		if err := r.parameter(kv); err != nil {
			return nil, err
		}
	}
	r.finish()
	return r.req, nil
}

func rank(kv pair) int {
	if kv.name == "_type" {
		return 0
	}
	return 1
}

func split(rawQuery string) ([]pair, error) {
	if len(rawQuery) > maxQuery {
		return nil, fhir.Errorf(fhir.TooCostly, "the query is longer than %d bytes", maxQuery)
	}
	var pairs []pair
	for part := range strings.SplitSeq(rawQuery, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, err1 := url.QueryUnescape(name)
		value, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			return nil, fhir.Errorf(fhir.Invalid, "the query holds a %% that begins no %%XX escape")
		}
		if pairs = append(pairs, pair{name, value}); len(pairs) > maxParams {
			return nil, fhir.Errorf(fhir.TooCostly, "the query has more than %d parameters", maxParams)
		}
	}
	return pairs, nil
}

func (r *reading) parameter(kv pair) error {
	name, modifier, _ := strings.Cut(kv.name, ":")
	if control, ok := controls[name]; ok {
		return r.control(control, name, modifier, kv.value)
	}
	if !utf8Text(kv.value) {
		return fhir.Errorf(fhir.Invalid, "parameter %s: the value is not UTF-8 text", shown(kv.name))
	}
	f, err := r.p.filter(r.req.Query.Type, r.req.Query.Types, kv.name, kv.value, 0)
	if u, unknown := err.(*unknownError); unknown {
		return r.unknown(u)
	}
	if err != nil {
		return err
	}
	r.req.Query.Filter = append(r.req.Query.Filter, f)
	r.filters = append(r.filters, encode(kv.name)+"="+encode(sortValues(kv.value)))
	return nil
}

// unknown refuses a parameter that is not known, or warns of it.
func (r *reading) unknown(u *unknownError) error {
	if r.mode != lenient {
		return fhir.Errorf(fhir.NotSupported, "%s", u.Error())
	}
	r.req.Issues = append(r.req.Issues, fhir.Issue{Severity: fhir.Warning, Code: "not-supported", Text: u.Error() + "; it was ignored"})
	return nil
}

// finish sets what follows from the whole: the canonical texts.
func (r *reading) finish() {
	slices.Sort(r.filters)
	slices.Sort(r.results)
	r.req.claim = strings.Join(r.filters, "&")
	r.req.Self = strings.Join(append(r.filters, r.results...), "&")
	if r.req.Summary == SummaryCount {
		r.req.Query.Count, r.req.Query.Total = 0, true
	}
	if r.req.Query.Count == 0 {
		r.req.Query.TotalWithin = 0 // the total is all that is asked for
	}
}

// unknownError says that a search parameter does not exist.
type unknownError struct {
	name    string
	of      string
	allowed []string
}

func (e *unknownError) Error() string {
	s := "there is no search parameter " + shown(e.name) + " of " + e.of
	if len(e.allowed) > 0 {
		s += "; there are " + strings.Join(e.allowed, ", ")
	}
	return s
}

// shown gives a parameter's name for an error text, unless it is no name at
// all: then it may be anything, and is not repeated.
func shown(name string) string {
	for i := 0; i < len(name); i++ {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_-:.*", c) >= 0) || i >= 80 {
			return "(of that name)"
		}
	}
	return name
}

// encode escapes what a query string may not hold as it stands.
func encode(s string) string {
	return readable.Replace(url.QueryEscape(s))
}

// readable undoes escapes that RFC 3986 does not ask for in a query.
var readable = strings.NewReplacer("%3A", ":", "%2C", ",", "%2F", "/", "%24", "$", "%2A", "*")

// sortValues puts the alternatives of a value into canonical order.
func sortValues(value string) string {
	values := splitUnescaped(value, ',')
	slices.Sort(values)
	return strings.Join(slices.Compact(values), ",")
}
