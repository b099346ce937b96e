package definition

import (
	"strings"

	"hutong/fhir"
)

// Sole reports whether a valid resource of type t has at most one value of the
// date parameter p: its expression names one path of elements of which none
// repeats. Then several criteria on p are criteria on one value. It is false
// where the expression is more than a path.
func (s *Set) Sole(t fhir.Type, p *SearchParam) bool {
	d := s.byType[t]
	return d != nil && d.sole[p]
}

// markSole finds the date parameters that Sole tells.
func (s *Set) markSole() {
	for t, d := range s.byType {
		d.sole = map[*SearchParam]bool{}
		for _, p := range d.params {
			if path, ok := onePath(p.Expression, t); ok && p.Type == Date && s.single(path) {
				d.sole[p] = true
			}
		}
	}
}

// onePath gives the path that an expression follows in resources of type t, if
// exactly one of its alternatives is about t: "Observation.effective" of
// "Observation.effective | (RiskAssessment.occurrence as dateTime)".
func onePath(expression string, t fhir.Type) (path string, ok bool) {
	for alternative := range strings.SplitSeq(expression, "|") {
		a := strings.TrimSpace(alternative)
		if inner, found := strings.CutPrefix(a, "("); found {
			a, _, _ = strings.Cut(strings.TrimSuffix(inner, ")"), " as ")
		}
		if !strings.HasPrefix(a, string(t)+".") {
			if strings.Contains(a, string(t)) || !strings.Contains(a, ".") {
				return "", false // not of the form that is read here
			}
			continue
		}
		if ok || strings.ContainsAny(a, "() ") {
			return "", false
		}
		path, ok = a, true
	}
	return path, ok
}

// single reports whether no element on a path repeats.
func (s *Set) single(path string) bool {
	at, rest, _ := strings.Cut(path, ".")
	for rest != "" {
		var name string
		name, rest, _ = strings.Cut(rest, ".")
		st := s.elements[at]
		if st == nil {
			return false
		}
		e := st.Element(name)
		if e == nil || e.List || rest != "" && len(e.Types) != 1 {
			return false
		}
		at = e.Types[0]
	}
	return true
}
