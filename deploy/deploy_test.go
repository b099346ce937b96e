// Package deploy_test holds the files of this folder against the binary and
// against each other.
package deploy_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"

	"hutong/cmd/hutong/exchange"
	"hutong/fhir/event/lease"
)

// settings are the environment variables and the flags of `hutong serve`.
func settings(t *testing.T) (env, flags []string) {
	t.Helper()
	var c struct {
		Config kong.ConfigFlag             // of every command
		Serve  struct{ exchange.Settings } `cmd:""`
	}
	p, err := kong.New(&c, kong.DefaultEnvars("HUTONG"))
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range p.Model.Children[0].AllFlags(false) {
		for _, f := range group {
			env, flags = append(env, f.Envs...), append(flags, f.Name)
		}
	}
	if len(env) < 10 {
		t.Fatalf("only %d settings found", len(env))
	}
	return env, flags
}

// files reads every text of this folder.
func files(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, "_test.go") {
			return err
		}
		out[name], err = os.ReadFile(name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var variable = regexp.MustCompile(`\bHUTONG_[A-Z_]+[A-Z]`)

// Every HUTONG_... that is set anywhere here is a setting.
func TestVariablesAreSettings(t *testing.T) {
	env, _ := settings(t)
	found := 0
	for name, text := range files(t) {
		for _, v := range variable.FindAllString(string(text), -1) {
			if v == lease.Bucket {
				continue
			}
			if found++; !slices.Contains(env, v) {
				t.Errorf("%s: %s is no setting of `hutong serve`", name, v)
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d variables found: the test looks in the wrong place", found)
	}
}

// So is every line of the configuration that systemd's unit names.
func TestConfigurationLinesAreFlags(t *testing.T) {
	_, flags := settings(t)
	text, err := os.ReadFile("systemd/hutong.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var lines map[string]any
	if err := yaml.Unmarshal(text, &lines); err != nil || len(lines) == 0 {
		t.Fatal(err)
	}
	for name := range lines {
		if !slices.Contains(flags, name) {
			t.Errorf("%s is no flag of `hutong serve`", name)
		}
	}
}

// compose is what the tests read of a compose file.
type compose struct {
	Services map[string]struct {
		Image, Hostname string
		Volumes         []string
		DependsOn       yaml.Node         `yaml:"depends_on"`
		Environment     map[string]string `yaml:"environment"`
	}
}

// The cluster's parts find each other: every host that a configuration names is
// a service, and every file that a service mounts is there.
func TestTheClusterIsWhole(t *testing.T) {
	all := files(t)
	var c compose
	if err := yaml.Unmarshal(all["cluster/compose.yaml"], &c); err != nil {
		t.Fatal(err)
	}
	var hosts []string
	for name, s := range c.Services {
		if s.Image == "" || s.Hostname != "" && s.Hostname != name {
			t.Errorf("%s: image %q, host name %q", name, s.Image, s.Hostname)
		}
		hosts = append(hosts, name)
		for _, v := range s.Volumes {
			from, _, mounted := strings.Cut(v, ":")
			if !mounted || strings.HasSuffix(from, "/tls") { // made by certificates.sh
				continue
			}
			if _, err := os.Stat(filepath.Join("cluster", from)); err != nil {
				t.Errorf("%s mounts %s: %v", name, from, err)
			}
		}
	}
	for _, c := range []struct{ file, pattern string }{
		{"nats/nats.conf", `nats://([a-z0-9-]+):6222`},
		{"mongo/mongos.conf", `[/,]([a-z]+-[a-z0-9-]+):27017`},
		{"mongo/init.js", `[/,]([a-z]+-[a-z0-9-]+):27017`},
		{"cluster/haproxy.cfg", `(?m)^    server ([a-z0-9-]+) `},
		{"cluster/compose.yaml", `(?:@|//)([a-z]+-[0-9])`},
	} {
		named := regexp.MustCompile(c.pattern).FindAllSubmatch(all[c.file], -1)
		if len(named) < 2 && c.file != "cluster/compose.yaml" {
			t.Errorf("%s names %d hosts: the pattern is wrong", c.file, len(named))
		}
		for _, m := range named {
			if !slices.Contains(hosts, string(m[1])) {
				t.Errorf("%s names %s, which is no service", c.file, m[1])
			}
		}
	}
	// Every host whose certificate is mounted by name gets one.
	for _, m := range regexp.MustCompile(`/tls/([a-z0-9-]+)\.crt`).FindAllSubmatch(all["cluster/compose.yaml"], -1) {
		if host := m[1]; !bytes.Equal(host, []byte("ca")) && !regexp.MustCompile(`\b`+string(host)+`\b`).Match(all["cluster/certificates.sh"]) {
			t.Errorf("nobody makes the certificate of %s", host)
		}
	}
}

var link = regexp.MustCompile(`(?:\]\(|` + "`" + `)((?:\.\./|deploy/|cmd/|fhir/)[A-Za-z0-9_./-]+)`)

// written are folders that commands write; they are there once somebody has.
var written = []string{"deploy/bench/report", "deploy/crash"}

// What the pages of this folder point at exists.
func TestPagesPointAtFiles(t *testing.T) {
	found := 0
	for name, text := range files(t) {
		if filepath.Ext(name) != ".md" {
			continue
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			found++
			target := filepath.Join("..", string(m[1]))
			if strings.HasPrefix(string(m[1]), "../") {
				target = filepath.Join(filepath.Dir(name), string(m[1]))
			}
			if _, err := os.Stat(strings.TrimRight(target, ".")); err != nil && !slices.Contains(written, string(m[1])) {
				t.Errorf("%s points at %s, which is not there", name, m[1])
			}
		}
	}
	if found == 0 {
		t.Error("no page points anywhere: the pattern is wrong")
	}
}
