package search

import (
	"slices"
	"strconv"
	"strings"

	"hutong/fhir"
	"hutong/fhir/definition"
)

// control reads one result parameter. read gives the value as it was used, for
// Self; "" if it was not.
type control struct {
	read       func(r *reading, modifier, value string) (used string, err error)
	repeats    bool // may stand more than once
	inCriteria bool // may stand in conditional criteria
}

// controls are the parameters that are not filters: they shape the result.
var controls = map[string]control{
	"_type":          {read: (*reading).types},
	"_sort":          {read: (*reading).sort},
	"_count":         {read: (*reading).count},
	"_total":         {read: (*reading).total},
	"_summary":       {read: (*reading).summary},
	"_elements":      {read: (*reading).elements},
	"_include":       {read: (*reading).include, repeats: true},
	"_revinclude":    {read: (*reading).revinclude, repeats: true},
	"_contained":     {read: (*reading).contained},
	"_page":          {read: (*reading).page},
	"_format":        {read: ignored, repeats: true, inCriteria: true},
	"_pretty":        {read: ignored, repeats: true, inCriteria: true},
	"_containedType": {read: unsupported("_containedType")},
	"_text":          {read: unsupported("_text")},
	"_content":       {read: unsupported("_content")},
	"_filter":        {read: unsupported("_filter")},
	"_list":          {read: unsupported("_list")},
	"_query":         {read: unsupported("_query")},
	"_score":         {read: unsupported("_score")},
}

func ignored(*reading, string, string) (string, error) { return "", nil }

func unsupported(name string) func(*reading, string, string) (string, error) {
	return func(r *reading, _, _ string) (string, error) {
		if r.mode == lenient {
			r.req.Issues = append(r.req.Issues, fhir.Issue{Severity: fhir.Warning, Code: "not-supported",
				Text: "parameter " + name + " is not supported; it was ignored"})
			return "", nil
		}
		return "", fhir.Errorf(fhir.NotSupported, "parameter %s is not supported", name)
	}
}

func (r *reading) control(c control, name, modifier, value string) error {
	written := name
	if modifier != "" {
		written += ":" + modifier
	}
	switch {
	case r.mode == criteria && !c.inCriteria:
		return fhir.Errorf(fhir.Invalid, "parameter %s has no place in conditional criteria, which only filter", name)
	case r.seen[name] && !c.repeats:
		return fhir.Errorf(fhir.Invalid, "parameter %s stands twice", name)
	case modifier != "" && !(c.repeats && modifier == "iterate"):
		return fhir.Errorf(fhir.NotSupported, "parameter %s has no modifier :%s", name, shown(modifier))
	}
	r.seen[name] = true
	used, err := c.read(r, modifier, value)
	if used != "" && err == nil {
		r.results = append(r.results, encode(written)+"="+encode(used))
	}
	return err
}

func (r *reading) types(_, value string) (string, error) {
	if r.req.Query.Type != "" {
		return "", fhir.Errorf(fhir.Invalid, "parameter _type is for a search across types, not for one of %s", r.req.Query.Type)
	}
	for s := range strings.SplitSeq(value, ",") {
		t := fhir.Type(s)
		if !r.p.defs.IsType(t) {
			return "", fhir.Errorf(fhir.Invalid, "parameter _type lists resource types of R4")
		}
		r.req.Query.Types = with(r.req.Query.Types, t)
	}
	return value, nil
}

func (r *reading) sort(_, value string) (string, error) {
	q := &r.req.Query
	var used []string
	for s := range strings.SplitSeq(value, ",") {
		code, desc := strings.CutPrefix(s, "-")
		param := r.p.param(q.Type, q.Types, code)
		if param == nil {
			if err := r.unknown(r.p.noParam(q.Type, q.Types, code)); err != nil {
				return "", err
			}
			continue
		}
		if param.Type == definition.Composite || param.Type == definition.Special {
			return "", fhir.Errorf(fhir.NotSupported, "parameter _sort: %s cannot be sorted by", param.Code)
		}
		q.Sort = append(q.Sort, SortKey{Param: param, Desc: desc, Orders: orders(r.p.defs, q.Type, param)})
		used = append(used, s)
	}
	return strings.Join(used, ","), nil
}

func (r *reading) count(_, value string) (string, error) {
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return "", fhir.Errorf(fhir.Invalid, "parameter _count is a number from 0; more than %d is taken as that", r.p.o.MaxCount)
	}
	r.req.Query.Count = min(int(n), r.p.o.MaxCount)
	return strconv.Itoa(r.req.Query.Count), nil
}

