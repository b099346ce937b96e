package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSettingsHoldTogether(t *testing.T) {
	cases := []struct {
		name    string
		s       settings
		refused string // part of the error; "" = accepted
	}{
		{"loopback, plain", settings{Listen: "127.0.0.1:8080", Auth: "smart"}, ""},
		{"loopback by name, open", settings{Listen: "localhost:8080", Auth: "open"}, ""},
		{"IPv6 loopback, open", settings{Listen: "[::1]:8080", Auth: "open"}, ""},
		{"open to the world", settings{Listen: "0.0.0.0:8080", Auth: "open", Proxy: true}, "--auth open is refused"},
		{"open on all addresses", settings{Listen: ":8080", Auth: "open"}, "--auth open is refused"},
		{"plain to the world", settings{Listen: "0.0.0.0:8080", Auth: "smart"}, "--tls-cert"},
		{"plain behind a proxy", settings{Listen: "0.0.0.0:8080", Auth: "smart", Proxy: true}, ""},
		{"half a certificate", settings{Listen: "127.0.0.1:1", TLSCert: "x"}, "go together"},
		{"no port", settings{Listen: "127.0.0.1"}, "--listen"},
		{"public URL", settings{Listen: "127.0.0.1:1", PublicURL: "exchange"}, "--public-url"},
	}
	for _, c := range cases {
		err := c.s.check()
		if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.refused)
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
