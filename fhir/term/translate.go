package term

import "hutong/fhir"

// conceptMap is a parsed ConceptMap.
type conceptMap struct {
	URL   string
	Group []struct {
		Source, Target string
		Element        []struct {
			Code   string
			Target []struct{ Code, Display, Equivalence, Comment string }
		}
		Unmapped *struct{ Mode, Code, Display, URL string }
	}
}

// Match is one translation of a code.
type Match struct {
	Concept     fhir.Coding
	Display     string
	Equivalence string // equal, equivalent, wider, narrower, inexact, unmatched ...
	Comment     string
}

// Good reports whether the match may replace the source in data.
func (m *Match) Good() bool { return m.Equivalence == "equal" || m.Equivalence == "equivalent" }

// Translate maps a coding by a concept map. No match is no error: the result
// is empty. target narrows to one system, "" takes all. Errors: NotFound if
// there is no such map.
func (s *Service) Translate(url string, c fhir.Coding, target string) ([]Match, error) {
	return s.translate(url, c, target, 0)
}

func (s *Service) translate(url string, c fhir.Coding, target string, depth int) ([]Match, error) {
	m, err := s.maps.get(url)
	if err != nil {
		return nil, err
	}
	if m == nil || depth > maxNesting {
		return nil, fhir.Errorf(fhir.NotFound, "there is no concept map %s", url).At("url")
	}
	var out []Match
	for _, g := range m.Group {
		if g.Source != c.System || target != "" && g.Target != target {
			continue
		}
		found := false
		for _, e := range g.Element {
			if e.Code != c.Code {
				continue
			}
			found = true
			for _, t := range e.Target {
				out = append(out, Match{fhir.Coding{System: g.Target, Code: t.Code}, t.Display, t.Equivalence, t.Comment})
			}
		}
		if found || g.Unmapped == nil {
			continue
		}
		switch u := g.Unmapped; u.Mode {
		case "provided":
			out = append(out, Match{fhir.Coding{System: g.Target, Code: c.Code}, "", "equal", ""})
		case "fixed":
			out = append(out, Match{fhir.Coding{System: g.Target, Code: u.Code}, u.Display, "wider", ""})
		case "other-map":
			more, err := s.translate(u.URL, c, target, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		}
	}
	return out, nil
}
