// Package monitoring_test holds the alert rules and the dashboard against the
// metrics that a running exchange exports.
package monitoring_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"gopkg.in/yaml.v3"

	"hutong/cmd/hutong/exchange"
)

// exported is what a scrape shows: names, as a query writes them, and their labels.
type exported map[string]map[string]bool

// scrape runs an exchange, asks it something and reads /metrics.
func scrape(t *testing.T) exported {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := exchange.Settings{
		Listen: address, Data: t.TempDir(), NATS: "embedded", Auth: "smart", Operator: "org-exchange", Timezone: "Asia/Shanghai",
		CacheMB: 8, LogLevel: "error", LogFormat: "json", Grace: 5 * time.Second,
	}
	if err := cfg.Check(); err != nil {
		t.Fatal(err)
	}
	e, err := exchange.Open(context.Background(), cfg, cfg.Logger())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
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
		ended <- nil
		t.Fatal(err)
	}
	get(t, "http://"+address+"/fhir/metadata")
	p := expfmt.NewTextParser(model.UTF8Validation)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		families, err := p.TextToMetricFamilies(bytes.NewReader(get(t, "http://"+address+"/metrics")))
		if err != nil {
			t.Fatal(err)
		}
		// A request is counted once it is answered: a moment after we have read it.
		if families["hutong_http_request_seconds"] != nil || time.Now().After(end) {
			return names(families)
		}
	}
}

func get(t *testing.T, url string) []byte {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v", url, res.Status, err)
	}
	return body
}

// names lists the families, histograms and summaries by their parts, and adds
// what Prometheus itself makes of a scrape.
func names(families map[string]*dto.MetricFamily) exported {
	out := exported{"up": {}}
	for name, f := range families {
		labels := map[string]bool{}
		for _, m := range f.Metric {
			for _, l := range m.Label {
				labels[l.GetName()] = true
			}
		}
		out[name] = labels
		if k := f.GetType(); k == dto.MetricType_HISTOGRAM || k == dto.MetricType_SUMMARY {
			out[name+"_bucket"], out[name+"_sum"], out[name+"_count"] = map[string]bool{"le": true}, labels, labels
			for l := range labels {
				out[name+"_bucket"][l] = true
			}
		}
	}
	for _, labels := range out {
		labels["job"], labels["instance"] = true, true
	}
	return out
}

// What the rules and the dashboard ask for exists, and everything of ours is
// looked at by one of them.
func TestOnlyMetricsThatExist(t *testing.T) {
	have := scrape(t)
	used := map[string]bool{}
	queries := 0
	for where, list := range map[string][]string{"alerts.yaml": alerts(t), "dashboard.json": dashboard(t)} {
		for _, expr := range list {
			queries++
			for _, problem := range check(expr, have, used) {
				t.Errorf("%s: %s: %s", where, expr, problem)
			}
		}
	}
	if queries < 30 {
		t.Errorf("only %d queries found: the test looks in the wrong place", queries)
	}
	for name := range have {
		base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		if strings.HasPrefix(name, "hutong_") && name == base && !used[name] && !used[name+"_bucket"] && !used[name+"_count"] && name != "hutong_subscription_examined_total" {
			t.Errorf("nobody looks at %s", name)
		}
	}
}

// check names what a query asks for and the exchange does not have.
func check(expr string, have exported, used map[string]bool) (problems []string) {
	for _, s := range selectors(expr) {
		labels, ok := have[s.name]
		if !ok {
			problems = append(problems, "no metric "+s.name)
			continue
		}
		used[s.name] = true
		for _, l := range s.labels {
			if !labels[l] {
				problems = append(problems, fmt.Sprintf("%s has no label %s", s.name, l))
			}
		}
	}
	return problems
}

// selector is a metric in a query, with the labels that it is filtered by.
type selector struct {
	name   string
	labels []string
}

