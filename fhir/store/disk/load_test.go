package disk_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/fhir/store/disk"
)

// TestLoad: what a Load gives is there as if it had been applied, beside what was
// there and over a restart; one that fails leaves nothing, not even files; and
// none gets past an archive.
func TestLoad(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	open := func() *disk.Store {
		s, err := disk.Open("d", disk.Options{VFS: fs})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	space := func() store.Space { return s.Space("x") }
	load := func(parts ...store.Part) error { return space().(store.Loader).Load(t.Context(), parts) }
	content := func() string {
		var out []string
		kvs, err := space().Scan(t.Context(), nil, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, kv := range kvs {
			out = append(out, fmt.Sprintf("%s=%s", kv.Key, kv.Value))
		}
		return strings.Join(out, " ")
	}
	run := func(keys ...string) store.Part {
		return func(put func(k, v []byte) error) error {
			for _, k := range keys {
				if err := put([]byte(k), []byte("v"+k)); err != nil {
					return err
				}
			}
			return nil
		}
	}
	if err := space().Apply(t.Context(), []store.Write{{Key: []byte("b"), Value: []byte("old")}, {Key: []byte("m"), Value: []byte("old")}}); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := load(run("a", "c"), func(put func(k, v []byte) error) error { return errors.Join(put([]byte("n"), nil), broken) })
	if !errors.Is(err, broken) {
		t.Errorf("a part that fails: %v", err)
	}
	if err := load(run("c", "a")); err == nil {
		t.Error("keys out of order are taken")
	}
	if got := content(); got != "b=old m=old" {
		t.Errorf("after loads that failed: %s", got)
	}
	if err := load(run("x", "y"), run(), run("a", "b", "c")); err != nil {
		t.Fatal(err)
	}
	const want = "a=va b=vb c=vc m=old x=vx y=vy"
	if got := content(); got != want {
		t.Errorf("loaded: %s", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open()
	if got := content(); got != want {
		t.Errorf("after a restart: %s", got)
	}
	if names, err := fs.List("d"); err != nil || slices.Contains(names, "loading") {
		t.Errorf("files are left: %v %v", names, err)
	}
	if err := s.Spaces().StartJournal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := load(run("z")); fhir.KindOf(err) != fhir.Conflict {
		t.Errorf("past an archive: %v", err)
	}
	if got := content(); got != want {
		t.Errorf("past an archive: %s", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
