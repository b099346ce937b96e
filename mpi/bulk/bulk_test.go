package bulk_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"hutong/mpi/bulk"
)

// TestSorter: what several goroutines add comes out in order, each key once, over
// many runs, and no file is left.
func TestSorter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := bulk.NewSorter(dir)
	var wg sync.WaitGroup
	value := bytes.Repeat([]byte("v"), 2000)
	for part := range 3 {
		wg.Go(func() {
			a, r := s.Adder(), rand.New(rand.NewPCG(uint64(part), 1))
			for _, i := range r.Perm(9000) {
				if err := a.Add([]byte(fmt.Sprintf("k/%05d%s", i, "-long"[:i%6])), value[:i%2000]); err != nil {
					t.Error(err)
				}
			}
			if err := a.Flush(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if runs, err := os.ReadDir(dir); err != nil || len(runs) < 3 {
		t.Fatalf("%d runs: the test merges nothing (%v)", len(runs), err)
	}
	n := 0
	err := s.Each(func(k, v []byte) error {
		if want := fmt.Sprintf("k/%05d%s", n, "-long"[:n%6]); string(k) != want || len(v) != n%2000 {
			t.Fatalf("got %s with %d bytes, want %s", k, len(v), want)
		}
		n++
		return nil
	})
	if left, _ := os.ReadDir(dir); err != nil || n != 9000 || len(left) != 0 {
		t.Errorf("%d pairs, %d files left, %v", n, len(left), err)
	}
}

// TestRecordsAndSpool give back what was put in.
func TestRecordsAndSpool(t *testing.T) {
	t.Parallel()
	r, err := bulk.NewRecords(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	long := strings.Repeat("long", 1000)
	frames := func(records ...string) (out []byte) {
		for _, s := range records {
			out = bulk.Frame(out, []byte(s))
		}
		return out
	}
	r.Drop(5)
	for _, err := range []error{
		r.Put([]uint32{3, 1, 70_000}, frames("ab", "", "sixteen bytes...")),
		r.Fill([]uint32{2, 3, 4, 5}, frames("cde", "older", long, "dropped")),
		r.Put([]uint32{2}, frames("f")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	r.Drop(3)
	room := make([]byte, 0, 8)
	for n, want := range map[uint32]string{0: "-", 1: "", 2: "f", 3: "-", 4: long, 5: "-", 6: "-", 70_000: "sixteen bytes...", 1 << 20: "-"} {
		got, ok, err := r.Get(n, room)
		if err != nil || ok != (want != "-") || ok && string(got) != want {
			t.Errorf("record %d: %q, %v, %v", n, got, ok, err)
		}
	}
	if r.Len() != 70_000 {
		t.Errorf("highest number %d", r.Len())
	}
	for _, err := range []error{r.Replace(2, frames("g"), 1), r.Replace(4, frames("short"), len(long)), r.Replace(1, frames("h"), 0)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	places := map[uint32]bool{}
	for i := range 100 { // room is used again
		if err := r.Replace(2, frames(strings.Repeat("x", i%9)), max(0, i-1)%9); err != nil {
			t.Fatal(err)
		}
		places[r.Place(2)] = true
	}
	for n, want := range map[uint32]string{1: "h", 2: "", 4: "short", 70_000: "sixteen bytes..."} {
		if got, ok, err := r.Get(n, room); n != 2 && (err != nil || !ok || string(got) != want) {
			t.Errorf("record %d: %q, %v, %v", n, got, ok, err)
		}
	}
	if len(places) > 5 {
		t.Errorf("a record that was replaced a hundred times stood at %d places", len(places))
	}
	s := bulk.NewSpool(t.TempDir(), 2)
	item := bytes.Repeat([]byte("x"), 1000)
	for range 100 { // more than waits in memory
		if err := s.Put(1, item); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []int{1, 100_001} {
		if got, err := s.Take(i, []byte("-")); err != nil || len(got) != want || got[0] != '-' || bytes.Count(got, []byte("x")) != want-1 {
			t.Errorf("compartment %d: %d bytes, %v", i, len(got), err)
		}
	}
}

// TestUnion: the order keeps together what hangs together.
func TestUnion(t *testing.T) {
	t.Parallel()
	u := bulk.NewUnion(7)
	for _, p := range [][2]uint32{{6, 2}, {5, 3}, {7, 6}, {3, 5}} {
		u.Join(p[0], p[1])
	}
	if got := u.Order(); !slices.Equal(got, []uint32{1, 2, 6, 7, 3, 5, 4}) {
		t.Errorf("order %v", got)
	}
}
