package audit_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/fhir/store/disk"
	"hutong/gateway/audit"
)

// faulty is a store that fails on order.
type faulty struct {
	store.Store
	commit atomic.Pointer[func(context.Context, store.Tx) (store.Result, error)]
	apply  atomic.Pointer[func(context.Context, []store.Write) error]
}

func (f *faulty) Commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	if commit := f.commit.Load(); commit != nil {
		return (*commit)(ctx, tx)
	}
	return f.Store.Commit(ctx, tx)
}

func (f *faulty) Space(name string) store.Space { return faultySpace{f.Store.Space(name), f} }

type faultySpace struct {
	store.Space
	f *faulty
}

func (s faultySpace) Apply(ctx context.Context, w []store.Write) error {
	if apply := s.f.apply.Load(); apply != nil {
		return (*apply)(ctx, w)
	}
	return s.Space.Apply(ctx, w)
}

// failCommits and failHeads order failures; nil ends them.
func (f *faulty) failCommits(err error) {
	commit := func(context.Context, store.Tx) (store.Result, error) { return store.Result{}, err }
	f.commit.Store(unless(err == nil, &commit))
}

// loseAnswers lets commits happen and tells that they did not.
func (f *faulty) loseAnswers(err error) {
	commit := func(ctx context.Context, tx store.Tx) (store.Result, error) {
		_, cerr := f.Store.Commit(ctx, tx)
		return store.Result{}, errors.Join(err, cerr)
	}
	f.commit.Store(&commit)
}

func (f *faulty) failHeads(err error) {
	apply := func(context.Context, []store.Write) error { return err }
	f.apply.Store(unless(err == nil, &apply))
}

func unless[T any](none bool, v *T) *T {
	if none {
		return nil
	}
	return v
}

func TestFullQueueRefuses(t *testing.T) {
	t.Parallel()
	st := openStore(t, t.TempDir())
	f := &faulty{Store: st}
	l := openLog(t, f, func(c *audit.Config) { c.Queue, c.Batch = 2, 1 })
	defer closeAll(t, l, st)
	release, started := make(chan struct{}), make(chan struct{}, 10)
	commit := func(ctx context.Context, tx store.Tx) (store.Result, error) {
		started <- struct{}{}
		<-release
		return st.Commit(ctx, tx)
	}
	f.commit.Store(&commit)
	results := make(chan error, 3)
	record := func() { results <- l.Record(t.Context(), disclosure("a1")) }
	go record()
	<-started // one is being written; two more may wait
	go record()
	go record()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		err := l.Record(ctx, disclosure("a1"))
		cancel()
		if errors.Is(err, fhir.E(fhir.Busy)) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("a full queue answered %v", err)
		}
	}
	close(release)
	for range 3 {
		<-results
	}
}

func TestFailedWriteRefusesAndRecovers(t *testing.T) {
	t.Parallel()
	st := openStore(t, t.TempDir())
	f := &faulty{Store: st}
	l := openLog(t, f, func(c *audit.Config) { c.HeadEvery = time.Nanosecond })
	must(t, l.Record(t.Context(), disclosure("a1")))
	disk := fhir.Errorf(fhir.Busy, "disk full")
	f.failCommits(disk)
	if err := l.Record(t.Context(), disclosure("a1")); !errors.Is(err, fhir.E(fhir.Busy)) {
		t.Errorf("a failed commit: %v", err)
	}
	f.failCommits(nil)
	f.failHeads(disk)
	must(t, l.Record(t.Context(), disclosure("a1"))) // the head may stay behind for a moment
	if err := l.Record(t.Context(), disclosure("a1")); !errors.Is(err, fhir.E(fhir.Busy)) {
		t.Errorf("a failed head: %v", err)
	}
	f.failHeads(nil)
	must(t, l.Record(t.Context(), disclosure("a1")))
	f.loseAnswers(disk)
	if err := l.Record(t.Context(), disclosure("a1")); !errors.Is(err, fhir.E(fhir.Busy)) {
		t.Errorf("a commit that nobody told of: %v", err)
	}
	f.failCommits(nil)
	must(t, l.Record(t.Context(), disclosure("a1"))) // behind the one that is there all the same
	report, err := audit.Verify(t.Context(), st)
	must(t, err)
	if !report.Whole || report.Chains[0].Records != 5 {
		t.Errorf("%+v", report)
	}
	closeAll(t, l, st)
	if err := l.Record(t.Context(), disclosure("a1")); !errors.Is(err, fhir.E(fhir.Busy)) {
		t.Errorf("after closing: %v", err)
	}
}

// TestManyWritersOneChain: concurrent callers, several starts, one chain.
func TestManyWritersOneChain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var failed atomic.Int32
	for range 3 {
		st := openStore(t, dir)
		l := openLog(t, st, func(c *audit.Config) { c.Batch = 16 })
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 25 {
					if l.Record(context.Background(), disclosure("a1")) != nil {
						failed.Add(1)
					}
				}
			})
		}
		wg.Wait()
		closeAll(t, l, st)
	}
	st := openStore(t, dir)
	defer st.Close()
	report, err := audit.Verify(t.Context(), st)
	must(t, err)
	if failed.Load() != 0 || !report.Whole || report.Chains[0].Records != 600 || len(find(t, st, "patient=Patient/a1")) != 600 {
		t.Errorf("%d failed, %+v", failed.Load(), report)
	}
}

// TestTwoNodes: two chains beside each other; and two writers of one name
// cannot fork it.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	st := openStore(t, t.TempDir())
	one := openLog(t, st, nil)
	two := openLog(t, st, nil)
	other := openLog(t, st, func(c *audit.Config) { c.Chain = "n2" })
	var wg sync.WaitGroup
	var answered atomic.Int32
	for _, l := range []*audit.Log{one, two, other} {
		wg.Go(func() {
			for range 20 {
				if l.Record(context.Background(), disclosure("a1")) == nil {
					answered.Add(1)
				}
			}
		})
	}
	wg.Wait()
	report, err := audit.Verify(t.Context(), st)
	must(t, err)
	if !report.Whole || len(report.Chains) != 2 || report.Chains[0].Records+report.Chains[1].Records < uint64(answered.Load()) {
		t.Errorf("%d answered, %+v", answered.Load(), report)
	}
	must(t, two.Close(t.Context()))
	must(t, other.Close(t.Context()))
	closeAll(t, one, st)
}

func BenchmarkRecord(b *testing.B) {
	st, err := disk.Open(b.TempDir(), disk.Options{Extract: extractor().ExtractBody})
	if err != nil {
		b.Fatal(err)
	}
	l, err := audit.Open(b.Context(), audit.Config{Store: st, Extractor: extractor(), Custodian: "org-exchange"})
	if err != nil {
		b.Fatal(err)
	}
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := l.Record(context.Background(), disclosure("a1")); err != nil {
				b.Error(err)
			}
		}
	})
	b.StopTimer()
	if err := errors.Join(l.Close(context.Background()), st.Close()); err != nil {
		b.Error(err)
	}
}
