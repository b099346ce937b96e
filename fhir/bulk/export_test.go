package bulk_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/bulk"
)

// fill stores n patients with two observations each at two hospitals by turns.
func fill(w *world, n int) {
	for i := range n {
		id := fmt.Sprintf("f%d", i)
		w.put(fmt.Sprintf("h%d", i%2+1), patient(id), observation(id+"a", id, "2020-01-01"), observation(id+"b", id, "2021-01-01"))
	}
	w.put("h1", `{"resourceType":"Organization","id":"o1","name":"First"}`)
}

type manifest struct {
	TransactionTime, Request string
	RequiresAccessToken      bool
	Output                   []struct {
		Type, URL string
		Count     int
	}
	Error []any
}

// kick starts an export and gives the URL of its job.
func (w *world) kick(as, path string) string {
	w.t.Helper()
	return w.do(as, "GET", path, "", "Prefer", "respond-async").must(202).header.Get("Content-Location")
}

// finished polls a job to its end.
func (w *world) finished(as, job string) (m manifest) {
	w.t.Helper()
	var a *answer
	w.until("export", func() bool {
		a = w.do(as, "GET", job, "")
		if a.status == 202 && (a.header.Get("Retry-After") == "" || a.header.Get("X-Progress") == "") {
			w.t.Error("polling without X-Progress and Retry-After")
		}
		return a.status != 202
	})
	w.must(json.Unmarshal(a.must(200).body, &m))
	return m
}

// contents reads all files of an export: type to ids. Every line is a whole
// resource of the file's type, named once, with its version.
func (w *world) contents(as string, m manifest) map[string]map[string]bool {
	w.t.Helper()
	got := map[string]map[string]bool{}
	for _, o := range m.Output {
		a := w.do(as, "GET", o.URL, "").must(200)
		if a.header.Get("Content-Type") != "application/fhir+ndjson" {
			w.t.Errorf("a file of type %q", a.header.Get("Content-Type"))
		}
		n := 0
		for in := bufio.NewScanner(bytes.NewReader(a.body)); in.Scan(); n++ {
			var r struct {
				ResourceType, ID string
				Meta             struct{ VersionID string }
			}
			w.must(json.Unmarshal(in.Bytes(), &r))
			if r.ResourceType != o.Type || got[o.Type][r.ID] || r.Meta.VersionID == "" {
				w.t.Fatalf("%s in a file of %s, twice: %v", r.ResourceType, o.Type, got[o.Type][r.ID])
			}
			if got[o.Type] == nil {
				got[o.Type] = map[string]bool{}
			}
			got[o.Type][r.ID] = true
		}
		if n != o.Count {
			w.t.Errorf("%s: %d lines, %d announced", o.URL, n, o.Count)
		}
	}
	return got
}

func TestExportHoldsWhatTheCallerSees(t *testing.T) {
	t.Parallel()
	w := start(t, bulk.Limits{Page: 7, FileBytes: 1000})
	fill(w, 30)
	for _, c := range []struct {
		as, path string
		types    []string
	}{
		{"all", "/$export", []string{"Patient", "Observation", "Organization"}},
		{"h1", "/$export", []string{"Patient", "Observation", "Organization"}},
		{"h2", "/$export?_outputFormat=ndjson", []string{"Patient", "Observation"}},
		{"h1", "/Patient/$export", []string{"Patient", "Observation"}},
		{"h1", "/$export?_type=Observation", []string{"Observation"}},
		{"scoped", "/$export", []string{"Patient"}},
	} {
		m := w.finished(c.as, w.kick(c.as, c.path))
		if m.Request != base+c.path || !m.RequiresAccessToken || len(m.Error) != 0 || m.Output == nil {
			t.Errorf("%s: manifest %+v", c.path, m)
		}
		got := w.contents(c.as, m)
		if len(got) != len(c.types) {
			t.Errorf("%s as %s: %d types", c.path, c.as, len(got))
		}
		for _, kind := range c.types {
			seen := w.do(c.as, "GET", "/"+kind+"?_summary=count", "").must(200).bundle().Total
			if len(got[kind]) != seen || seen == 0 {
				t.Errorf("%s as %s: %d of %s, a search finds %d", c.path, c.as, len(got[kind]), kind, seen)
			}
		}
	}
	disclosed := map[string]bool{}
	for _, d := range w.audit.of("$export") {
		for _, k := range d.Keys {
			disclosed[k.String()] = true
		}
	}
	if len(disclosed) != 91 {
		t.Errorf("the trail names %d of 91 resources", len(disclosed))
	}
}

