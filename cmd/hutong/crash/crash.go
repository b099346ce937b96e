// Package crash is `hutong crash`: it kills a serving exchange (SIGKILL) at
// random moments under mixed load, again and again, and proves after each
// restart that nothing acknowledged was lost, nothing is there in part, and no
// event is missing or invented. It also races conditional creates.
package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Cmd is the command line.
type Cmd struct {
	Rounds  int    `default:"1000" help:"How often the exchange is killed."`
	Life    int    `default:"50" help:"Kills that one data directory survives before the next begins."`
	Every   int    `default:"10" help:"Rounds between proofs of the whole store and audit chain; the last round of each life is always proven."`
	Workers int    `default:"6" help:"Clients that write at once."`
	Races   int    `default:"0" help:"Rounds of identical conditional creates at once, after the kills."`
	Racers  int    `default:"64" help:"Requests of one such round."`
	Lanes   int    `default:"4" help:"Rounds that race beside each other."`
	Seed    uint64 `default:"1" help:"Of everything that is random, but for the machine's own timing."`
	Dir     string `type:"path" help:"Folder for data directories; default is a temporary one." placeholder:"DIR"`
	Out     string `type:"path" help:"Folder for crash.json and crash.md." placeholder:"DIR"`
}

// Record is what a run leaves behind.
type Record struct {
	Command  string    `json:"command"`
	Version  string    `json:"version"`
	Started  time.Time `json:"started"`
	Seconds  float64   `json:"seconds"`
	Kills    int       `json:"kills"`
	Acked    Counts    `json:"acknowledged"`
	Unknown  int       `json:"unanswered"` // requests that the kills cut off
	Events   int       `json:"events"`
	Proofs   int       `json:"proofs"` // of the whole store and audit chain
	Audited  uint64    `json:"auditRecords"`
	Recovery string    `json:"slowestRecovery"` // from start to ready
	Races    *Raced    `json:"races,omitempty"`
	Faults   []string  `json:"faults"`
}

// Counts are requests by kind.
type Counts struct {
	Bundles  int `json:"bundles"`
	Updates  int `json:"updates"`
	Deletes  int `json:"deletes"`
	Creates  int `json:"conditionalCreates"`
	Sessions int `json:"tokensAndRevocations"` // writes of spaces
}

func (c *Counts) add(o Counts) {
	c.Bundles += o.Bundles
	c.Updates += o.Updates
	c.Deletes += o.Deletes
	c.Creates += o.Creates
	c.Sessions += o.Sessions
}

// Run kills, proves and writes the record; the exit status is the answer.
func (c *Cmd) Run(ctx context.Context) (err error) {
	if c.Dir == "" {
		if c.Dir, err = os.MkdirTemp("", "hutong-crash-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(c.Dir)) }()
	}
	r, err := c.run(ctx, os.Stderr)
	if err != nil {
		return err
	}
	if err := c.write(r); err != nil {
		return err
	}
	if len(r.Faults) > 0 {
		return errors.New("the exchange did not survive: see the faults")
	}
	return nil
}

// run does the rounds; the error is of the harness, faults are in the record.
func (c *Cmd) run(ctx context.Context, progress io.Writer) (*Record, error) {
	r := &Record{Command: "hutong " + strings.Join(os.Args[1:], " "), Started: time.Now().UTC().Truncate(time.Second), Faults: []string{}}
	r.Version = version()
	start := time.Now()
	slowest := time.Duration(0)
	for n := 0; r.Kills < c.Rounds && len(r.Faults) == 0; n++ {
		l, err := newLife(ctx, filepath.Join(c.Dir, fmt.Sprintf("life-%d", n)), rand.New(rand.NewPCG(c.Seed, uint64(n))), c.Workers)
		if err != nil {
			return r, err
		}
		for range min(c.Life, c.Rounds-r.Kills) {
			if err := l.round(ctx); err != nil {
				return r, err
			}
			r.Kills++
			whole := r.Kills%c.Every == 0 || l.rounds == c.Life || r.Kills == c.Rounds
			if err := l.verify(ctx, whole); err != nil {
				return r, err
			}
			if whole {
				r.Proofs++
			}
			fmt.Fprintf(progress, "crash: round %d of %d: %d bundles, %d updates, %d events, %d faults, %.1f s a round\n",
				r.Kills, c.Rounds, l.acked.Bundles, l.acked.Updates, len(l.events), len(l.faults), time.Since(start).Seconds()/float64(r.Kills))
			if len(l.faults) > 0 {
				break
			}
		}
		r.take(l)
		slowest = max(slowest, l.slowest)
		if len(l.faults) == 0 {
			if err := os.RemoveAll(l.dir); err != nil {
				return r, err
			}
		}
	}
	r.Recovery = slowest.Round(time.Millisecond).String()
	r.Seconds = time.Since(start).Round(time.Millisecond).Seconds()
	if c.Races == 0 || len(r.Faults) > 0 {
		return r, nil
	}
	if err := c.write(r); err != nil { // what the kills have shown outlives races that are broken off
		return r, err
	}
	raced, err := c.race(ctx, progress)
	if err != nil {
		return r, err
	}
	r.Races, r.Faults = raced, append(r.Faults, raced.Faults...)
	r.Seconds = time.Since(start).Round(time.Millisecond).Seconds()
	return r, nil
}

// take adds what a life has seen.
func (r *Record) take(l *life) {
	r.Acked.add(l.acked)
	r.Unknown += l.unknown
	r.Events += len(l.events)
	r.Audited += l.audited
	r.Faults = append(r.Faults, l.faults...)
}

// write leaves the record as JSON and Markdown, and prints the first.
func (c *Cmd) write(r *Record) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	fmt.Println(string(raw))
	if c.Out == "" {
		return nil
	}
	return errors.Join(
		os.MkdirAll(c.Out, 0o755),
		os.WriteFile(filepath.Join(c.Out, "crash.json"), append(raw, '\n'), 0o644),
		os.WriteFile(filepath.Join(c.Out, "crash.md"), r.markdown(), 0o644),
	)
}

func (r *Record) markdown() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# Crash record\n\n`%s`, version %s, %s, %.0f s.\n\n", r.Command, r.Version, r.Started.Format(time.RFC3339), r.Seconds)
	b.WriteString("| | |\n|---|---|\n")
	row := func(what string, v any) { fmt.Fprintf(&b, "| %s | %v |\n", what, v) }
	row("kills (SIGKILL under load)", r.Kills)
	row("acknowledged transaction bundles, each whole after every restart", r.Acked.Bundles)
	row("acknowledged updates", r.Acked.Updates)
	row("acknowledged deletions", r.Acked.Deletes)
	row("acknowledged conditional creates, one resource each", r.Acked.Creates)
	row("acknowledged tokens and revocations (writes of spaces)", r.Acked.Sessions)
	row("requests that a kill cut off", r.Unknown)
	row("events, none lost and none of what was not committed", r.Events)
	row("proofs of the whole store and audit chain", r.Proofs)
	row("audit records in proven chains", r.Audited)
	row("slowest recovery, start to ready", r.Recovery)
	if r.Races != nil {
		row(fmt.Sprintf("rounds of %d identical conditional creates at once, one resource each", r.Races.Racers), r.Races.Rounds)
	}
	row("faults", len(r.Faults))
	for _, f := range r.Faults {
		fmt.Fprintf(&b, "\n- %s", f)
	}
	b.WriteByte('\n')
	return []byte(b.String())
}
