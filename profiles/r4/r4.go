// Package r4 embeds the definitions of FHIR R4 (4.0.1): structure definitions,
// search parameters, compartments, code systems, value sets, concept maps and
// operations, as HL7 published them but for the narrative. README.md names the
// origin and the licence; gen rebuilds the files.
//
// The files stay compressed in the binary. A reader streams one resource at a
// time, so that reading a file of 12 MB holds about 2 MB.
package r4

import (
	"bufio"
	"bytes"
	"embed"
	"fmt"
	"io"
	"iter"

	"github.com/klauspost/compress/zstd"
)

//go:embed data/*.ndjson.zst
var files embed.FS

// File names one embedded file: resources of one type, one a line, sorted by
// canonical URL.
type File string

// The embedded files, with their numbers of resources.
const (
	SearchParameterFile     File = "SearchParameter"                // 1,375
	CompartmentFile         File = "CompartmentDefinition"          // 5
	ResourceStructureFile   File = "StructureDefinition-resources"  // 149
	TypeStructureFile       File = "StructureDefinition-types"      // 63
	ProfileStructureFile    File = "StructureDefinition-profiles"   // 44
	ExtensionStructureFile  File = "StructureDefinition-extensions" // 393
	CodeSystemFile          File = "CodeSystem-fhir"                // 495
	CodeSystemV2File        File = "CodeSystem-v2"                  // 424
	CodeSystemV3File        File = "CodeSystem-v3"                  // 143
	ValueSetFile            File = "ValueSet-fhir"                  // 672
	ValueSetV2File          File = "ValueSet-v2"                    // 428
	ValueSetV3File          File = "ValueSet-v3"                    // 216
	ConceptMapFile          File = "ConceptMap"                     // 19
	OperationFile           File = "OperationDefinition"            // 46
	CapabilityStatementFile File = "CapabilityStatement-base"       // 2
)

// Resources yields JSON resources one by one. The bytes are valid until the
// next one is asked for. An error ends the sequence.
type Resources = iter.Seq2[[]byte, error]

// SearchParameters yields all search parameters.
func SearchParameters() Resources { return Read(SearchParameterFile) }

// Compartments yields the five CompartmentDefinitions.
func Compartments() Resources { return Read(CompartmentFile) }

// StructureDefinitions yields data types, resources, profiles and extensions,
// in this order.
func StructureDefinitions() Resources {
	return Read(TypeStructureFile, ResourceStructureFile, ProfileStructureFile, ExtensionStructureFile)
}

// CodeSystems yields the code systems of FHIR, HL7 v2 and HL7 v3.
func CodeSystems() Resources { return Read(CodeSystemFile, CodeSystemV2File, CodeSystemV3File) }

// ValueSets yields the value sets of FHIR, HL7 v2 and HL7 v3.
func ValueSets() Resources { return Read(ValueSetFile, ValueSetV2File, ValueSetV3File) }

// ConceptMaps yields the concept maps.
func ConceptMaps() Resources { return Read(ConceptMapFile) }

// Operations yields the OperationDefinitions.
func Operations() Resources { return Read(OperationFile) }

// Read yields the resources of the files, one file after the other.
func Read(names ...File) Resources {
	return func(yield func([]byte, error) bool) {
		for _, name := range names {
			if !read(name, yield) {
				return
			}
		}
	}
}

// maxLine is above the longest resource (1.2 MB).
const maxLine = 4 << 20

func read(name File, yield func([]byte, error) bool) bool {
	f, err := files.Open("data/" + string(name) + ".ndjson.zst")
	if err != nil {
		yield(nil, fmt.Errorf("r4: open %s: %w", name, err))
		return false
	}
	defer f.Close()
	z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		yield(nil, fmt.Errorf("r4: open %s: %w", name, err))
		return false
	}
	defer z.Close()
	return lines(z, name, yield)
}

func lines(r io.Reader, name File, yield func([]byte, error) bool) bool {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 64<<10), maxLine)
	for s.Scan() {
		if len(bytes.TrimSpace(s.Bytes())) > 0 && !yield(s.Bytes(), nil) {
			return false
		}
	}
	if err := s.Err(); err != nil {
		yield(nil, fmt.Errorf("r4: read %s: %w", name, err))
		return false
	}
	return true
}
