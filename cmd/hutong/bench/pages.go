package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"hutong/cmd/hutong/bench/drive"
	"hutong/cmd/hutong/bench/report"
)

// walk is how long going from page to page may take.
const walk = time.Minute

// pages goes from page to page by the links, then asks for the first and the
// last in turns for the given time. Where the way there takes too long it goes
// as far as it gets, and the figures say how far that was.
func pages(ctx context.Context, t *target, lastPage int, length time.Duration) (report.Result, error) {
	out := report.Result{Workload: "pages", Unit: "requests", Per: 1, Clients: 1}
	conn := t.client.Conn()
	first := "/Observation?status=final&_count=20"
	path, reached := first, 0
	from, all := t.meter(), drive.NewLatencies()
	for at := path; at != "" && reached < lastPage && time.Since(from.start) < walk; reached++ {
		begun := time.Now()
		req := get(at)
		a, err := conn.Do(ctx, &req)
		if err != nil {
			return out, fmt.Errorf("page %d: %w", reached+1, err)
		}
		all.Record(time.Since(begun))
		path = at
		if at, err = t.following(a.Body); err != nil {
			return out, err
		}
	}
	if reached < 2 {
		return out, errors.New("the search has one page")
	}
	out.Closed = from.stretch(reached)
	out.Closed.Latency = all.Percentiles()
	one, last := drive.NewLatencies(), drive.NewLatencies()
	for end := time.Now().Add(length); time.Now().Before(end); {
		for _, p := range []struct {
			path string
			into *drive.Latencies
		}{{first, one}, {path, last}} {
			begun, req := time.Now(), get(p.path)
			if _, err := conn.Do(ctx, &req); err != nil {
				return out, err
			}
			p.into.Record(time.Since(begun))
		}
	}
	a, b := one.Percentiles().P50, last.Percentiles().P50
	out.Figures = report.Figures{"page": float64(reached), "firstP50Ms": a, "lastP50Ms": b, "ratio": b / a}
	out.RSS = t.usage().RSS
	return out, nil
}

// following is the path of the next page, "" on the last.
func (t *target) following(body []byte) (string, error) {
	var b struct {
		Link []struct{ Relation, URL string }
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return "", err
	}
	for _, l := range b.Link {
		if l.Relation == "next" {
			return t.client.Relative(l.URL)
		}
	}
	return "", nil
}

// racers send the same conditional create at once.
const racers = 64

// race lets 64 identical conditional creates meet, round after round, and
// counts the rounds that did not leave exactly one resource.
func race(ctx context.Context, t *target, seed uint64, length time.Duration) (report.Result, error) {
	out := report.Result{Workload: "create-race", Unit: "requests", Per: 1, Clients: racers}
	latencies, wrong, rounds := drive.NewLatencies(), 0, 0
	from := t.meter()
	conns := make([]*drive.Conn, racers)
	for i := range conns {
		conns[i] = t.client.Conn()
	}
	for ; rounds == 0 || time.Since(from.start) < length; rounds++ {
		req, search := contested(t, seed, rounds)
		for _, l := range meet(ctx, conns, req, &out) {
			latencies.Record(l)
		}
		n, err := t.total(ctx, search)
		if err != nil {
			return out, err
		}
		if n != 1 {
			wrong++
		}
	}
	failed := out.Closed.Failed
	out.Closed = from.stretch(rounds*racers - failed)
	out.Closed.Failed, out.Closed.Latency = failed+wrong, latencies.Percentiles()
	if wrong > 0 && out.FirstError == "" {
		out.FirstError = fmt.Sprintf("%d of %d rounds did not leave exactly one resource", wrong, rounds)
	}
	out.Figures = report.Figures{"rounds": float64(rounds), "roundsWithoutExactlyOne": float64(wrong)}
	out.RSS = t.usage().RSS
	return out, nil
}

// contested is the create of a round and the search for what it left.
func contested(t *target, seed uint64, round int) (create, search drive.Request) {
	mrn := fmt.Sprintf("RACE%d-%d", t.epoch, round)
	var b bytes.Buffer
	somebody(&b, dice(seed, round), "", t.org, mrn)
	by := query("identifier", identifierSystem(t.org)+"|"+mrn)
	create = drive.Request{
		Method: http.MethodPost, Path: "/Patient", Body: b.Bytes(),
		Header: []string{"If-None-Exist: " + by, "Prefer: return=minimal"},
	}
	return create, get("/Patient?" + by + "&_summary=count")
}

// meet sends the request by all connections at once; 201 and 200 are both well.
func meet(ctx context.Context, conns []*drive.Conn, req drive.Request, out *report.Result) []time.Duration {
	took := make([]time.Duration, len(conns))
	errs := make([]error, len(conns))
	gate := make(chan struct{})
	var wg sync.WaitGroup
	for i, conn := range conns {
		wg.Go(func() {
			<-gate
			begun := time.Now()
			a, err := conn.Do(ctx, &req)
			if err != nil && a.Status != http.StatusCreated {
				errs[i] = err
			}
			took[i] = time.Since(begun)
		})
	}
	close(gate)
	wg.Wait()
	var fine []time.Duration
	for i, err := range errs {
		if err == nil {
			fine = append(fine, took[i])
			continue
		}
		out.Closed.Failed++
		if out.FirstError == "" {
			out.FirstError = err.Error()
		}
	}
	return fine
}
