package profiles

import (
	"encoding/json"
	"fmt"
	"time"
)

// The parts of CodeSystem and ConceptMap that the catalogue reads.
type (
	codeSystem struct {
		Concept []concept `json:"concept"`
	}
	concept struct {
		Code        string `json:"code"`
		Display     string `json:"display"`
		Designation []struct {
			Language, Value string
		} `json:"designation"`
		Property []property `json:"property"`
	}
	property struct {
		Code          string `json:"code"`
		ValueCode     string `json:"valueCode"`
		ValueString   string `json:"valueString"`
		ValueInteger  int    `json:"valueInteger"`
		ValueBoolean  bool   `json:"valueBoolean"`
		ValueDateTime string `json:"valueDateTime"`
	}
	conceptMap struct {
		Group []struct {
			Source, Target string
			Element        []element
		}
	}
	element struct {
		Code, Display string
		Target        []target
	}
	target struct{ Code, Equivalence string }
)

func (con *concept) item(i *Item) (err error) {
	i.Code, i.Name, i.NameEN = con.Code, con.Display, con.english()
	for _, p := range con.Property {
		switch p.Code {
		case "category":
			i.Category = p.ValueCode
		case "specimen":
			i.Specimen = p.ValueCode
		case "modality":
			i.Modality = p.ValueCode
		case "loinc":
			i.LOINC = p.ValueCode
		case "ucum":
			i.UCUM = p.ValueCode
		case "windowHours":
			i.Window = time.Duration(p.ValueInteger) * time.Hour
		case "startFrom":
			i.StartFrom = p.ValueCode
		case "eqaScheme":
			i.EQAScheme = p.ValueString
		case "member":
			i.Members = append(i.Members, p.ValueCode)
		case "imaging":
			i.Imaging = p.ValueBoolean
		case "validFrom":
			i.From, err = day(p.ValueDateTime)
		case "validTo":
			i.To, err = day(p.ValueDateTime)
		}
		if err != nil {
			return fmt.Errorf("item %s: %w", con.Code, err)
		}
	}
	return nil
}

// english is the English designation, "" if there is none.
func (con *concept) english() string {
	for _, d := range con.Designation {
		if d.Language == "en" {
			return d.Value
		}
	}
	return ""
}

// day reads a date as midnight in China (UTC+8), where the catalogue is law.
func day(s string) (time.Time, error) {
	return time.ParseInLocation(time.DateOnly, s, time.FixedZone("CST", 8*3600))
}

// eachMapping visits the mappings of a ConceptMap that are equal or equivalent.
func eachMapping(id string, visit func(source, target string, e element, t target) error) error {
	var cm conceptMap
	if err := json.Unmarshal(File("ConceptMap", id), &cm); err != nil {
		return err
	}
	for _, g := range cm.Group {
		for _, e := range g.Element {
			for _, t := range e.Target {
				if t.Equivalence != "equal" && t.Equivalence != "equivalent" {
					continue
				}
				if err := visit(g.Source, g.Target, e, t); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
