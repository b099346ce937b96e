package term

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// codeSystem is a parsed CodeSystem.
type codeSystem struct {
	URL, Version, Content string
	folded                bool // codes are compared without case
	concepts              []Concept
	byCode                map[string]int
	parents, children     map[string][]string
	from, to              time.Time
}

// The JSON of a CodeSystem, as far as it is read.
type (
	systemJSON struct {
		URL, Version, Content string
		CaseSensitive         *bool
		Extension             []struct {
			URL         string
			ValuePeriod struct{ Start, End string }
		}
		Concept []conceptJSON
	}
	conceptJSON struct {
		Code, Display string
		Designation   []struct{ Language, Value string }
		Property      []map[string]json.RawMessage
		Concept       []conceptJSON
	}
)

const effectivePeriod = "http://hl7.org/fhir/StructureDefinition/resource-effectivePeriod"

func parseSystem(raw []byte) (*codeSystem, error) {
	var j systemJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return nil, err
	}
	cs := &codeSystem{
		URL: j.URL, Version: j.Version, Content: j.Content, folded: j.CaseSensitive != nil && !*j.CaseSensitive,
		byCode: map[string]int{}, parents: map[string][]string{}, children: map[string][]string{},
	}
	for _, e := range j.Extension {
		if e.URL == effectivePeriod {
			cs.from, cs.to = day(e.ValuePeriod.Start), day(e.ValuePeriod.End)
			if !cs.to.IsZero() {
				cs.to = cs.to.AddDate(0, 0, 1) // a period holds its last day
			}
		}
	}
	return cs, cs.addAll(j.Concept, "")
}

// addAll takes concepts in document order, each before its children. Nesting
// and the properties parent, child and subsumedBy make the hierarchy.
func (cs *codeSystem) addAll(list []conceptJSON, parent string) error {
	for i := range list {
		j := &list[i]
		c := Concept{System: cs.URL, Code: j.Code, Display: j.Display, From: cs.from, To: cs.to}
		for _, d := range j.Designation {
			if c.Designations == nil {
				c.Designations = map[string]string{}
			}
			c.Designations[d.Language] = d.Value
		}
		if err := cs.properties(&c, j.Property); err != nil {
			return err
		}
		if _, dup := cs.byCode[cs.fold(c.Code)]; dup {
			return fmt.Errorf("code system %s has the code %s twice", cs.URL, c.Code)
		}
		cs.byCode[cs.fold(c.Code)] = len(cs.concepts)
		cs.concepts = append(cs.concepts, c)
		if parent != "" {
			cs.relate(parent, c.Code)
		}
		if err := cs.addAll(j.Concept, c.Code); err != nil {
			return err
		}
	}
	return nil
}

func (cs *codeSystem) properties(c *Concept, list []map[string]json.RawMessage) error {
	for _, p := range list {
		var code string
		if err := json.Unmarshal(p["code"], &code); err != nil {
			return err
		}
		value := propertyValue(p)
		if c.Properties == nil {
			c.Properties = map[string][]string{}
		}
		c.Properties[code] = append(c.Properties[code], value)
		switch code {
		case "notSelectable", "abstract":
			c.Abstract = value == "true"
		case "validFrom":
			c.From = day(value)
		case "validTo":
			c.To = day(value)
		case "parent", "subsumedBy":
			cs.relate(value, c.Code)
		case "child":
			cs.relate(c.Code, value)
		}
	}
	return nil
}

// propertyValue gives value[x] as text; of a Coding its code.
func propertyValue(p map[string]json.RawMessage) string {
	for name, raw := range p {
		if !strings.HasPrefix(name, "value") {
			continue
		}
		var s string
		if json.Unmarshal(raw, &s) == nil {
			return s
		}
		var coding struct{ Code string }
		if name == "valueCoding" && json.Unmarshal(raw, &coding) == nil {
			return coding.Code
		}
		return string(raw) // number or boolean, as written
	}
	return ""
}

func (cs *codeSystem) relate(parent, child string) {
	if !slices.Contains(cs.children[parent], child) {
		cs.children[parent] = append(cs.children[parent], child)
		cs.parents[child] = append(cs.parents[child], parent)
	}
}

func (cs *codeSystem) fold(code string) string {
	if cs.folded {
		return strings.ToLower(code)
	}
	return code
}

func (cs *codeSystem) find(code string) (*Concept, bool) {
	i, ok := cs.byCode[cs.fold(code)]
	if !ok {
		return nil, false
	}
	return &cs.concepts[i], true
}

// below lists code and its descendants; nothing if there is no such code.
func (cs *codeSystem) below(code string) []string { return cs.walk(code, cs.children) }

// above lists code and its ancestors.
func (cs *codeSystem) above(code string) []string { return cs.walk(code, cs.parents) }

func (cs *codeSystem) walk(code string, next map[string][]string) []string {
	if _, ok := cs.find(code); !ok {
		return nil
	}
	out, seen := []string{code}, map[string]bool{code: true}
	for i := 0; i < len(out); i++ {
		for _, n := range next[out[i]] {
			if !seen[n] {
				seen[n] = true
				out = append(out, n)
			}
		}
	}
	return out
}

// china is the zone of dates without one: midnight there begins a code's day.
var china = time.FixedZone("CST", 8*3600)

// day reads a date or dateTime, zero if it is none.
func day(s string) time.Time {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t
	}
	for _, layout := range []string{time.DateOnly, "2006-01", "2006"} {
		if t, err := time.ParseInLocation(layout, s, china); err == nil {
			return t
		}
	}
	return time.Time{}
}
