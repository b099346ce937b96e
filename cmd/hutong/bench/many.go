package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"hutong/cmd/hutong/bench/drive"
	"hutong/cmd/hutong/bench/report"
)

// importing streams ndjson by two clients, as many as the server takes at a
// time. A request holds this many lines: a tenth Patients, the rest
// Observations of them.
func importing(count int) workload {
	return workload{name: "import", unit: "resources", clients: 2, writes: true, batch: true, prepare: func(_ context.Context, t *target, seed uint64) (func(int) drive.Request, float64, error) {
		charts, stored := charts(seed, t, count), fmt.Appendf(nil, `{"name":"stored","valueInteger":%d}`, count)
		return func(i int) drive.Request {
			return drive.Request{
				Method: http.MethodPost, Path: "/$import", Type: "application/fhir+ndjson", Has: stored,
				Body: ndjson(charts, dice(^seed, i), t, i),
			}
		}, float64(count), nil
	}}
}

// perChart is how many lines of a file are about one person.
const perChart = 10

// fileMark stands for the number of a file in its ids: filling it in costs the
// generator far less than writing the lines anew.
var fileMark = []byte("@FILE@")

// charts writes a file's Observations, those of one person after the other.
func charts(seed uint64, t *target, count int) (out [][]byte) {
	r := dice(seed, 0)
	for first := 0; first < count; first += perChart {
		var b bytes.Buffer
		for line := first + 1; line < min(first+perChart, count); line++ {
			potassium(&b, r, lineID(t, line), "Patient/"+lineID(t, first))
			b.WriteByte('\n')
		}
		out = append(out, b.Bytes())
	}
	return out
}

func lineID(t *target, line int) string { return fmt.Sprintf("imp-%d-%s-%d", t.epoch, fileMark, line) }

// ndjson writes file n: the charts, each behind a person of this file alone. If
// the same people came with every file, the index would ask a steward about each
// of them and all their namesakes.
func ndjson(charts [][]byte, r *rand.Rand, t *target, n int) []byte {
	var b bytes.Buffer
	for i, chart := range charts {
		id := lineID(t, i*perChart)
		somebody(&b, r, id, t.org, id)
		b.WriteByte('\n')
		b.Write(chart)
	}
	return bytes.ReplaceAll(b.Bytes(), fileMark, fmt.Appendf(nil, "%06d", n))
}

// exported is the type that an export reads: about a twentieth of a region.
const exported = "DiagnosticReport"

// export runs one $export and downloads its files.
func export(ctx context.Context, t *target) (report.Result, error) {
	out := report.Result{Workload: "export", Unit: "resources", Per: 1, Clients: 1}
	conn := t.client.Conn()
	from := t.meter()
	a, err := conn.Do(ctx, &drive.Request{
		Method: http.MethodGet, Path: "/$export?_type=" + exported, Want: http.StatusAccepted, Header: []string{"Prefer: respond-async"},
	})
	if err != nil {
		return out, err
	}
	files, err := t.poll(ctx, a.Header("Content-Location"))
	if err != nil {
		return out, err
	}
	made := time.Since(from.start)
	lines := 0
	for _, f := range files {
		n, err := t.download(ctx, f)
		if err != nil {
			return out, err
		}
		lines += n
	}
	out.Closed = from.stretch(lines)
	out.Figures = report.Figures{"seconds": time.Since(from.start).Seconds(), "secondsUntilMade": made.Seconds(), "files": float64(len(files))}
	out.RSS = t.usage().RSS
	return out, nil
}

// poll asks for a job's status until it is complete, and gives its files' URLs.
func (t *target) poll(ctx context.Context, status string) ([]string, error) {
	for {
		c, path, err := t.elsewhere(status)
		if err != nil {
			return nil, err
		}
		a, err := c.Conn().Do(ctx, &drive.Request{Method: http.MethodGet, Path: path})
		switch {
		case err == nil:
			return manifest(a.Body)
		case a.Status != http.StatusAccepted:
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// manifest reads the URLs of a finished export.
func manifest(body []byte) (urls []string, err error) {
	var m struct{ Output []struct{ URL string } }
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, err
	}
	for _, o := range m.Output {
		urls = append(urls, o.URL)
	}
	if len(urls) == 0 {
		return nil, errors.New("the export has no files")
	}
	return urls, nil
}

// download counts the lines of a file.
func (t *target) download(ctx context.Context, file string) (int, error) {
	c, path, err := t.elsewhere(file)
	if err != nil {
		return 0, err
	}
	a, err := c.Conn().Do(ctx, &drive.Request{Method: http.MethodGet, Path: path})
	return bytes.Count(a.Body, []byte{'\n'}), err
}

// elsewhere gives a client and a path for an absolute URL of the server, which
// need not lie under its FHIR base.
func (t *target) elsewhere(link string) (*drive.Client, string, error) {
	u, err := url.Parse(link)
	if err != nil || u.Host == "" {
		return nil, "", errors.New("the server names no absolute URL of the job")
	}
	c, err := drive.NewClient(u.Scheme+"://"+u.Host, 1)
	if err != nil {
		return nil, "", err
	}
	c.Header, c.Token = t.client.Header, t.client.Token
	return c, u.RequestURI(), nil
}
