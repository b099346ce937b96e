package model_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"hutong/fhir/store/disk"
	"hutong/mpi/model"
	"hutong/mpi/score"
)

func TestLoadAndPin(t *testing.T) {
	t.Parallel()
	m, err := score.Default()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.json")
	write := func(path string, content []byte) {
		t.Helper()
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(path, raw)
	first, err := model.Load(path)
	if err != nil || first.Version != m.Version || len(first.Checksum) != 64 {
		t.Fatalf("%+v, %v", first, err)
	}
	write(path+".sha256", []byte(strings.ToUpper(first.Checksum)+"  m.json\n"))
	if _, err := model.Load(path); err != nil {
		t.Error(err)
	}
	write(path, append(raw, '\n'))
	if _, err := model.Load(path); err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("another content under the old checksum: %v", err)
	}
	if err := os.Remove(path + ".sha256"); err != nil {
		t.Fatal(err)
	}
	second, err := model.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	st, err := disk.Open("m", disk.Options{VFS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	for range 2 {
		if err := model.Pin(t.Context(), st.Space("s"), first); err != nil {
			t.Fatal(err)
		}
	}
	if err := model.Pin(t.Context(), st.Space("s"), second); err == nil || !strings.Contains(err.Error(), "another content") {
		t.Errorf("one version, two contents: %v", err)
	}
	write(path, []byte(`{"version":""}`))
	if _, err := model.Load(path); err == nil {
		t.Error("a model without weights was loaded")
	}
	if _, err := model.Load(path + ".none"); err == nil {
		t.Error("a file that is not there was loaded")
	}
}