func TestExportSince(t *testing.T) {
	t.Parallel()
	w := start(t, bulk.Limits{})
	fill(w, 3)
	none := w.finished("all", w.kick("all", "/$export?_since=2100-01-01T00:00:00%2B08:00"))
	if len(none.Output) != 0 {
		t.Errorf("%+v", none)
	}
	all := w.finished("all", w.kick("all", "/$export?_since="+time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)))
	if n := len(w.contents("all", all)["Patient"]); n != 3 {
		t.Errorf("%d patients", n)
	}
	at, err := time.Parse(time.RFC3339, all.TransactionTime)
	if err != nil || at.After(time.Now()) {
		t.Errorf("transactionTime %s", all.TransactionTime)
	}
}

func TestExportIsRefused(t *testing.T) {
	t.Parallel()
	w := start(t, bulk.Limits{})
	fill(w, 1)
	w.do("all", "GET", "/$export", "").must(400) // not asynchronous
	for path, status := range map[string]int{
		"/$export?_type=Nonsense": 400, "/$export?_since=yesterday": 400, "/$export?_outputFormat=csv": 400,
		"/$export?_typeFilter=x": 400, "/Patient/$export?_type=Organization": 400,
	} {
		w.do("all", "GET", path, "", "Prefer", "respond-async").must(status)
	}
	w.do("all", "GET", "/$export?_typeFilter=x", "", "Prefer", "respond-async, handling=lenient").must(202)
	w.do("scoped", "GET", "/$export?_type=Observation", "", "Prefer", "respond-async").must(403)
	w.do("doctor", "GET", "/$export", "", "Prefer", "respond-async").must(403)
	refused := 0 // the export that was taken may be recorded at any time
	for _, d := range w.audit.of("$export") {
		if errors.Is(d.Err, fhir.E(fhir.Forbidden)) {
			refused++
		}
	}
	if refused != 2 {
		t.Errorf("the trail tells of %d refusals", refused)
	}
	job := w.kick("h1", "/$export")
	m := w.finished("h1", job)
	for _, url := range []string{job, m.Output[0].URL} {
		w.do("h2", "GET", url, "").must(404)
		w.do("doctor", "GET", url, "").must(403)
	}
	w.do("h2", "DELETE", job, "").must(404)
	for _, name := range []string{"/../job", "/%2e%2e%2f%2e%2e%2fstore", "/Nothing-1.ndjson"} {
		if a := w.do("h1", "GET", job+name, ""); a.status != 404 {
			t.Errorf("%s: %d", name, a.status)
		}
	}
}

// gate lets pages of exports pass one by one.
func (w *world) gate() (pass chan struct{}) {
	pass = make(chan struct{})
	w.audit.mu.Lock()
	defer w.audit.mu.Unlock()
	w.audit.gate = func() { <-pass }
	return pass
}

func TestExportGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	w := start(t, bulk.Limits{Page: 5})
	fill(w, 20)
	pass := w.gate()
	job := w.kick("all", "/$export?_type=Observation,Patient")
	pass <- struct{}{}
	pass <- struct{}{}
	w.until("first pages", func() bool { return strings.HasPrefix(w.do("all", "GET", job, "").header.Get("X-Progress"), "10 ") })
	id := job[strings.LastIndex(job, "/")+1:]
	old := w.audit
	time.AfterFunc(200*time.Millisecond, func() { close(pass) }) // the page that is under way ends with the process
	w.stop()
	// What a crash leaves behind what was saved must not count.
	f, err := os.OpenFile(filepath.Join(w.dir, "export", id, "Observation-1.ndjson"), os.O_APPEND|os.O_WRONLY, 0)
	w.must(err)
	_, err = f.WriteString(`{"resourceType":"Observ`)
	w.must(err)
	w.must(f.Close())
	w.must(os.Mkdir(filepath.Join(w.dir, "export", "orphan"), 0o700))

	w.audit = &ledger{}
	w.open()
	m := w.finished("all", w.url+"/"+id)
	got := w.contents("all", m)
	if len(got["Observation"]) != 40 || len(got["Patient"]) != 20 {
		t.Errorf("%d observations, %d patients", len(got["Observation"]), len(got["Patient"]))
	}
	if before, after := len(old.of("$export")), len(w.audit.of("$export")); before < 3 || after > 12 {
		t.Errorf("%d pages before the restart, %d after: it did not go on where it was", before, after)
	}
	if _, err := os.Stat(filepath.Join(w.dir, "export", "orphan")); !os.IsNotExist(err) {
		t.Errorf("a directory without a job stays: %v", err)
	}
}

