package term

import (
	"regexp"
	"slices"
	"strings"

	"hutong/fhir"
)

// valueSet is a parsed ValueSet.
type valueSet struct {
	URL     string
	Compose struct {
		Include, Exclude []include
	}
}

type include struct {
	System, Version string
	Concept         []struct {
		Code, Display string
	}
	Filter   []filter
	ValueSet []string
}

type filter struct{ Property, Op, Value string }

// maxNesting bounds value sets that include value sets.
const maxNesting = 20

// Expansion lists the concepts of a value set, in the order of its includes,
// each once. Errors: NotFound if there is no such value set, NotSupported if
// it needs a code system that is not held here or a filter that is unknown. The
// result is shared: callers do not change it.
func (s *Service) Expansion(url string) ([]Concept, error) {
	url, _, _ = strings.Cut(url, "|")
	s.mu.Lock()
	got, ok := s.expanded[url]
	s.mu.Unlock()
	if ok {
		return got, nil
	}
	got, err := s.expand(url, 0)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.expanded[url] = got
	s.mu.Unlock()
	return got, nil
}

func (s *Service) expand(url string, depth int) ([]Concept, error) {
	vs, err := s.sets.get(url)
	if err != nil {
		return nil, err
	}
	if vs == nil {
		return nil, fhir.Errorf(fhir.NotFound, "there is no value set %s", url).At("url")
	}
	if depth > maxNesting {
		return nil, fhir.Errorf(fhir.NotSupported, "the value set %s includes itself", url).At("url")
	}
	out, err := s.all(vs.Compose.Include, depth)
	if err != nil || len(vs.Compose.Exclude) == 0 {
		return out, err
	}
	not, err := s.all(vs.Compose.Exclude, depth)
	if err != nil {
		return nil, err
	}
	excluded := index(not)
	return slices.DeleteFunc(out, func(c Concept) bool { return excluded[fhir.Coding{System: c.System, Code: c.Code}] }), nil
}

func index(all []Concept) map[fhir.Coding]bool {
	out := make(map[fhir.Coding]bool, len(all))
	for _, c := range all {
		out[fhir.Coding{System: c.System, Code: c.Code}] = true
	}
	return out
}

// all unites the includes.
func (s *Service) all(list []include, depth int) ([]Concept, error) {
	var out []Concept
	seen := map[fhir.Coding]bool{}
	for i := range list {
		part, err := s.include(&list[i], depth)
		if err != nil {
			return nil, err
		}
		for _, c := range part {
			k := fhir.Coding{System: c.System, Code: c.Code}
			if !seen[k] {
				seen[k] = true
				out = append(out, c)
			}
		}
	}
	return out, nil
}

// include is one compose.include: what its system part selects and, at once,
// every value set that it names contains.
func (s *Service) include(in *include, depth int) ([]Concept, error) {
	var out []Concept
	var err error
	if in.System != "" {
		if out, err = s.fromSystem(in); err != nil {
			return nil, err
		}
	}
	for i, url := range in.ValueSet {
		url, _, _ = strings.Cut(url, "|")
		other, err := s.expand(url, depth+1)
		if err != nil {
			return nil, err
		}
		if i == 0 && in.System == "" {
			out = other
			continue
		}
		held := index(other)
		out = slices.DeleteFunc(out, func(c Concept) bool { return !held[fhir.Coding{System: c.System, Code: c.Code}] })
	}
	return out, nil
}

func (s *Service) fromSystem(in *include) ([]Concept, error) {
	if len(in.Concept) > 0 {
		return s.enumerated(in), nil
	}
	cs, err := s.system(in.System)
	if err != nil {
		return nil, err
	}
	keep := make([]func(*Concept) bool, len(in.Filter))
	for i, f := range in.Filter {
		if keep[i], err = cs.filter(f); err != nil {
			return nil, err
		}
	}
	var out []Concept
	for i := range cs.concepts {
		c := &cs.concepts[i]
		if !slices.ContainsFunc(keep, func(k func(*Concept) bool) bool { return !k(c) }) {
			out = append(out, *c)
		}
	}
	return out, nil
}

// enumerated lists the codes that an include names; that needs no code system,
// which adds displays and dates where it is held.
func (s *Service) enumerated(in *include) []Concept {
	cs, _ := s.system(in.System)
	out := make([]Concept, len(in.Concept))
	for i, named := range in.Concept {
		c := Concept{System: in.System, Code: named.Code}
		if cs != nil {
			if known, ok := cs.find(named.Code); ok {
				c = *known
			}
		}
		if named.Display != "" {
			c.Display = named.Display
		}
		out[i] = c
	}
	return out
}

// filter compiles one filter of an include.
func (cs *codeSystem) filter(f filter) (func(*Concept) bool, error) {
	among := func(codes []string, want bool) func(*Concept) bool {
		return func(c *Concept) bool { return slices.Contains(codes, c.Code) == want }
	}
	switch f.Op {
	case "is-a":
		return among(cs.below(f.Value), true), nil
	case "descendent-of":
		below := cs.below(f.Value)
		return func(c *Concept) bool { return c.Code != f.Value && slices.Contains(below, c.Code) }, nil
	case "is-not-a":
		return among(cs.below(f.Value), false), nil
	case "generalizes":
		return among(cs.above(f.Value), true), nil
	case "=":
		return func(c *Concept) bool { return slices.Contains(cs.values(c, f.Property), f.Value) }, nil
	case "in", "not-in":
		list := strings.Split(f.Value, ",")
		return func(c *Concept) bool {
			return slices.ContainsFunc(cs.values(c, f.Property), func(v string) bool { return slices.Contains(list, v) }) == (f.Op == "in")
		}, nil
	case "exists":
		return func(c *Concept) bool { return (len(cs.values(c, f.Property)) > 0) == (f.Value == "true") }, nil
	case "regex":
		re, err := regexp.Compile("^(?:" + f.Value + ")$")
		if err != nil {
			return nil, fhir.Errorf(fhir.NotSupported, "a filter's regular expression cannot be read").At("compose")
		}
		return func(c *Concept) bool { return slices.ContainsFunc(cs.values(c, f.Property), re.MatchString) }, nil
	}
	return nil, fhir.Errorf(fhir.NotSupported, "the filter %s is not known", f.Op).At("compose")
}

// values gives a property of a concept; code, display, parent and child are
// properties too.
func (cs *codeSystem) values(c *Concept, property string) []string {
	switch property {
	case "code":
		return []string{c.Code}
	case "display":
		return []string{c.Display}
	case "parent":
		return cs.parents[c.Code]
	case "child":
		return cs.children[c.Code]
	}
	return c.Properties[property]
}
