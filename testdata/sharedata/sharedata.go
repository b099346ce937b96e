// Package sharedata finds the data set that tests share and that is too large
// for the repository: the R4 definitions, the official examples and Synthea
// bundles. It is for tests only.
package sharedata

import (
	"os"
	"path/filepath"
	"testing"
)

// Env names the variable that overrides the search: the path of the data
// folder itself.
const Env = "HUTONG_SHARED"

// Dir gives the folder `shared/data` that stands beside the repository. It
// walks up from the test's own folder. Where the data is absent it skips the
// test; with Env set to a folder that does not exist it fails the test.
func Dir(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv(Env); dir != "" {
		if !isDir(dir) {
			t.Fatalf("%s=%q is not a folder", Env, dir)
		}
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if data := filepath.Join(dir, "shared", "data"); isDir(data) {
			return data
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Skipf("no shared/data beside the repository and %s is not set: nothing to test against", Env)
		}
		dir = up
	}
}

// Files lists the files of Dir that match the pattern (filepath.Glob),
// sorted by name. No match fails the test: the data set is incomplete.
func Files(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(Dir(t), pattern))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("shared data holds no %s", pattern)
	}
	return files
}

// Read gives the content of one file of Dir; name is relative to it.
func Read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(Dir(t), name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