var (
	quoted   = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	grouping = regexp.MustCompile(`\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)`)
	ranges   = regexp.MustCompile(`\[[^\]]*\]`)
	metric   = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{[^}]*\}|\()?`)
	matcher  = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)`)
	number   = regexp.MustCompile(`\b[0-9][0-9.e+]*\b`)
	words    = []string{"and", "or", "unless", "bool", "offset", "by", "without", "inf", "nan"}
)

// selectors finds the metrics of a query: names that are not called and are no
// words of the language. Grouping labels must be those of every metric there.
func selectors(expr string) (out []selector) {
	expr = quoted.ReplaceAllString(expr, `""`)
	var by []string
	for _, g := range grouping.FindAllStringSubmatch(expr, -1) {
		for l := range strings.SplitSeq(g[2], ",") {
			if l = strings.TrimSpace(l); l != "" {
				by = append(by, l)
			}
		}
	}
	expr = number.ReplaceAllString(ranges.ReplaceAllString(grouping.ReplaceAllString(expr, ""), ""), "0")
	for _, m := range metric.FindAllStringSubmatch(expr, -1) {
		if m[2] == "(" || slices.Contains(words, strings.ToLower(m[1])) {
			continue
		}
		s := selector{name: m[1], labels: slices.Clone(by)}
		for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
			s.labels = append(s.labels, l[1])
		}
		out = append(out, s)
	}
	return out
}

// alerts are the rules' expressions; each rule is complete.
func alerts(t *testing.T) (out []string) {
	t.Helper()
	raw, err := os.ReadFile("alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr string
				For         string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	for _, g := range doc.Groups {
		for _, r := range g.Rules {
			if !strings.HasPrefix(r.Alert, "Hutong") || r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["summary_zh"] == "" {
				t.Errorf("%s is not complete", r.Alert)
			}
			file, _, _ := strings.Cut(r.Annotations["runbook"], "#")
			if _, err := os.Stat("../../" + file); err != nil || file == "" {
				t.Errorf("%s: runbook %q: %v", r.Alert, file, err)
			}
			if _, err := model.ParseDuration(r.For); r.For != "" && err != nil {
				t.Errorf("%s: for: %v", r.Alert, err)
			}
			out = append(out, r.Expr)
		}
	}
	return out
}

// dashboard lists the panels' queries; Grafana's variables stand for durations
// and nodes.
func dashboard(t *testing.T) (out []string) {
	t.Helper()
	raw, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Panels []struct {
			ID      int
			Type    string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct{ Name, Query string }
		}
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, p := range doc.Panels {
		if seen[p.ID] || p.GridPos.X+p.GridPos.W > 24 || p.GridPos.H == 0 {
			t.Errorf("panel %d: twice, or off the grid: %+v", p.ID, p.GridPos)
		}
		seen[p.ID] = true
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %d asks for nothing", p.ID)
		}
		for _, q := range p.Targets {
			out = append(out, strings.ReplaceAll(q.Expr, "$__rate_interval", "5m"))
		}
	}
	for _, v := range doc.Templating.List {
		if q, ok := strings.CutPrefix(v.Query, "label_values("); ok {
			out = append(out, strings.TrimSuffix(q[:strings.LastIndex(q, ",")], ")"))
		}
	}
	return out
}

// The checker itself: it must find what is wrong.
func TestTheCheckerFindsMistakes(t *testing.T) {
	have := exported{"a_total": {"job": true}, "b_bucket": {"le": true, "route": true}}
	for expr, problems := range map[string]int{
		`rate(a_total{job="x"}[5m]) > 1e3`:                                               0,
		`histogram_quantile(0.9, sum by (le, route) (rate(b_bucket{route!~"c.*"}[5m])))`: 0,
		`a_total unless a_total{job="zzz"}`:                                              0,
		`rate(absent_total[5m])`:                                                         1,
		`a_total{instance="x"}`:                                                          1,
		`sum by (le) (a_total)`:                                                          1,
		`a_total / absent{job="x"} or other`:                                             2,
	} {
		if got := check(expr, have, map[string]bool{}); len(got) != problems {
			t.Errorf("%s: %q, want %d problems", expr, got, problems)
		}
	}
}
