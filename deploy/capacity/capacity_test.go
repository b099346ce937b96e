// Package capacity_test computes deploy/CAPACITY.md from model.json: the
// formulae that the page shows are the ones that are evaluated.
//
//	go test ./deploy/capacity -update                                        # write the page anew
//	go test ./deploy/capacity -update -report deploy/bench/report/report.json # and take the measurements from a benchmark
package capacity_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"hutong/cmd/hutong/bench/report"
	"hutong/testdata/region"
)

var (
	update = flag.Bool("update", false, "write CAPACITY.md")
	from   = flag.String("report", "", "report.json of hutong bench, below the repository's root: measurements come from its largest scale")
)

type input struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Source string  `json:"source"`
}

type result struct {
	Name    string `json:"name"`
	Formula string `json:"formula"`
	Unit    string `json:"unit"`
	Text    string `json:"text"`
	ZH      string `json:"zh"`
}

type model struct {
	Measured []input  `json:"measured"`
	Assumed  []input  `json:"assumed"`
	Results  []result `json:"results"`
}

func load(t *testing.T) *model {
	t.Helper()
	raw, err := os.ReadFile("model.json")
	if err != nil {
		t.Fatal(err)
	}
	var m model
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return &m
}

// compute evaluates the formulae in their order.
func (m *model) compute() (map[string]float64, error) {
	v := map[string]float64{}
	for _, list := range [][]input{m.Measured, m.Assumed} {
		for _, i := range list {
			if _, twice := v[i.Name]; twice {
				return nil, fmt.Errorf("%s is there twice", i.Name)
			}
			v[i.Name] = i.Value
		}
	}
	for _, r := range m.Results {
		e, err := parser.ParseExpr(r.Formula)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.Name, err)
		}
		if v[r.Name], err = eval(e, v); err != nil {
			return nil, fmt.Errorf("%s: %w", r.Name, err)
		}
	}
	return v, nil
}

// eval knows numbers, names, + - * /, brackets, ceil and max.
func eval(e ast.Expr, v map[string]float64) (float64, error) {
	switch e := e.(type) {
	case *ast.BasicLit:
		return strconv.ParseFloat(e.Value, 64)
	case *ast.Ident:
		x, ok := v[e.Name]
		if !ok {
			return 0, fmt.Errorf("%s is not known", e.Name)
		}
		return x, nil
	case *ast.ParenExpr:
		return eval(e.X, v)
	case *ast.BinaryExpr:
		x, err := eval(e.X, v)
		y, err2 := eval(e.Y, v)
		switch e.Op {
		case token.ADD:
			x += y
		case token.SUB:
			x -= y
		case token.MUL:
			x *= y
		case token.QUO:
			x /= y
		default:
			return 0, fmt.Errorf("%s is not known", e.Op)
		}
		return x, errors.Join(err, err2)
	case *ast.CallExpr:
		return call(e, v)
	}
	return 0, fmt.Errorf("%T is not known", e)
}

func call(e *ast.CallExpr, v map[string]float64) (float64, error) {
	name, _ := e.Fun.(*ast.Ident)
	var args []float64
	for _, a := range e.Args {
		x, err := eval(a, v)
		if err != nil {
			return 0, err
		}
		args = append(args, x)
	}
	switch {
	case name != nil && name.Name == "ceil" && len(args) == 1:
		return math.Ceil(args[0]), nil
	case name != nil && name.Name == "max" && len(args) == 2:
		return max(args[0], args[1]), nil
	}
	return 0, errors.New("a function that is not known")
}

// page is CAPACITY.md.
func (m *model) page(v map[string]float64) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `# Capacity: a region of %s residents

This page is computed by `+"`deploy/capacity`"+` from `+"`deploy/capacity/model.json`"+`; a test holds it. Change a value there and run `+"`go test ./deploy/capacity -update`"+`;
`+"`-report FILE`"+` takes the measurements of a `+"`hutong bench`"+` of yours. It is an extrapolation by more than three orders of magnitude from a 2-core machine and the
embedded engine; **nothing was measured on mongod**, and the rows that say so should be replaced by figures of a pilot before anything is bought.

本页由模型计算：数量级外推自嵌入式引擎在 2 核机器上的实测，MongoDB 未实测；标注 NOT MEASURED 的假设请以试点数据替换后再采购。

## Result

| | 结果 | value | formula |
|---|---|---|---|
`, words(v["residents"]))
	for _, r := range m.Results {
		fmt.Fprintf(&b, "| %s | %s | **%s** | `%s` = %s |\n", r.Text, r.ZH, amount(v[r.Name], r.Unit), r.Name, strings.ReplaceAll(r.Formula, "*", "×"))
	}
	b.WriteString(`
Config servers, routers and NATS come on top: three config servers (2 cores, 8 GB), a mongos for each two or three nodes, three NATS servers (2 cores, 4 GB). The
primary shard also takes the commit log, some 250 bytes a resource: give it the fastest disks. Members want memory for the hot tenth of the index; a node of the
exchange wants 2 GB.

The order of commits is one document's insertion a group for the whole cluster (a majority write each): about 1 / (round trip + fsync) groups a second, up
to 2,000 operations a group. At 5 ms that is 200 groups a second, far above the writes of the busiest hour here, but it is the limit that more nodes do not raise.

## Measured

| name | value | where |
|---|---|---|
`)
	for _, i := range m.Measured {
		fmt.Fprintf(&b, "| `%s` | %s %s | %s |\n", i.Name, number(i.Value), i.Unit, i.Source)
	}
	b.WriteString("\n## Assumed\n\n| name | value | why |\n|---|---|---|\n")
	for _, i := range m.Assumed {
		fmt.Fprintf(&b, "| `%s` | %s %s | %s |\n", i.Name, number(i.Value), i.Unit, i.Source)
	}
	b.WriteString(`
## When to grow

- A shard: members over 60% full, or their cache misses saturate the disks (HutongSlow with idle nodes). Add it before 70%: chunks move at night only.
- A node: CPU over 60% in the busiest hour, or HutongBusy. The autoscaler does it.
- The embedded engine is enough for a county, by the last row of the result; there the limit is one machine's disk and the hours that a restore may take.
`)
	return b.Bytes()
}

