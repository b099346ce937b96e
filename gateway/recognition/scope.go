package recognition

import (
	"strings"

	"hutong/profiles"
)

// Scope is where a recognition mark is valid: the nation ("CN"), an area of
// GB/T 2260 with all that lies below it, or a named alliance of areas (HR-02).
type Scope struct{ System, Code string }

// Nation is the widest scope (全国HR).
var nation = Scope{profiles.HRScopeTag, "CN"}

// areas gives the areas of a scope as prefixes of GB/T 2260 codes; the nation
// is the empty prefix. nil means that the scope is not known.
func (r *Rules) areas(s Scope) []string {
	if s == nation {
		return []string{""}
	}
	if s.System == profiles.Area {
		return []string{prefix(s.Code)}
	}
	if s.System != profiles.HRScopeTag {
		return nil
	}
	a, _ := r.Catalogue.Alliance(s.Code)
	var out []string
	for _, code := range a.Areas {
		out = append(out, prefix(code))
	}
	return out
}

// prefix is what all codes within an area begin with: 500000 is the province
// 50, 500100 the prefecture 5001, 500233 one county.
func prefix(code string) string {
	for len(code) > 2 && strings.HasSuffix(code, "00") {
		code = code[:len(code)-2]
	}
	return code
}

// covers reports whether all of inner lies within outer.
func (r *Rules) covers(outer, inner Scope) bool {
	in := r.areas(inner)
	for _, i := range in {
		if !r.within(outer, i) {
			return false
		}
	}
	return len(in) > 0
}

// within reports whether an area, given by code or prefix, lies in the scope.
func (r *Rules) within(s Scope, area string) bool {
	for _, p := range r.areas(s) {
		if strings.HasPrefix(area, p) {
			return true
		}
	}
	return false
}

// name shows a scope: 全国HR, an alliance's name, or the area's code.
func (r *Rules) name(s Scope) Text {
	if s == nation {
		return Text{"全国", "the nation"}
	}
	if a, ok := r.Catalogue.Alliance(s.Code); ok {
		return Text{strings.TrimSuffix(a.Name, "HR"), s.Code}
	}
	return Text{"行政区划" + s.Code, "area " + s.Code}
}
