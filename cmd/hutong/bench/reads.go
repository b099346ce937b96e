package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
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

// shape makes one request from the sample.
type shape func(r *rand.Rand, s *sample) drive.Request

// reads are the workloads that change nothing.
func reads() []workload {
	return []workload{
		read("read", readOne),
		{name: "read-cold", unit: "requests", clients: 8, cold: true, grows: true, prepare: readCold},
		read("patient-code", patientCode),
		read("date-range", dateRange),
		read("chain", chain),
		read("has", has(func(part float64) bool { return part >= 0.25 })),
		read("has-rare", has(func(part float64) bool { return part < 0.25 })).growing(),
		read("include", include),
		read("post-search", postSearch),
		read("search-mix", mixed(patientCode, dateRange, chain, include, postSearch)),
		{name: "count-token", unit: "rows", clients: 2, grows: true, prepare: counting(func(s *sample) string { return query("code", s.codes[0]) })},
		{name: "count-date", unit: "rows", clients: 2, grows: true, prepare: counting(func(*sample) string { return query("date", "ge2023") })},
		read("date-total", dateTotal).growing(),
		{name: "everything", unit: "resources", clients: 1, prepare: everything},
	}
}

// read is a workload of requests of one shape.
func read(name string, of shape) workload {
	return workload{name: name, unit: "requests", clients: 8, prepare: func(_ context.Context, t *target, seed uint64) (func(int) drive.Request, float64, error) {
		return func(i int) drive.Request { return of(dice(seed, i), t.sample) }, 1, nil
	}}
}

// growing marks a workload whose answer's work grows with the region.
func (w workload) growing() workload {
	w.grows = true
	return w
}

func readOne(r *rand.Rand, s *sample) drive.Request {
	return get("/" + pick(r, pick(r, s.patients).reads))
}

// readCold reads one resource of a stranger after the other: as long as there are
// strangers, nothing that was read before.
func readCold(_ context.Context, t *target, seed uint64) (func(int) drive.Request, float64, error) {
	from := t.sample.strangers
	if len(from) == 0 {
		return nil, 0, errors.New("nobody is a stranger: take more patients")
	}
	return func(i int) drive.Request { return get("/" + from[(int(seed%1000)+t.met+i)%len(from)]) }, 1, nil
}

func patientCodeQuery(r *rand.Rand, s *sample) string {
	p := pick(r, s.patients)
	return query("patient", "Patient/"+p.id, "code", pick(r, p.codes), "_sort", "-date", "_count", "20")
}

func patientCode(r *rand.Rand, s *sample) drive.Request {
	req := get("/Observation?" + patientCodeQuery(r, s))
	req.Has = entries
	return req
}

func postSearch(r *rand.Rand, s *sample) drive.Request {
	return drive.Request{
		Method: http.MethodPost, Path: "/Observation/_search", Type: "application/x-www-form-urlencoded", Body: []byte(patientCodeQuery(r, s)), Has: entries,
	}
}

// dateRange asks for the newest Observations of 30 days of the last three years:
// in a region of any size a page of 20, and no total that nobody asked for.
func dateRange(r *rand.Rand, _ *sample) drive.Request { return get(during(r, 30)) }

// dateTotal asks for those of one day and for how many there are.
func dateTotal(r *rand.Rand, _ *sample) drive.Request { return get(during(r, 1) + "&_total=accurate") }

func during(r *rand.Rand, days int) string {
	day := region.DefaultNow().AddDate(0, 0, -40-r.IntN(3*365))
	return "/Observation?" + query("date", "ge"+day.Format(time.DateOnly), "date", "lt"+day.AddDate(0, 0, days).Format(time.DateOnly), "_count", "20")
}

func chain(r *rand.Rand, s *sample) drive.Request {
	req := get("/Observation?" + query("patient.identifier", pick(r, s.patients).identifier, "_count", "20"))
	req.Has = entries
	return req
}

// has asks who was ever measured for something, and is of one sex, for codes that
// such a part of the patients has. What many have fills a page in a region of any
// size after as many patients; what few have, if at all, after more in a larger one.
func has(wanted func(part float64) bool) shape {
	return func(r *rand.Rand, s *sample) drive.Request {
		var codes []string
		for _, c := range s.codes {
			if wanted(float64(s.count[c]) / float64(len(s.patients))) {
				codes = append(codes, c)
			}
		}
		if len(codes) == 0 {
			codes = s.codes // of a few patients
		}
		return get("/Patient?" + query("_has:Observation:patient:code", pick(r, codes), "gender", pick(r, []string{"male", "female"}), "_count", "20"))
	}
}

func include(r *rand.Rand, s *sample) drive.Request {
	req := get("/Observation?" + query("patient", "Patient/"+pick(r, s.patients).id, "_include", "Observation:encounter",
		"_include", "Observation:patient", "_count", "20"))
	req.Has = entries
	return req
}

// mixed takes turns at random.
func mixed(of ...shape) shape {
	return func(r *rand.Rand, s *sample) drive.Request { return pick(r, of)(r, s) }
}

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
