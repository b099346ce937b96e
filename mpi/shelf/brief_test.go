package shelf_test

import (
	"context"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"hutong/mpi/block"
	"hutong/mpi/shelf"
)

// TestBriefs: the newest brief is given, whatever came first, and none that is in
// doubt; changes that come before the stored ones are in are newer.
func TestBriefs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := shelf.New()
	if err := s.Briefs(dir, func(err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("the file has a name: %v, %v", left, err)
	}
	body := func(text string) func() []byte { return func() []byte { return []byte(text) } }
	s.PutBrief("early", 3, body("early 3"))
	s.PutBrief("early", 2, body("early 2"))
	s.DoubtBrief("doubted early")
	s.PutBrief("doubted early", 9, body("x"))
	err := s.Fill(t.Context(), func(_ context.Context, do func(id, value []byte) error) error {
		for _, id := range []string{"early", "doubted early", "stored", "doubted"} {
			if err := do([]byte(id), []byte(id+" 1")); err != nil {
				return err
			}
		}
		return nil
	}, func(_ string, value []byte, into *shelf.Stored) error {
		into.Revision, into.Brief = 1, append(into.Brief, value...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Loaded()
	s.Put("new", nil, []block.Key{})
	s.PutBrief("new", 2, body("new 2"))
	s.PutBrief("new", 1, body("new 1"))
	s.PutBrief("early", 4, body("early 4"))
	s.DoubtBrief("doubted")
	s.PutBrief("doubted", 7, body("x"))
	for id, want := range map[string]string{"early": "early 4", "doubted early": "", "stored": "stored 1", "doubted": "", "new": "new 2", "unknown": ""} {
		got, place := s.Brief(s.Number(id), nil)
		if (place != 0) != (want != "") || string(got) != want || place != s.Place(s.Number(id)) {
			t.Errorf("%s: %q at %d", id, got, place)
		}
	}
}

// TestBriefsBesideReaders: who reads while briefs are replaced, whose room others take
// at once, gets the brief of the record that he asked for, or none.
func TestBriefsBesideReaders(t *testing.T) {
	t.Parallel()
	s := shelf.New()
	if err := s.Briefs(t.TempDir(), func(err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	s.Loaded()
	ids := []string{"a", "b", "c", "d"}
	for _, id := range ids {
		s.Put(id, nil, nil)
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	var found atomic.Int64
	for range 2 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				id := ids[i%len(ids)]
				if got, place := s.Brief(s.Number(id), nil); place != 0 {
					found.Add(1)
					if strings.Trim(string(got), id) != "" {
						t.Errorf("of %s: %q", id, got)
						return
					}
				}
			}
		})
	}
	for i := range 4000 {
		id := ids[i*7%len(ids)]
		s.PutBrief(id, uint64(i), func() []byte { return []byte(strings.Repeat(id, 1+i%40)) })
	}
	close(stop)
	wg.Wait()
	if found.Load() == 0 {
		t.Error("nothing was read")
	}
}
