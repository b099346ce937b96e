package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hutong/fhir/store/disk"
)

// What keeps a store from being opened is told, not a crash.
func TestStoreThatDoesNotOpen(t *testing.T) {
	dir := t.TempDir()
	first, err := disk.Open(filepath.Join(dir, "store"), disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	for _, c := range []struct{ want, command, dir string }{
		{"in use", "serve", "--data=" + dir}, {"in use", "verify-audit", "--data=" + dir},
		{"URI", "serve", "--store=mongodb://%%%/"},
	} {
		if err := run(context.Background(), []string{c.command, c.dir}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v", c.command, c.dir, err)
		}
	}
}

// Flags, environment and YAML say the same things; a misspelt name is refused.
func TestConfigSources(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "hutong.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("listen: 0.0.0.0:1\nauth: open\n")
	err := run(context.Background(), []string{"serve", "--config", file, "--data", dir})
	if err == nil || !strings.Contains(err.Error(), "0.0.0.0:1") {
		t.Errorf("YAML was not read: %v", err)
	}
	t.Setenv("HUTONG_LISTEN", "0.0.0.0:2")
	t.Setenv("HUTONG_AUTH", "open")
	err = run(context.Background(), []string{"serve", "--data", dir})
	if err == nil || !strings.Contains(err.Error(), "0.0.0.0:2") {
		t.Errorf("the environment was not read: %v", err)
	}
	write("lisen: 127.0.0.1:1\n")
	err = run(context.Background(), []string{"serve", "--config", file, "--data", dir})
	if err == nil || !strings.Contains(err.Error(), "lisen") {
		t.Errorf("a misspelt setting was accepted: %v", err)
	}
}
