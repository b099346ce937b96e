package main

import (
	"bytes"
	"os"
	"testing"
)

// TestTableIsCurrent fails when summary.txt was not generated from the
// embedded definitions.
func TestTableIsCurrent(t *testing.T) {
	want, err := table()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../summary.txt")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatal("summary.txt is stale: run go generate ./fhir/interact/answer")
	}
}
