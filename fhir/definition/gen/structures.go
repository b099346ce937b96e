package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"hutong/profiles/r4"
)

type structureDefinition struct {
	Name, Kind, Type, Derivation string
	Abstract                     bool
	Snapshot                     struct{ Element []element }
}

type element struct {
	Path, Max, ContentReference string
	Base                        struct{ Max string }
	Type                        []struct {
		Code      string
		Extension []struct{ URL, ValueURL string }
	}
	Binding struct{ Strength, ValueSet string }
}

// structures writes one line a structure, sorted:
//
//	Patient.contact name:HumanName relationship:CodeableConcept* gender:code@http://...
//
// A line of a concrete resource begins with '!'. * = list, [x] = choice, types
// divided by commas, @ = the one code system that a code implies.
func structures() ([]byte, error) {
	systems, err := impliedSystems()
	if err != nil {
		return nil, err
	}
	var lines []string
	for text, err := range r4.Read(r4.TypeStructureFile, r4.ResourceStructureFile) {
		if err != nil {
			return nil, err
		}
		var d structureDefinition
		if err := json.Unmarshal(text, &d); err != nil {
			return nil, err
		}
		if d.Kind == "primitive-type" || d.Kind == "logical" || d.Derivation == "constraint" {
			continue
		}
		lines = append(lines, structureLines(d, systems)...)
	}
	slices.SortFunc(lines, func(a, b string) int {
		return strings.Compare(strings.TrimPrefix(a, "!"), strings.TrimPrefix(b, "!"))
	})
	return []byte(strings.Join(lines, "\n") + "\n"), nil
}

func structureLines(d structureDefinition, systems map[string]string) []string {
	text := map[string]*strings.Builder{}
	for _, e := range d.Snapshot.Element {
		if hasChildren(d.Snapshot.Element, e.Path) {
			text[e.Path] = &strings.Builder{}
		}
	}
	for _, e := range d.Snapshot.Element {
		dot := strings.LastIndexByte(e.Path, '.')
		if dot < 0 {
			continue
		}
		text[e.Path[:dot]].WriteString(" " + elementText(e, e.Path[dot+1:], text[e.Path] != nil, systems))
	}
	var lines []string
	for path, b := range text {
		mark := ""
		if d.Kind == "resource" && !d.Abstract && !strings.Contains(path, ".") {
			mark = "!"
		}
		lines = append(lines, mark+path+b.String())
	}
	return lines
}

func hasChildren(all []element, path string) bool {
	return slices.ContainsFunc(all, func(e element) bool { return strings.HasPrefix(e.Path, path+".") })
}

func elementText(e element, name string, backbone bool, systems map[string]string) string {
	var types []string
	switch {
	case backbone:
		types = []string{e.Path}
	case e.ContentReference != "":
		types = []string{strings.TrimPrefix(e.ContentReference, "#")}
	default:
		types = typeCodes(e)
	}
	s := name + ":" + strings.Join(types, ",")
	if e.Max != "0" && e.Max != "1" {
		s += "*"
	}
	if system := systems[e.Binding.ValueSet]; e.Binding.Strength == "required" && system != "" && slices.Equal(types, []string{"code"}) {
		s += "@" + system
	}
	return s
}

// typeCodes names the data types; the FHIRPath system types of id and url stand
// for the FHIR type that their extension gives.
func typeCodes(e element) []string {
	var types []string
	for _, t := range e.Type {
		code := t.Code
		for _, x := range t.Extension {
			if strings.HasSuffix(x.URL, "/structuredefinition-fhir-type") {
				code = x.ValueURL
			}
		}
		types = append(types, code)
	}
	return types
}

// impliedSystems maps the value sets that are one whole code system, by
// canonical with and without version, to that system.
func impliedSystems() (map[string]string, error) {
	systems := map[string]string{}
	for text, err := range r4.ValueSets() {
		if err != nil {
			return nil, err
		}
		var v struct {
			URL, Version string
			Compose      struct {
				Include []struct {
					System   string
					ValueSet []string
				}
			}
		}
		if err := json.Unmarshal(text, &v); err != nil {
			return nil, err
		}
		one := ""
		for i, in := range v.Compose.Include {
			if len(in.ValueSet) > 0 || i > 0 && in.System != one {
				one = ""
				break
			}
			one = in.System
		}
		if one != "" {
			systems[v.URL], systems[v.URL+"|"+v.Version] = one, one
		}
	}
	return systems, nil
}

// compartments writes one line a compartment and resource type:
//
//	Patient AllergyIntolerance patient recorder asserter
//
// {def}, the focal resource itself, is left out: whoever asks for a
// compartment adds its focus.
func compartments() ([]byte, error) {
	var b bytes.Buffer
	for text, err := range r4.Compartments() {
		if err != nil {
			return nil, err
		}
		var c struct {
			Code     string
			Resource []struct {
				Code  string
				Param []string
			}
		}
		if err := json.Unmarshal(text, &c); err != nil {
			return nil, err
		}
		for _, r := range c.Resource {
			r.Param = slices.DeleteFunc(r.Param, func(p string) bool { return p == "{def}" })
			if len(r.Param) > 0 {
				fmt.Fprintf(&b, "%s %s %s\n", c.Code, r.Code, strings.Join(r.Param, " "))
			}
		}
	}
	return b.Bytes(), nil
}
