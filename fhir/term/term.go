// Package term is the terminology service: it looks up codes, validates them
// at a date, expands value sets and translates by concept maps, over the
// definitions that hutong/profiles embeds. Systems that may not be shipped
// (SNOMED CT, LOINC) are refused by name, never guessed.
package term

import (
	"encoding/json"
	"iter"
	"sync"
	"time"

	"hutong/fhir"
	"hutong/fhir/term/ucum"
	"hutong/profiles"
	"hutong/profiles/r4"
)

// Options name the definitions; the zero value takes all embedded ones.
type Options struct {
	CodeSystems, ValueSets, ConceptMaps []Source
}

// Source yields resources of one type as JSON. The bytes need last only until
// the next one is asked for. profiles/r4 gives such sequences.
type Source = iter.Seq2[[]byte, error]

// Service answers terminology questions. It reads its definitions at the first
// question that needs them, and parses each when it is asked for. Safe for
// concurrent use.
type Service struct {
	Units ucum.Units // of UCUM

	systems library[codeSystem]
	sets    library[valueSet]
	maps    library[conceptMap]

	mu       sync.Mutex
	expanded map[string][]Concept
}

// New makes a service.
func New(o Options) *Service {
	return &Service{
		systems:  library[codeSystem]{sources: or(o.CodeSystems, each(profiles.CodeSystems()), r4.CodeSystems()), parse: parseSystem},
		sets:     library[valueSet]{sources: or(o.ValueSets, each(profiles.ValueSets()), r4.ValueSets()), parse: parseJSON[valueSet]},
		maps:     library[conceptMap]{sources: or(o.ConceptMaps, each(profiles.ConceptMaps()), r4.ConceptMaps()), parse: parseJSON[conceptMap]},
		expanded: map[string][]Concept{},
	}
}

func or(given []Source, standard ...Source) []Source {
	if given != nil {
		return given
	}
	return standard
}

// each makes a Source of resources in memory.
func each(bodies [][]byte) Source {
	return func(yield func([]byte, error) bool) {
		for _, b := range bodies {
			if !yield(b, nil) {
				return
			}
		}
	}
}

// library holds resources of one type by canonical URL: raw until asked for.
type library[T any] struct {
	sources []Source
	parse   func([]byte) (*T, error)

	once   sync.Once
	err    error
	raw    map[string][]byte
	mu     sync.Mutex
	parsed map[string]*T
}

// load reads the sources once. Of two resources with one URL the first counts.
func (l *library[T]) load() error {
	l.once.Do(func() {
		l.raw, l.parsed = map[string][]byte{}, map[string]*T{}
		for _, source := range l.sources {
			for body, err := range source {
				if err != nil {
					l.err = fhir.Errorf(fhir.Internal, "terminology cannot be read: %w", err)
					return
				}
				var head struct{ URL string }
				if json.Unmarshal(body, &head) == nil && head.URL != "" && l.raw[head.URL] == nil {
					l.raw[head.URL] = append([]byte(nil), body...)
				}
			}
		}
	})
	return l.err
}

// get gives the resource with that URL, nil if there is none.
func (l *library[T]) get(url string) (*T, error) {
	if err := l.load(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if got, ok := l.parsed[url]; ok {
		return got, nil
	}
	raw, ok := l.raw[url]
	if !ok {
		return nil, nil
	}
	got, err := l.parse(raw)
	if err != nil {
		return nil, fhir.Errorf(fhir.Internal, "a terminology resource cannot be read: %w", err)
	}
	l.parsed[url] = got
	return got, nil
}

func parseJSON[T any](raw []byte) (*T, error) {
	t := new(T)
	return t, json.Unmarshal(raw, t)
}

// Concept is one code of a system.
type Concept struct {
	System, Code, Display string
	Designations          map[string]string // language -> text
	Properties            map[string][]string
	Abstract              bool      // may not be used in data
	From, To              time.Time // in force [From,To); zero is open
}

// InForce reports whether the code may be used for a record of that time.
func (c *Concept) InForce(at time.Time) bool {
	return !at.Before(c.From) && (c.To.IsZero() || at.Before(c.To))
}

// Lookup finds a code. Errors: NotSupported if the system is not here,
// NotFound if it has no such code, Unprocessable if the code is not in force
// at the time (the zero time asks for no time).
func (s *Service) Lookup(system, code string, at time.Time) (Concept, error) {
	cs, err := s.system(system)
	if err != nil {
		return Concept{}, err
	}
	c, ok := cs.find(code)
	if !ok {
		return Concept{}, fhir.Errorf(fhir.NotFound, "the code system %s has no such code", system).At("code")
	}
	if !at.IsZero() && !c.InForce(at) {
		return *c, fhir.Errorf(fhir.Unprocessable, "the code was not in force at that time").At("code")
	}
	return *c, nil
}

// system finds a code system that can be enumerated.
func (s *Service) system(url string) (*codeSystem, error) {
	cs, err := s.systems.get(url)
	if err != nil {
		return nil, err
	}
	if cs == nil || cs.Content == "not-present" || cs.Content == "example" {
		return nil, fhir.Errorf(fhir.NotSupported, "the code system %s is not held here", url).At("system")
	}
	return cs, nil
}

// Validate holds a coding against a value set, at a time (zero: none). A
// coding without system matches the code in any system of the set. Errors: as
// Expand; Unprocessable if the set does not contain the coding.
func (s *Service) Validate(valueSet string, c fhir.Coding, at time.Time) (Concept, error) {
	all, err := s.Expansion(valueSet)
	if err != nil {
		return Concept{}, err
	}
	for i := range all {
		if all[i].Code != c.Code || c.System != "" && all[i].System != c.System {
			continue
		}
		if all[i].Abstract {
			return all[i], fhir.Errorf(fhir.Unprocessable, "the code is abstract: it groups others and is not for data").At("code")
		}
		if !at.IsZero() && !all[i].InForce(at) {
			return all[i], fhir.Errorf(fhir.Unprocessable, "the code was not in force at that time").At("code")
		}
		return all[i], nil
	}
	return Concept{}, fhir.Errorf(fhir.Unprocessable, "the value set %s does not contain the code", valueSet).At("code")
}

// Expand lists the codings of a value set that data may use: the Expander of
// fhir/search. Abstract codes, which only group others, are left out.
func (s *Service) Expand(valueSet string) ([]fhir.Coding, error) {
	all, err := s.Expansion(valueSet)
	if err != nil {
		return nil, err
	}
	out := make([]fhir.Coding, 0, len(all))
	for i := range all {
		if !all[i].Abstract {
			out = append(out, fhir.Coding{System: all[i].System, Code: all[i].Code})
		}
	}
	return out, nil
}

// Below lists a code and all that it subsumes.
func (s *Service) Below(c fhir.Coding) ([]fhir.Coding, error) {
	return s.subsumed(c, (*codeSystem).below)
}

// Above lists a code and all that subsume it.
func (s *Service) Above(c fhir.Coding) ([]fhir.Coding, error) {
	return s.subsumed(c, (*codeSystem).above)
}

func (s *Service) subsumed(c fhir.Coding, walk func(*codeSystem, string) []string) ([]fhir.Coding, error) {
	cs, err := s.system(c.System)
	if err != nil {
		return nil, err
	}
	var out []fhir.Coding
	for _, code := range walk(cs, c.Code) {
		out = append(out, fhir.Coding{System: c.System, Code: code})
	}
	return out, nil
}
