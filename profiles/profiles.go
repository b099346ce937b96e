package profiles

import (
	"embed"
	"io/fs"
	"path"
	"strings"
)

// ig is the regional implementation guide: one resource a file, named
// Type-id.json.
//
//go:embed ig/*.json
var ig embed.FS

// StructureDefinitions gives the regional profiles and extensions, each one
// resource as JSON with a differential only.
func StructureDefinitions() [][]byte { return resources("StructureDefinition") }

// CodeSystems gives the national and regional code systems. Their period of
// validity is the extension resource-effectivePeriod; concepts that come or go
// within it carry the properties validFrom and validTo.
func CodeSystems() [][]byte { return resources("CodeSystem") }

// ValueSets gives the regional value sets.
func ValueSets() [][]byte { return resources("ValueSet") }

// ConceptMaps gives the maps between national, regional and HL7 codes.
func ConceptMaps() [][]byte { return resources("ConceptMap") }

// Resources gives all of the above.
func Resources() [][]byte { return resources("") }

func resources(typ string) [][]byte {
	entries, err := fs.ReadDir(ig, "ig")
	if err != nil {
		return nil // the folder is embedded: cannot happen
	}
	var out [][]byte
	for _, e := range entries {
		if typ != "" && !strings.HasPrefix(e.Name(), typ+"-") {
			continue
		}
		if b, err := ig.ReadFile(path.Join("ig", e.Name())); err == nil {
			out = append(out, b)
		}
	}
	return out
}

// File gives one resource of the guide, or nil: File("CodeSystem", "hr-item").
func File(typ, id string) []byte {
	b, err := ig.ReadFile("ig/" + typ + "-" + id + ".json")
	if err != nil {
		return nil
	}
	return b
}
