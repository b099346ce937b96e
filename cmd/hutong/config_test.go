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

// What asks for nothing is told, and a key that works is not lost to a
// registration that fails.
func TestCommandsThatCannotWork(t *testing.T) {
	dir := t.TempDir()
	hutong := func(args ...string) error { return run(context.Background(), args) }
	for want, args := range map[string][]string{
		"no .json or .ndjson": {"load", dir}, "--workers": {"load", "--workers=0", dir}, "--client and --key": {"token"},
	} {
		if err := hutong(args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", args, err)
		}
	}
	key := filepath.Join(dir, "his.pem")
	add := []string{"account", "add-client", "his", "--org=org-a", "--data=" + dir, "--key-out=" + key, "--log-level=error"}
	if err := hutong(add...); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := hutong(append(add, "--scope=nonsense")...); err == nil {
		t.Error("a scope that is none was accepted")
	}
	if now, err := os.ReadFile(key); err != nil || string(now) != string(first) {
		t.Errorf("the key of a refused registration took the old one's place: %v", err)
	}
	if err := hutong(add...); err != nil {
		t.Fatal(err)
	}
	if now, err := os.ReadFile(key); err != nil || string(now) == string(first) {
		t.Errorf("no new key: %v", err)
	}
	if left, _ := filepath.Glob(key + "*"); len(left) != 1 {
		t.Errorf("%v", left)
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
