package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"hutong/cmd/hutong/bench/drive"
	"hutong/testdata/region"
)

// dice gives the draws of the i-th request.
func dice(seed uint64, i int) *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(i))) }

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

func get(path string) drive.Request { return drive.Request{Method: http.MethodGet, Path: path} }

// query escapes pairs of name and value.
func query(pairs ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(pairs[i]))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(pairs[i+1]))
	}
	return b.String()
}

// entries is what a search that finds something answers with.
var entries = []byte(`"entry"`)

// shape is a kind of request: there are so many different ones, of which at gives
// each.
type shape struct {
	count func(s *sample) int
	at    func(s *sample, k int) drive.Request
}

// pick gives one at random.
func (of shape) pick(r *rand.Rand, s *sample) drive.Request { return of.at(s, r.IntN(of.count(s))) }

// reads are the workloads that change nothing.
func reads() []workload {
	return []workload{
		read("read", readOne),
		{name: cold, unit: "requests", clients: 8, grows: true, prepare: readCold},
		read("patient-code", patientCode),
		read("date-range", dateRange),
		read("chain", chain),
		read("has", has(false)),
		read("has-rare", has(true)).growing(),
		read("include", include),
		read("post-search", postSearch),
		read("search-mix", patientCode, dateRange, chain, include, postSearch),
		{name: "count-token", unit: "rows", clients: 2, grows: true, warm: some, prepare: counting(func(s *sample) string { return query("code", s.codes[0]) })},
		{name: "count-date", unit: "rows", clients: 2, grows: true, warm: some, prepare: counting(func(*sample) string { return query("date", "ge2023") })},
		read("date-total", dateTotal).growing(),
		{name: "everything", unit: "resources", clients: 1, warm: some, prepare: everything},
	}
}

// some requests warm up one that is always the same.
func some(*sample) int { return 20 }

// read is a workload of requests of these shapes, evenly. It first sends each
// different request once, by which it is warmed up.
func read(name string, of ...shape) workload {
	all := func(s *sample) (n int) {
		for i := range of {
			n += of[i].count(s)
		}
		return n
	}
	prepare := func(_ context.Context, t *target, seed uint64) (func(int) drive.Request, float64, error) {
		return func(i int) drive.Request {
			for k := range of {
				n := of[k].count(t.sample)
				if i < n {
					return of[k].at(t.sample, i)
				}
				i -= n
			}
			r := dice(seed, i)
			return pick(r, of).pick(r, t.sample)
		}, 1, nil
	}
	return workload{name: name, unit: "requests", clients: 8, warm: all, prepare: prepare}
}

// growing marks a workload whose answer's work grows with the region.
func (w workload) growing() workload {
	w.grows = true
	return w
}

// readOne asks for any resource of a patient who is treated.
var readOne = shape{
	func(s *sample) int { return len(s.reads) },
	func(s *sample, k int) drive.Request { return get("/" + s.reads[k]) },
}

// cold is the workload that asks for what no cache holds.
const cold = "read-cold"

// readCold reads one resource of a stranger after the other: as long as there are
// strangers, nothing that was read before.
func readCold(_ context.Context, t *target, seed uint64) (func(int) drive.Request, float64, error) {
	from := t.sample.strangers
	if len(from) == 0 {
		return nil, 0, errors.New("nobody is a stranger: take more patients")
	}
	return func(i int) drive.Request { return get("/" + from[(int(seed%1000)+t.met+i)%len(from)]) }, 1, nil
}

func patientCodeQuery(p patientWith) string {
	return query("patient", "Patient/"+p.id, "code", p.code, "_sort", "-date", "_count", "20")
}

func pairs(s *sample) int { return len(s.pairs) }

var patientCode = shape{pairs, func(s *sample, k int) drive.Request {
	req := get("/Observation?" + patientCodeQuery(s.pairs[k]))
	req.Has = entries
	return req
}}