// amount writes a result with the prefix that suits it.
func amount(v float64, unit string) string {
	if unit == "B" || unit == "B/s" {
		for _, p := range []struct {
			size float64
			name string
		}{{1e15, "P"}, {1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
			if v >= p.size {
				return number(v/p.size) + " " + p.name + unit
			}
		}
	}
	return words(v) + " " + unit
}

func words(v float64) string {
	switch {
	case v >= 1e9:
		return number(v/1e9) + " billion"
	case v >= 1e6:
		return number(v/1e6) + " million"
	case v >= 1e4:
		return number(v/1e3) + " thousand"
	}
	return number(v)
}

// number has three significant digits and no more.
func number(v float64) string {
	if v == math.Trunc(v) && v < 1e6 || v >= 1e3 && v < 1e6 {
		return strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	}
	if v >= 1e6 {
		return words(v)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func TestThePageIsCurrent(t *testing.T) {
	m := load(t)
	if *from != "" {
		measure(t, m, filepath.Join("..", "..", *from))
	}
	v, err := m.compute()
	if err != nil {
		t.Fatal(err)
	}
	want := m.page(v)
	file := filepath.Join("..", "CAPACITY.md")
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("CAPACITY.md is not what the model gives: go test ./deploy/capacity -update")
	}
}

// measure takes a benchmark's figures, and keeps them in model.json with -update.
func measure(t *testing.T, m *model, file string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r report.Report
	if err := json.Unmarshal(raw, &r); err != nil || len(r.Scales) == 0 {
		t.Fatal("no report", err)
	}
	s := &r.Scales[len(r.Scales)-1]
	for i := range m.Measured {
		in := &m.Measured[i]
		v, ok := map[string]float64{
			"json_bytes": s.Load.JSONPerResource, "disk_bytes": s.Store.BytesPerResource, "written_bytes": s.Load.Written, "event_bytes": s.Store.EventsPerResource,
			"write_cpu_ms": s.Load.CPU, "import_rate": s.Load.ResourcesPerSecond,
		}[in.Name]
		if ok && v > 0 {
			in.Value = math.Round(v*1000) / 1000
			in.Source = fmt.Sprintf("`%s`, %d resources", r.Command, s.Resources)
		}
	}
	if !*update {
		return
	}
	out, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("model.json", append(out, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// What the model says of the synthetic region is what the region is.
func TestTheRegionIsAsTheModelSays(t *testing.T) {
	const people = 2000
	records, resources, visits := 0, 0, 0
	for p := range region.Generate(region.Options{People: people, Seed: 1}) {
		if p.Person < 0 {
			continue
		}
		records++
		resources += p.Resources
		visits += bytes.Count(p.Bundle, []byte(`"resourceType":"Encounter"`))
	}
	v, err := load(t).compute()
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]float64{"records_per_person": float64(records) / people, "resources_per_visit": float64(resources) / float64(visits)} {
		if math.Abs(got-v[name]) > 0.01*got {
			t.Errorf("%s is %.3f, the model says %g", name, got, v[name])
		}
	}
}

// Twice the people need twice the disk, and a formula that is wrong is found.
func TestTheModel(t *testing.T) {
	m := load(t)
	one, err := m.compute()
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.Assumed {
		if m.Assumed[i].Name == "residents" {
			m.Assumed[i].Value *= 2
		}
	}
	two, err := m.compute()
	if err != nil {
		t.Fatal(err)
	}
	for name, factor := range map[string]float64{"total_bytes": 2, "peak_requests": 2, "read_iops": one["shards"] / two["shards"] * 2, "embedded_people": 1} {
		if math.Abs(two[name]/one[name]-factor) > 1e-9 {
			t.Errorf("%s grows by %g, not %g", name, two[name]/one[name], factor)
		}
	}
	for formula, want := range map[string]float64{"2 + 3 * (4 - 1) / 2": 6.5, "max(3, ceil(1.2))": 3, "1e3": 1000} {
		e, err := parser.ParseExpr(formula)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := eval(e, nil); got != want || err != nil {
			t.Errorf("%s = %g, %v, want %g", formula, got, err, want)
		}
	}
	for _, bad := range []string{"unknown + 1", "min(1, 2)", "1 % 2", `"x"`} {
		e, err := parser.ParseExpr(bad)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := eval(e, nil); err == nil {
			t.Errorf("%s is evaluated", bad)
		}
	}
}
