package announce_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"hutong/fhir"
	"hutong/fhir/store/disk"
	"hutong/mpi"
	"hutong/mpi/announce"
)

const body = `{"resourceType":"Patient","id":"%s","name":[{"text":"诸葛雨桐"}],"birthDate":"1980-05-01","gender":"female","identifier":[{"system":"urn:oid:2.16.156.10011.1.3","value":"500112198005010028"}]}`

// stream keeps what is published; while down it keeps nothing, and every third
// publication is kept but not acknowledged.
type stream struct {
	mu   sync.Mutex
	down bool
	n    int
	kept []announce.Event
	text []string
}

func (s *stream) Publish(_ context.Context, word, id string, payload []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errors.New("no stream")
	}
	var e announce.Event
	if err := json.Unmarshal(payload, &e); err != nil || e.ID != id || e.Change != word {
		return fmt.Errorf("%s %s: %s: %w", word, id, payload, err)
	}
	s.kept, s.text = append(s.kept, e), append(s.text, word+string(payload))
	if s.n++; s.n%3 == 0 {
		return errors.New("the acknowledgement is lost")
	}
	return nil
}

func TestTail(t *testing.T) {
	t.Parallel()
	st, err := disk.Open("mpi", disk.Options{VFS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	out := &stream{down: true}
	tail := announce.New(zerolog.Nop())
	read := func(_ context.Context, k fhir.Key) (fhir.Resource, error) {
		return fhir.Resource{Version: fhir.Version{Key: k, VersionID: 1, Method: fhir.Created}, Body: fhir.Body{Raw: fmt.Appendf(nil, body, k.ID)}, Facts: fhir.Facts{Custodian: "org-a"}}, nil
	}
	x, err := mpi.Open(t.Context(), mpi.Config{Space: st.Space("mpi"), Read: read, Changed: tail.Wake})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := x.Feed(t.Context(), fhir.Key{Type: "Patient", ID: fmt.Sprintf("p%d", i)}, 1); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := announce.Drain(t.Context(), x, out); n != 0 || err == nil {
		t.Errorf("without a stream: %d, %v", n, err)
	}
	out.down = false
	for range 10 { // a lost acknowledgement ends a batch, and the next takes up there
		if n, err := announce.Drain(t.Context(), x, out); n == 0 && err == nil {
			break
		}
	}
	var ids []string
	for _, e := range out.kept {
		ids = append(ids, e.ID)
	}
	if once := slices.Compact(slices.Sorted(slices.Values(ids))); len(once) != 5 || !slices.IsSorted(ids) || len(ids) <= 5 {
		t.Errorf("announced %v: every one at least once, in order, the same id at a repeat", ids)
	}
	for _, s := range out.text {
		if strings.Contains(s, "诸葛") || strings.Contains(s, "500112") || strings.Contains(s, "1980") {
			t.Errorf("an announcement tells of a person: %s", s)
		}
	}
	// A running tail is woken by a change.
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); tail.Run(ctx, x, out) }()
	if err := x.Feed(t.Context(), fhir.Key{Type: "Patient", ID: "p9"}, 1); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		out.mu.Lock()
		last := out.kept[len(out.kept)-1]
		out.mu.Unlock()
		if slices.Contains(last.Patients, "Patient/p9") && last.Change == "link" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the change was not announced: %+v", last)
		}
	}
	stop()
	<-done
}
