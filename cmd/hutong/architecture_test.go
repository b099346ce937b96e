package main

import (
	"bufio"
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// storey gives each top-level room its height; a package may import its own
// room and lower storeys, never a higher one. Rooms on one storey may not
// import each other.
var storey = map[string]int{"profiles": 0, "fhir": 1, "testdata": 1, "mpi": 2, "gateway": 2, "cmd": 3}

func TestImportsOnlyGoDown(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "hutong/...", "hutong/testdata/region").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	for line := range strings.SplitSeq(strings.TrimSpace(string(out)), "\n") {
		f := strings.Fields(line)
		from := strings.TrimPrefix(f[0], "hutong/")
		for _, imp := range f[1:] {
			to, ok := strings.CutPrefix(imp, "hutong/")
			if !ok {
				continue
			}
			a, b := room(from), room(to)
			_, known := storey[b]
			if a != b && (!known || storey[a] <= storey[b]) {
				t.Errorf("%s imports %s: %s may not import %s", from, to, a, b)
			}
		}
	}
}

func room(pkg string) string { r, _, _ := strings.Cut(pkg, "/"); return r }

// The one way in for writes: only these packages may name the store's engines.
func TestOnlyTheBinaryAndTestsNameAnEngine(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "hutong/...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	for line := range strings.SplitSeq(strings.TrimSpace(string(out)), "\n") {
		f := strings.Fields(line)
		const testbed = "hutong/fhir/internal/testbed" // Imports do not list those of tests
		if slices.Contains(f[1:], testbed) {
			t.Errorf("%s imports %s, which is for tests", f[0], testbed)
		}
		engine := f[0] == testbed || strings.HasPrefix(f[0], "hutong/fhir/store/") || strings.HasPrefix(f[0], "hutong/cmd/")
		for _, name := range []string{"hutong/fhir/store/disk", "hutong/fhir/store/mongo"} {
			if !engine && slices.Contains(f[1:], name) {
				t.Errorf("%s imports the engine %s; it may know only hutong/fhir/store", f[0], name)
			}
		}
	}
}

// Rooms stay small enough to read in one sitting. Generated files are exempt.
const (
	maxLines = 400
	maxFiles = 12
)

// large lists what may be larger, and why.
var large = map[string]string{
	"fhir/interact": "one interaction, one file",
}

var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

func TestRoomsStaySmall(t *testing.T) {
	root := filepath.Join("..", "..")
	files := map[string]int{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == ".demo") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if generated.Match(src) {
			return nil
		}
		rel, _ := filepath.Rel(root, name)
		files[filepath.Dir(rel)]++
		if n := lines(src); n > maxLines && large[rel] == "" {
			t.Errorf("%s has %d lines, more than %d", rel, n, maxLines)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 10 {
		t.Fatalf("only %d packages found: the test looks in the wrong place", len(files))
	}
	for dir, n := range files {
		if n > maxFiles && large[dir] == "" {
			t.Errorf("%s has %d files, more than %d", dir, n, maxFiles)
		}
	}
}

func lines(src []byte) (n int) {
	for s := bufio.NewScanner(bytes.NewReader(src)); s.Scan(); {
		n++
	}
	return n
}
