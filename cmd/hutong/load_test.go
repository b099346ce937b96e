package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hutong/cmd/hutong/client"
	"hutong/cmd/hutong/exchange"
	"hutong/testdata/sharedata"
)

// openServer serves an exchange without authentication, as conformance tools
// find it.
func openServer(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cfg := exchange.Settings{Listen: freeAddress(t), Data: dir, NATS: "embedded", Auth: "open", Operator: "org", Timezone: "UTC", CacheMB: 16, LogLevel: "error", Grace: 10 * time.Second}
	if err := cfg.Check(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	e, err := exchange.Open(ctx, cfg, cfg.Logger())
	if err != nil {
		t.Fatal(err)
	}
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- e.Serve(ctx, func() { close(ready) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	return cfg.PublicURL
}

func total(t *testing.T, url string) int {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var b struct{ Total int }
	if err := json.NewDecoder(res.Body).Decode(&b); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, res.Status, err)
	}
	return b.Total
}

// What is refused is named with its place and counted; the rest is loaded.
func TestLoadNamesWhatIsRefused(t *testing.T) {
	url, dir := openServer(t), t.TempDir()
	for name, text := range map[string]string{
		"1-bundle.json": `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}},{"resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}}]}`,
		"2-put.json":    `{"resourceType":"Patient","id":"p1","gender":"female"}`,
		"3-bad.json":    `{"resourceType":"Patient","gender":"weiblich"}`,
		"4-broken.json": `{"resourceType":"Patient",`,
		"5-lines.ndjson": `{"resourceType":"Patient","id":"n1"}

{"resourceType":"Patient","id":"n2"}
`,
		"6-other.txt": `not FHIR`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	refused := map[string]string{}
	sum, err := client.NewPoster(url).Load(context.Background(), []string{dir}, 1, func(name string, err error) {
		refused[filepath.Base(name)] = err.Error()
	})
	if err != nil {
		t.Fatal(err)
	}
	if sum.Files != 5 || sum.Refused != 2 || len(refused) != 2 {
		t.Errorf("%+v, refused %v", sum, refused)
	}
	if !strings.Contains(refused["3-bad.json"], "Patient.gender") {
		t.Errorf("the refusal does not name the place: %q", refused["3-bad.json"])
	}
	if n := total(t, url+"/fhir/Patient?_summary=count"); n != 5 {
		t.Errorf("%d patients are there, want 5", n)
	}
}

// Input that nobody here wrote: every Synthea bundle and every official
// example that R4's own rules allow goes through the loader whole.
func TestLoadForeignData(t *testing.T) {
	data := sharedata.Dir(t)
	url := openServer(t)
	p := client.NewPoster(url)
	sum, err := p.Load(context.Background(), []string{filepath.Join(data, "synthea-train")}, 4, func(name string, err error) {
		t.Errorf("refused: %s: %v", filepath.Base(name), err)
	})
	if err != nil {
		t.Fatal(err)
	}
	const resources = 29253
	if sum.Files != 100 || sum.Resources != resources {
		t.Errorf("%+v, want 100 files and %d resources", sum, resources)
	}
	if n := total(t, url+"/fhir?_summary=count"); n != resources {
		t.Errorf("%d resources are there, want %d", n, resources)
	}
	var refused []string
	sum, err = p.Load(context.Background(), []string{filepath.Join(data, "examples")}, 4, func(name string, err error) {
		refused = append(refused, filepath.Base(name)+": "+err.Error())
	})
	if err != nil {
		t.Fatal(err)
	}
	// Two point to types that R4 forbids there (fhir/validate's list); one is a
	// transaction that calls an operation which this server does not have.
	slices.Sort(refused)
	want := []string{"Bundle-bundle-transaction.json: 400: Bundle.entry[7]", "DeviceMetric-example.json: 400: DeviceMetric.parent", "DeviceUseStatement-example.json: 400: DeviceUseStatement.reasonReference[0]"}
	if sum.Files != 366 || !slices.EqualFunc(refused, want, strings.HasPrefix) {
		t.Errorf("%+v, refused %q", sum, refused)
	}
}
