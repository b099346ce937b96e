// Command gen writes summary.txt: of every resource type, the top-level
// elements that belong to its summary and those that are mandatory.
//
//	Observation +implicitRules +identifier +!status +!code +value[x] ...
//
// One line a type; '+' before an element of the summary, '!' before a
// mandatory one, both if it is both; [x] ends the stem of a choice.
package main

import (
	"encoding/json"
	"log"
	"os"
	"slices"
	"strings"

	"hutong/profiles/r4"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: gen FILE")
	}
	b, err := table()
	if err == nil {
		err = os.WriteFile(os.Args[1], b, 0o644)
	}
	if err != nil {
		log.Fatal(err)
	}
}

type structureDefinition struct {
	Kind, Type, Derivation string
	Abstract               bool
	Snapshot               struct {
		Element []struct {
			Path      string
			Min       int
			IsSummary bool
		}
	}
}

func table() ([]byte, error) {
	var lines []string
	for text, err := range r4.Read(r4.ResourceStructureFile) {
		if err != nil {
			return nil, err
		}
		var d structureDefinition
		if err := json.Unmarshal(text, &d); err != nil {
			return nil, err
		}
		if d.Kind == "resource" && !d.Abstract && d.Derivation == "specialization" {
			lines = append(lines, line(&d))
		}
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, "\n") + "\n"), nil
}

func line(d *structureDefinition) string {
	fields := []string{d.Type}
	for _, e := range d.Snapshot.Element {
		name, top := strings.CutPrefix(e.Path, d.Type+".")
		if !top || strings.Contains(name, ".") || !e.IsSummary && e.Min == 0 {
			continue
		}
		if e.Min > 0 {
			name = "!" + name
		}
		if e.IsSummary {
			name = "+" + name
		}
		fields = append(fields, name)
	}
	return strings.Join(fields, " ")
}
