package mongo

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hutong/fhir"
	"hutong/fhir/store/mongo/layout"
	"hutong/fhir/store/mongo/wire"
)

// commitLog is what a node knows of the log of commits.
//
// The _id of a record is the T of its first commit, and a record is inserted
// only behind the last one, once that one's versions are visible. So _id being
// unique makes the insertion the one point at which a group of commits is
// decided among all nodes; there are no gaps, and at most the last record is
// not visible yet.
type commitLog struct {
	visible  atomic.Int64 // T up to which every commit is visible
	lastUndo atomic.Int64 // T of the newest commit known that supersedes a version

	turn    chan struct{} // held by who reads the log
	started atomic.Int64  // readings begun
	fresh   int64         // number of the newest reading that ended well; turn protects it
	slow    string        // the record that is awaited; turn protects it
	since   time.Time     // and since when

	aborts aborts
	watch  watch
}

func (l *commitLog) init() {
	l.turn = make(chan struct{}, 1)
	l.watch.ch = make(chan struct{})
}

// findHead looks for the end of the log at open. What this node has not seen
// may have superseded versions.
func (s *Store) findHead(ctx context.Context) error {
	var d layout.Record
	err := s.commits.FindOne(ctx, bson.D{}, options.FindOne().SetSort(bson.D{{Key: "_id", Value: -1}})).Decode(&d)
	if errors.Is(err, driver.ErrNoDocuments) {
		return nil
	}
	if err != nil {
		return wire.Failure(ctx, err)
	}
	t, err := layout.RecordT(d.ID)
	if err != nil {
		return wire.Failure(ctx, err)
	}
	s.log.visible.Store(t - 1)
	s.log.lastUndo.Store(t - 1)
	return nil
}

// refresh reads what other nodes have committed and gives the newest visible
// T. Callers that come together share one reading that begins after they came.
func (s *Store) refresh(ctx context.Context) (int64, error) {
	came := s.log.started.Load()
	select {
	case s.log.turn <- struct{}{}:
		defer func() { <-s.log.turn }()
	case <-ctx.Done():
		return 0, wire.CtxError(ctx)
	}
	if s.log.fresh > came {
		return s.log.visible.Load(), nil
	}
	reading := s.log.started.Add(1)
	ctx, cancel := s.timed(ctx)
	defer cancel()
	for {
		moved, err := s.advance(ctx)
		if err != nil {
			return 0, err
		}
		if !moved {
			s.log.fresh = reading
			return s.log.visible.Load(), nil
		}
	}
}

// advance takes in the next record, if it is visible. One that stays invisible
// is helped: its node may be dead.
func (s *Store) advance(ctx context.Context) (moved bool, err error) {
	d, err := s.record(ctx, s.log.visible.Load()+1)
	if d == nil || err != nil {
		return false, err
	}
	if !d.Done {
		if s.log.slow != d.ID {
			s.log.slow, s.log.since = d.ID, time.Now()
		}
		if time.Since(s.log.since) < s.opts.Help {
			return false, nil
		}
		s.opts.Log.Warn().Str("record", d.ID).Msg("finishing a commit that another node left")
		if err := s.finish(ctx, d); err != nil {
			return false, err
		}
	}
	s.took(d)
	return true, nil
}

// record reads the record that begins with t; nil if there is none.
func (s *Store) record(ctx context.Context, t int64) (*layout.Record, error) {
	var d layout.Record
	err := s.commits.FindOne(ctx, bson.D{{Key: "_id", Value: layout.RecordID(t)}}).Decode(&d)
	if errors.Is(err, driver.ErrNoDocuments) {
		return nil, nil
	}
	return &d, wire.Failure(ctx, err)
}

// took makes a visible record this node's own knowledge.
func (s *Store) took(d *layout.Record) {
	t, err := layout.RecordT(d.ID)
	if err != nil {
		return
	}
	s.log.aborts.add(d.Aborted)
	end := t + d.Count - 1
	if d.Undo {
		raise(&s.log.lastUndo, end)
	}
	if raise(&s.log.visible, end) {
		s.log.watch.wake()
	}
}

func raise(v *atomic.Int64, to int64) bool {
	for {
		old := v.Load()
		if old >= to {
			return false
		}
		if v.CompareAndSwap(old, to) {
			return true
		}
	}
}

// settle waits until every record is visible, helping where it must, and gives
// the T of the last commit.
func (s *Store) settle(ctx context.Context) (int64, error) {
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		t, err := s.refresh(ctx)
		if err != nil {
			return 0, err
		}
		d, err := s.record(ctx, t+1)
		if d == nil || err != nil {
			return t, err
		}
		if !d.Done {
			if err := wire.Pause(ctx, wait); err != nil {
				return 0, err
			}
		}
	}
}

// undone reports whether some version that held at t may have been superseded.
// A search asks it after it has read the current documents.
func (s *Store) undone(ctx context.Context, t int64) (bool, error) {
	visible := s.log.visible.Load() // before lastUndo, which took raises first
	if s.log.lastUndo.Load() > t {
		return true, nil
	}
	d, err := s.record(ctx, max(t, visible)+1) // may be on its way
	return d != nil, err
}

// aborts remembers the transactions of this node that another one has given
// up.
type aborts struct {
	mu   sync.Mutex
	mine map[string]bool // in flight here: aborted or not
}

func (a *aborts) enter(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.mine == nil {
		a.mine = map[string]bool{}
	}
	a.mine[token] = false
}

func (a *aborts) leave(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.mine, token)
}

func (a *aborts) add(tokens []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range tokens {
		if _, here := a.mine[t]; here {
			a.mine[t] = true
		}
	}
}

func (a *aborts) inFlight(token string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, here := a.mine[token]
	return here
}

func (a *aborts) has(token string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.mine[token]
}

// watch wakes those who wait for commits.
type watch struct {
	mu sync.Mutex
	ch chan struct{}
}

// next is closed by the next wake.
func (w *watch) next() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ch
}

func (w *watch) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.ch)
	w.ch = make(chan struct{})
}

// Wake tells the store that another node has committed: those who wait look at
// once instead of at the next Poll.
func (s *Store) Wake() { s.log.watch.wake() }

// WaitChange returns when a commit with T > after is visible.
func (s *Store) WaitChange(ctx context.Context, after fhir.T) error {
	for {
		next := s.log.watch.next()
		t, err := s.newest(ctx)
		if err != nil && fhir.KindOf(err) != fhir.Busy {
			return err
		}
		if err == nil && fhir.T(t) > after {
			return nil
		}
		timer := time.NewTimer(s.opts.Poll)
		select {
		case <-next:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return wire.CtxError(ctx)
		case <-s.closing.Done():
			timer.Stop()
			return fhir.Errorf(fhir.Busy, "the store is closed")
		}
		timer.Stop()
	}
}

// newest is refresh for a caller of the contract.
func (s *Store) newest(ctx context.Context) (int64, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	return s.refresh(ctx)
}