func TestExportShowsOneMoment(t *testing.T) {
	t.Parallel()
	w := start(t, bulk.Limits{Page: 5})
	fill(w, 10)
	pass := w.gate()
	job := w.kick("all", "/$export?_type=Observation,Patient")
	pass <- struct{}{}
	w.put("h1", patient("late"), observation("late", "late", "2030-01-01"))
	close(pass)
	got := w.contents("all", w.finished("all", job))
	if len(got["Observation"]) != 20 || len(got["Patient"]) != 10 {
		t.Errorf("%d observations, %d patients", len(got["Observation"]), len(got["Patient"]))
	}
}

func TestExportIsCancelled(t *testing.T) {
	t.Parallel()
	w := start(t, bulk.Limits{Page: 5, PerOwner: 2})
	fill(w, 10)
	pass := w.gate()
	run, wait := w.kick("all", "/$export"), w.kick("all", "/$export")
	w.do("all", "GET", "/$export", "", "Prefer", "respond-async").must(429)
	pass <- struct{}{} // it runs
	w.do("all", "DELETE", wait, "").must(202)
	open := sync.OnceFunc(func() { close(pass) })
	time.AfterFunc(50*time.Millisecond, open)
	w.do("all", "DELETE", run, "").must(202)
	open()
	for _, job := range []string{run, wait} {
		w.do("all", "GET", job, "").must(404)
	}
	entries, err := os.ReadDir(filepath.Join(w.dir, "export"))
	if err != nil || len(entries) != 0 {
		t.Errorf("files stay: %v %v", entries, err)
	}
	w.finished("all", w.kick("all", "/$export")) // the places are free again
}

func TestExportThatFailsSaysSo(t *testing.T) {
	t.Parallel()
	w := start(t, bulk.Limits{})
	fill(w, 1)
	pass := w.gate()
	job := w.kick("all", "/$export?_type=Patient")
	id := job[strings.LastIndex(job, "/")+1:]
	w.until("directory", func() bool { _, err := os.Stat(filepath.Join(w.dir, "export", id)); return err == nil })
	w.must(os.Mkdir(filepath.Join(w.dir, "export", id, "Patient-1.ndjson"), 0o700)) // in the file's place
	close(pass)
	w.until("failure", func() bool { return w.do("all", "GET", job, "").status != 202 })
	a := w.do("all", "GET", job, "").must(500)
	if !bytes.Contains(a.body, []byte("OperationOutcome")) || bytes.Contains(a.body, []byte(w.dir)) {
		t.Errorf("%s", a.body)
	}
	w.do("all", "DELETE", job, "").must(202)
	w.do("all", "GET", job, "").must(404)
}

func TestExportExpires(t *testing.T) {
	t.Parallel()
	w := start(t, bulk.Limits{Keep: 300 * time.Millisecond})
	fill(w, 1)
	job := w.kick("all", "/$export")
	m := w.finished("all", job)
	w.until("expiry", func() bool { return w.do("all", "GET", job, "").status == 404 })
	w.do("all", "GET", m.Output[0].URL, "").must(404)
	w.stop()
	w.open()
	w.until("removal", func() bool {
		entries, err := os.ReadDir(filepath.Join(w.dir, "export"))
		return err == nil && len(entries) == 0
	})
}
