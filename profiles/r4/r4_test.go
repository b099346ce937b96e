package r4_test

import (
	"encoding/json"
	"testing"

	"hutong/profiles/r4"
)

func TestFilesHoldWhatR4Has(t *testing.T) {
	t.Parallel()
	for name, want := range map[r4.File]int{
		r4.SearchParameterFile: 1375, r4.CompartmentFile: 5, r4.ResourceStructureFile: 149, r4.TypeStructureFile: 63,
		r4.ProfileStructureFile: 44, r4.ExtensionStructureFile: 393, r4.CodeSystemFile: 495, r4.CodeSystemV2File: 424,
		r4.CodeSystemV3File: 143, r4.ValueSetFile: 672, r4.ValueSetV2File: 428, r4.ValueSetV3File: 216,
		r4.ConceptMapFile: 19, r4.OperationFile: 46, r4.CapabilityStatementFile: 2,
	} {
		n := 0
		for text, err := range r4.Read(name) {
			if err != nil {
				t.Fatal(err)
			}
			if !json.Valid(text) {
				t.Fatalf("%s: resource %d is not JSON", name, n)
			}
			n++
		}
		if n != want {
			t.Errorf("%s holds %d resources, want %d", name, n, want)
		}
	}
}

func TestReadStopsEarlyAndTellsOfUnknownFiles(t *testing.T) {
	t.Parallel()
	n := 0
	for range r4.CodeSystems() {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("stopped after %d resources, want 3", n)
	}
	for _, err := range r4.Read("NoSuchFile") {
		if err == nil {
			t.Error("an unknown file gave a resource")
		}
	}
}

// BenchmarkStructureDefinitions reads the largest file, 12 MB of JSON.
func BenchmarkStructureDefinitions(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range r4.Read(r4.ResourceStructureFile) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
