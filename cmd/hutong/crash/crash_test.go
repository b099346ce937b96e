package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"hutong/cmd/hutong/exchange"
	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/store"
)

// TestVerifyFinds: each kind of loss that the harness is for is a fault.
func TestVerifyFinds(t *testing.T) {
	for name, lose := range map[string]struct {
		lose func(l *life)
		want string
	}{
		"nothing":          {func(*life) {}, ""},
		"bundle":           {func(l *life) { l.bundles["none"] = &bundle{size: 2, acked: 1} }, "was acknowledged with 2"},
		"part of a bundle": {func(l *life) { l.bundles["half"] = &bundle{size: 3} }, "in part: 1 of 3"},
		"update":           {func(l *life) { l.counters["c0"] = &counter{acked: 9, tried: 9} }, "holds update 4"},
		"phantom update":   {func(l *life) { l.counters["c0"] = &counter{acked: 1, tried: 3} }, "holds update 4"},
		"deletion":         {func(l *life) { l.deletes["c0"] = &deletion{put: true, tried: true, gone: true} }, "there again"},
		"create":           {func(l *life) { l.creates["none"] = &created{acked: 1, ids: map[string]bool{"x": true}} }, "1 acknowledged, 0 resources"},
		"two of a create":  {func(l *life) { l.creates["twin"] = &created{acked: 2, ids: map[string]bool{}} }, "2 acknowledged, 2 resources"},
		"phantom event": {func(l *life) {
			l.events[announced{fhir.Key{Type: "Patient", ID: "x"}, 1, 1, fhir.Updated}] = true
		}, "was not committed"},
		"lost event": {func(l *life) {
			l.log[announced{fhir.Key{Type: "Patient", ID: "x"}, 1, 1, fhir.Updated}] = 1
		}, "events are missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := newLife(t.Context(), t.TempDir(), rand.New(rand.NewPCG(1, 1)), 1)
			if err != nil {
				t.Fatal(err)
			}
			s := fill(t, l)
			lose.lose(l)
			if err := l.holds(t.Context(), s, true); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(name, "event") || name == "nothing" {
				l.silence = time.Second
				if err := l.heard(t.Context(), s); err != nil {
					t.Fatal(err)
				}
			}
			if got := strings.Join(l.faults, "\n"); (lose.want == "") != (got == "") || !strings.Contains(got, lose.want) {
				t.Errorf("faults %q, want %q", got, lose.want)
			}
		})
	}
}

// fill writes what the cases above misread.
func fill(t *testing.T, l *life) store.Store {
	t.Helper()
	s, err := exchange.OpenEngine(t.Context(), exchange.EngineDir(l.dir), l.settings(), zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	put := func(id, family, value string) {
		d, err := codec.Parse(fmt.Appendf(nil, patientBody, id, family, value), codec.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		op := store.Op{Key: fhir.Key{Type: "Patient", ID: id}, Method: fhir.Updated}
		if op.Body, err = codec.NewBody(d, 0, codec.BodyOptions{}); err != nil {
			t.Fatal(err)
		}
		if op.Entries, op.Facts, err = s.Extract(op.Body, op.Key); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Commit(context.Background(), store.Tx{Ops: []store.Op{op}}); err != nil {
			t.Fatal(err)
		}
	}
	put("c0", "n4", "c0")
	put("half.0", "half", "half")
	put("t1", "x", "twin")
	put("t2", "x", "twin")
	return s
}

// TestRecord: the record is whole in both forms.
func TestRecord(t *testing.T) {
	r := &Record{Kills: 3, Races: &Raced{Rounds: 4, Racers: 64}, Faults: []string{"x is lost"}}
	if md := string(r.markdown()); !strings.Contains(md, "| kills (SIGKILL under load) | 3 |") || !strings.Contains(md, "- x is lost") || !strings.Contains(md, "| 4 |") {
		t.Error(md)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}
