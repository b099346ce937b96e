package definition

import (
	_ "embed"
	"slices"
	"strings"

	"hutong/fhir"
)

//go:embed structures.txt
var structureTable string

//go:embed compartments.txt
var compartmentTable string

// R4 builds the Set of FHIR R4 (4.0.1) from the generated tables. Build it
// once and pass it down; the SearchParams of two Sets are the same pointers.
func R4() *Set {
	s := &Set{
		byType:       map[fhir.Type]*typeDef{"": {byCode: map[string]*SearchParam{}}},
		byURL:        make(map[string]*SearchParam, len(simpleParams)+len(compositeParams)),
		elements:     make(map[string]*Structure, 1100),
		compartments: map[string]map[fhir.Type][]string{},
	}
	s.readStructures(structureTable)
	s.readCompartments(compartmentTable)
	for i := range simpleParams {
		s.addParam(&simpleParams[i])
	}
	for i := range compositeParams {
		s.addParam(&compositeParams[i])
	}
	for _, d := range s.byType {
		slices.SortFunc(d.params, func(a, b *SearchParam) int { return strings.Compare(a.Code, b.Code) })
	}
	s.markSole()
	s.markSources()
	return s
}

// addParam binds p to its base types; one of Resource belongs to all types and
// to "".
func (s *Set) addParam(p *SearchParam) {
	s.byURL[p.URL] = p
	for _, base := range p.Bases {
		if base != "Resource" {
			s.byType[base].add(p)
			continue
		}
		for _, d := range s.byType {
			d.add(p)
		}
	}
}

func (d *typeDef) add(p *SearchParam) {
	d.params = append(d.params, p)
	d.byCode[p.Code] = p
}

func (s *Set) readStructures(table string) {
	for line := range strings.Lines(table) {
		path, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if name, concrete := strings.CutPrefix(path, "!"); concrete {
			path = name
			s.types = append(s.types, fhir.Type(path))
			s.byType[fhir.Type(path)] = &typeDef{byCode: map[string]*SearchParam{}}
		}
		st := &Structure{Path: path, Elements: make([]Element, 0, strings.Count(rest, " ")+1)}
		for field := range strings.SplitSeq(rest, " ") {
			st.Elements = append(st.Elements, readElement(field))
		}
		s.elements[path] = st
	}
}

// readElement reads name[x]:type,type*@system.
func readElement(field string) Element {
	var e Element
	name, types, _ := strings.Cut(field, ":")
	types, e.System, _ = strings.Cut(types, "@")
	e.Name, e.Choice = strings.CutSuffix(name, "[x]")
	types, e.List = strings.CutSuffix(types, "*")
	e.Types = strings.Split(types, ",")
	return e
}

func (s *Set) readCompartments(table string) {
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		types := s.compartments[f[0]]
		if types == nil {
			types = map[fhir.Type][]string{}
			s.compartments[f[0]] = types
		}
		types[fhir.Type(f[1])] = f[2:]
	}
}