var postSearch = shape{pairs, func(s *sample, k int) drive.Request {
	return drive.Request{
		Method: http.MethodPost, Path: "/Observation/_search", Type: "application/x-www-form-urlencoded", Body: []byte(patientCodeQuery(s.pairs[k])), Has: entries,
	}
}}

// dateRange asks for the newest Observations of 30 days of the last three years:
// in a region of any size a page of 20, and no total that nobody asked for.
var dateRange = shape{days, func(_ *sample, k int) drive.Request { return get(during(k, 30)) }}

// dateTotal asks for those of one day and for how many there are.
var dateTotal = shape{days, func(_ *sample, k int) drive.Request { return get(during(k, 1) + "&_total=accurate") }}

func days(*sample) int { return 3 * 365 }

// during asks for some days that begin k days before the last month.
func during(k, days int) string {
	day := region.DefaultNow().AddDate(0, 0, -40-k)
	return "/Observation?" + query("date", "ge"+day.Format(time.DateOnly), "date", "lt"+day.AddDate(0, 0, days).Format(time.DateOnly), "_count", "20")
}

func treated(s *sample) int { return len(s.patients) }

var chain = shape{treated, func(s *sample, k int) drive.Request {
	req := get("/Observation?" + query("patient.identifier", s.patients[k].identifier, "_count", "20"))
	req.Has = entries
	return req
}}

// has asks who was ever measured for something, and is of one sex. What many have
// fills a page in a region of any size after as many patients; what few have (rare),
// if at all, after more in a larger one.
func has(rare bool) shape {
	codes := func(s *sample) []string {
		i := slices.IndexFunc(s.codes, func(c string) bool { return s.count[c] < len(s.patients)/4 })
		switch {
		case i <= 0: // of a few patients
			return s.codes
		case rare:
			return s.codes[i:]
		}
		return s.codes[:i]
	}
	return shape{
		func(s *sample) int { return 2 * len(codes(s)) },
		func(s *sample, k int) drive.Request {
			return get("/Patient?" + query("_has:Observation:patient:code", codes(s)[k/2], "gender", []string{"male", "female"}[k%2], "_count", "20"))
		},
	}
}

var include = shape{treated, func(s *sample, k int) drive.Request {
	req := get("/Observation?" + query("patient", "Patient/"+s.patients[k].id, "_include", "Observation:encounter",
		"_include", "Observation:patient", "_count", "20"))
	req.Has = entries
	return req
}}

// counting asks for the total of one filter, again and again; a request counts
// the rows that it found.
func counting(filter func(*sample) string) func(context.Context, *target, uint64) (func(int) drive.Request, float64, error) {
	return func(ctx context.Context, t *target, _ uint64) (func(int) drive.Request, float64, error) {
		req := get("/Observation?" + filter(t.sample) + "&_summary=count")
		total, err := t.total(ctx, req)
		if err == nil && total == 0 {
			err = fmt.Errorf("%s finds nothing", req.Path)
		}
		return func(int) drive.Request { return req }, float64(total), err
	}
}

// total asks a search for its total.
func (t *target) total(ctx context.Context, req drive.Request) (int, error) {
	a, err := t.client.Conn().Do(ctx, &req)
	if err != nil {
		return 0, err
	}
	var b struct{ Total *int }
	if err := json.Unmarshal(a.Body, &b); err != nil {
		return 0, err
	}
	if b.Total == nil {
		return 0, fmt.Errorf("%s %s: no total", req.Method, req.Path)
	}
	return *b.Total, nil
}

// fullID is a patient with exactly a thousand resources: the Patient and 999
// Observations.
const (
	fullID = "bench-everything"
	full   = 1000
)

func everything(ctx context.Context, t *target, _ uint64) (func(int) drive.Request, float64, error) {
	conn := t.client.Conn()
	body := fullPatient(t.org)
	if _, err := conn.Do(ctx, &drive.Request{Method: http.MethodPost, Body: body}); err != nil {
		return nil, 0, err
	}
	req := get("/Patient/" + fullID + "/$everything?_count=1000")
	req.Has = []byte(`/bench-everything-999"`)
	return func(int) drive.Request { return req }, full, nil
}
