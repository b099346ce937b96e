package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"hutong/cmd/hutong/bench/drive"
	"hutong/cmd/hutong/bench/report"
	"hutong/fhir/event"
)

// broker is a NATS server with JetStream on a loopback port, to which the
// exchange announces and where the benchmark listens.
func broker(dir string) (*natsserver.Server, error) {
	s, err := natsserver.NewServer(&natsserver.Options{
		ServerName: "bench", Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true,
	})
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		s.Shutdown()
		return nil, errors.New("the NATS server did not start")
	}
	return s, nil
}

// eventRate is at which the creates come whose events are timed: far from
// saturation, as the floor means the delay, not the throughput.
const eventRate = 200

// events creates at a constant rate and times each event from the commit's
// stamp, which the event carries, to its arrival here. The stamp is taken
// before the commit reaches the disk, so that the sync counts, too.
func events(ctx context.Context, t *target, seed uint64, url string, length time.Duration) (report.Result, error) {
	out := report.Result{Workload: "events", Unit: "requests", Per: 1, Clients: inFlight}
	conn, err := nats.Connect(url, nats.Name("bench"))
	if err != nil {
		return out, err
	}
	defer conn.Close()
	heard := &ear{latencies: drive.NewLatencies(), since: time.Now()}
	if _, err := conn.Subscribe(event.Subject+"Observation", heard.hear); err != nil {
		return out, err
	}
	if err := conn.Flush(); err != nil {
		return out, err
	}
	next, _, err := creating(ctx, t, seed)
	if err != nil {
		return out, err
	}
	r := &run{t: t, next: next, result: out}
	r.stretch(ctx, &r.paced, func() *drive.Outcome {
		return drive.Open(ctx, r.open, eventRate, inFlight, 0, length, length+10*time.Second)
	})
	heard.wait(ctx, r.paced.sum.Answered, 10*time.Second)
	out = r.finish(eventRate)
	n, p := heard.read()
	out.Figures = report.Figures{"events": float64(n), "p50": p.P50, "p95": p.P95, "p99": p.P99, "max": p.Max}
	if n < out.Open.Answered {
		out.FirstError = fmt.Sprintf("%d creates were acknowledged, %d events came", out.Open.Answered, n)
		out.Open.Failed += out.Open.Answered - n
	}
	return out, nil
}

// caughtUp waits until the server has announced all that it committed: to a
// stream that it does not know it announces everything again. A server that
// does not tell is not waited for.
func caughtUp(ctx context.Context, url string, most time.Duration) error {
	zeros := 0 // in a row: right after the start nothing is known to be late
	for end := time.Now().Add(most); ; {
		lag, err := figure(ctx, url+"/metrics", "hutong_event_tail_lag_seconds")
		if err != nil {
			return err
		}
		if lag == 0 {
			zeros++
		} else {
			zeros = 0
		}
		if zeros == 5 {
			return nil
		}
		if time.Now().After(end) {
			return errors.New("the server does not catch up with its events")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// ear times what it hears.
type ear struct {
	since     time.Time // older events are not ours
	mu        sync.Mutex
	latencies *drive.Latencies
}

func (e *ear) hear(m *nats.Msg) {
	now := time.Now()
	events, err := event.Read(m.Data)
	if err != nil {
		return // what cannot be read is counted as missing
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range events {
		if at := events[i].LastUpdated; !at.Before(e.since) {
			e.latencies.Record(now.Sub(at))
		}
	}
}

func (e *ear) read() (int, drive.Percentiles) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.latencies.Count(), e.latencies.Percentiles()
}

// wait gives the last events time to arrive.
func (e *ear) wait(ctx context.Context, want int, most time.Duration) {
	for end := time.Now().Add(most); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		if n, _ := e.read(); n >= want {
			return
		}
	}
}