func (r *reading) total(_, value string) (string, error) {
	switch m := TotalMode(value); m {
	case TotalAccurate, TotalEstimate, TotalNone:
		r.req.Total = m
		if r.req.Query.Total = m != TotalNone; m == TotalAccurate {
			r.req.Query.TotalWithin = 0
		}
		return value, nil
	}
	return "", fhir.Errorf(fhir.Invalid, "parameter _total is none, estimate or accurate")
}

func (r *reading) summary(_, value string) (string, error) {
	switch m := SummaryMode(value); m {
	case SummaryTrue, SummaryText, SummaryData, SummaryCount, SummaryFalse:
		r.req.Summary = m
		return value, nil
	}
	return "", fhir.Errorf(fhir.Invalid, "parameter _summary is true, text, data, count or false")
}

func (r *reading) elements(_, value string) (string, error) {
	for name := range strings.SplitSeq(value, ",") {
		if s := r.p.defs.Structure(string(r.req.Query.Type)); s != nil && s.Element(name) == nil {
			return "", fhir.Errorf(fhir.Invalid, "parameter _elements: %s is no element of %s", shown(name), r.req.Query.Type)
		}
		r.req.Elements = append(r.req.Elements, name)
	}
	return value, nil
}

func (r *reading) contained(_, value string) (string, error) {
	if value != "false" {
		return "", fhir.Errorf(fhir.NotSupported, "parameter _contained is supported as false only: contained resources are found through their container")
	}
	return value, nil
}

func (r *reading) page(_, value string) (string, error) {
	r.req.Page = value
	return "", nil
}

func (r *reading) include(modifier, value string) (string, error) {
	in, err := r.readInclude("_include", value)
	if err != nil {
		return "", err
	}
	in.Iterate = modifier == "iterate"
	if in.Source == "" {
		in.Source = r.req.Query.Type
	}
	if t := r.req.Query.Type; !in.Iterate && t != "" && in.Source != t {
		return "", fhir.Errorf(fhir.Invalid, "parameter _include: the source is %s; of included resources, use _include:iterate", t)
	}
	r.req.Includes = append(r.req.Includes, in)
	return value, nil
}

func (r *reading) revinclude(modifier, value string) (string, error) {
	in, err := r.readInclude("_revinclude", value)
	if err != nil {
		return "", err
	}
	in.Iterate = modifier == "iterate"
	if in.Source == "" {
		return "", fhir.Errorf(fhir.Invalid, "parameter _revinclude is written Type:reference or Type:*")
	}
	if t := r.req.Query.Type; t != "" && !in.Iterate && in.Param != nil && !permits(in.Param, t) {
		return "", fhir.Errorf(fhir.Invalid, "parameter _revinclude: %s of %s does not point to %s", in.Param.Code, in.Source, t)
	}
	r.req.RevIncludes = append(r.req.RevIncludes, in)
	return value, nil
}

// readInclude reads *, Source:*, Source:reference or Source:reference:Target.
func (r *reading) readInclude(name, value string) (Include, error) {
	if value == "*" {
		return Include{}, nil
	}
	parts := strings.Split(value, ":")
	in := Include{Source: fhir.Type(parts[0])}
	if len(parts) < 2 || len(parts) > 3 || !r.p.defs.IsType(in.Source) {
		return in, fhir.Errorf(fhir.Invalid, "parameter %s is written Type:reference, Type:reference:Target or Type:*", name)
	}
	if parts[1] != "*" {
		in.Param = r.p.defs.Param(in.Source, parts[1])
		if in.Param == nil || in.Param.Type != definition.Reference {
			return in, fhir.Errorf(fhir.Invalid, "parameter %s: %s is no reference parameter of %s; these are %s",
				name, shown(parts[1]), in.Source, strings.Join(r.references(in.Source), ", "))
		}
	}
	if len(parts) == 3 {
		in.Target = fhir.Type(parts[2])
		if !r.p.defs.IsType(in.Target) || in.Param != nil && !permits(in.Param, in.Target) {
			return in, fhir.Errorf(fhir.Invalid, "parameter %s: the target is a type that the reference may point to", name)
		}
	}
	return in, nil
}

func (r *reading) references(t fhir.Type) []string {
	var codes []string
	for _, p := range r.p.defs.Params(t) {
		if p.Type == definition.Reference {
			codes = append(codes, p.Code)
		}
	}
	slices.Sort(codes)
	return codes
}
