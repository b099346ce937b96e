// Command gen writes the tables of fhir/definition from the R4 definitions
// embedded in profiles/r4:
//
//	go run ./fhir/definition/gen -out fhir/definition
package main

import (
	"flag"
	"log"
	"os"
	"path/filepath"
)

func main() {
	out := flag.String("out", "fhir/definition", "folder to write")
	flag.Parse()
	if err := run(*out); err != nil {
		log.Fatal(err)
	}
}

// run writes the three tables: search parameters as Go, structures and
// compartments as text.
func run(out string) error {
	for name, make := range map[string]func() ([]byte, error){
		"params_gen.go":    searchParameters,
		"structures.txt":   structures,
		"compartments.txt": compartments,
	} {
		text, err := make()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(out, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
