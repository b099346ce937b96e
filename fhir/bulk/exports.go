package bulk

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"hutong/fhir"
	"hutong/fhir/interact/outcome"
)

// exports holds the jobs: those that wait, those that run.
type exports struct {
	cfg   *Config
	jobs  jobs
	queue chan string // ids

	mu      sync.Mutex // order of changes of jobs: held while a row is made or removed
	running map[string]*running
	open    map[string]string // unfinished jobs: id to owner
}

// running is a job that a worker has taken up.
type running struct {
	cancel context.CancelFunc
	ended  chan struct{}
}

func newExports(cfg *Config) *exports {
	return &exports{
		cfg: cfg, jobs: jobs{cfg.Space}, queue: make(chan string, cfg.Limits.Waiting),
		running: map[string]*running{}, open: map[string]string{},
	}
}

// submit makes a job durable and queues it. Throttled if the owner has too many
// or all places are taken.
func (e *exports) submit(ctx context.Context, j *job) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	mine := 0
	for _, owner := range e.open {
		if owner == j.Owner {
			mine++
		}
	}
	if mine >= e.cfg.Limits.PerOwner || len(e.queue) == cap(e.queue) {
		return fhir.Errorf(fhir.Throttled, "too many exports are under way; wait for one to finish")
	}
	j.ID, j.Node, j.State, j.Created = e.prefix()+newID(e.cfg.Now()), e.cfg.Node, waiting, e.cfg.Now().UTC()
	if err := e.jobs.put(ctx, j); err != nil {
		return err
	}
	e.open[j.ID] = j.Owner
	e.queue <- j.ID // has room: all senders hold mu
	return nil
}

// prefix begins the ids of this node's jobs, so that a balancer can send those
// who ask for a file to where it is.
func (e *exports) prefix() string {
	if e.cfg.Node == "" {
		return ""
	}
	return e.cfg.Node + "-"
}

// newID cannot be guessed, and sorts by time.
func newID(now time.Time) string {
	var b [20]byte
	binary.BigEndian.PutUint64(b[:], uint64(now.UnixMilli())<<16)
	_, _ = rand.Read(b[6:]) // never fails, see crypto/rand
	return hex.EncodeToString(b[:])
}

// cancel ends a job, whatever its state, and removes it with its files.
func (e *exports) cancel(ctx context.Context, id string) error {
	e.mu.Lock()
	r := e.running[id]
	if r == nil {
		defer e.mu.Unlock()
		return e.drop(ctx, id)
	}
	e.mu.Unlock()
	r.cancel()
	select {
	case <-r.ended:
	case <-ctx.Done():
		return fhir.Errorf(fhir.Timeout, "the export did not end in time; try again")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.drop(ctx, id)
}

// drop removes a job and its files. mu is held.
func (e *exports) drop(ctx context.Context, id string) error {
	delete(e.open, id)
	if err := e.jobs.remove(ctx, id); err != nil {
		return err
	}
	return os.RemoveAll(e.dir(id))
}

func (e *exports) dir(id string) string { return filepath.Join(e.cfg.Dir, id) }

// run works until ctx ends.
func (e *exports) run(ctx context.Context) {
	var workers sync.WaitGroup
	defer workers.Wait()
	left, err := e.adopt(ctx)
	if err != nil {
		e.cfg.Log.Error().Err(err).Msg("bulk: jobs of an earlier process cannot be read")
	}
	for range e.cfg.Limits.Exports {
		workers.Go(func() { e.work(ctx, left) })
	}
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		if err := e.sweep(ctx); err != nil && ctx.Err() == nil {
			e.cfg.Log.Warn().Err(err).Msg("bulk: expired exports cannot be removed")
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// adopt finds the jobs that an earlier process of this node left unfinished,
// oldest first.
func (e *exports) adopt(ctx context.Context) (<-chan string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	all, err := e.jobs.all(ctx)
	left := make(chan string, len(all))
	defer close(left)
	for _, j := range all {
		if _, queued := e.open[j.ID]; j.State == waiting && j.Node == e.cfg.Node && !queued {
			e.open[j.ID] = j.Owner
			left <- j.ID
		}
	}
	return left, err
}

// sweep removes what has expired: this node's jobs, directories of this node
// that no job knows (any more), and jobs of a node that has not been heard of.
func (e *exports) sweep(ctx context.Context) error {
	entries, err := os.ReadDir(e.cfg.Dir) // before the jobs: a directory is younger than its job
	if err != nil {
		return err
	}
	all, err := e.jobs.all(ctx)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		own := strings.HasPrefix(entry.Name(), e.prefix()) && strings.Contains(entry.Name(), "-") == (e.cfg.Node != "")
		if own && !slices.ContainsFunc(all, func(j *job) bool { return j.ID == entry.Name() }) {
			err = errors.Join(err, os.RemoveAll(e.dir(entry.Name())))
		}
	}
	for _, j := range all {
		over := j.State != waiting && e.cfg.Now().After(j.Expires)
		if j.Node != e.cfg.Node {
			over = e.cfg.Now().After(j.Created.Add(abandoned + e.cfg.Limits.Keep))
		}
		if over {
			err = errors.Join(err, e.cancel(ctx, j.ID))
		}
	}
	return err
}

// abandoned is how long another node may work on a job.
const abandoned = 7 * 24 * time.Hour

// work takes up jobs one after the other: first those that were left.
func (e *exports) work(ctx context.Context, left <-chan string) {
	for ctx.Err() == nil {
		select {
		case id, ok := <-left:
			if ok {
				e.take(ctx, id)
				continue
			}
			left = nil
		case id := <-e.queue:
			e.take(ctx, id)
		case <-ctx.Done():
		}
	}
}

// take runs one job to its end, unless it is cancelled or the process stops:
// then it stays as it was last saved.
func (e *exports) take(ctx context.Context, id string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &running{cancel: cancel, ended: make(chan struct{})}
	e.mu.Lock()
	e.running[id] = r
	e.mu.Unlock()
	defer close(r.ended)
	j, err := e.jobs.get(ctx, id)
	if err == nil && j != nil {
		err = e.carryOut(ctx, j)
	}
	if errors.Is(err, fhir.E(fhir.Conflict)) { // cancelled by way of another node
		err = os.RemoveAll(e.dir(id))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.running, id)
	if ctx.Err() == nil {
		delete(e.open, id)
	}
	if err != nil && ctx.Err() == nil {
		e.cfg.Log.Error().Err(err).Str("job", id).Msg("bulk: an export's state cannot be kept; it goes on after a restart")
	}
}

// maxStarts is how often a job is taken up before it is given up: one that
// brings the process down must not do so for ever.
const maxStarts = 5

// carryOut exports, and keeps how it ended.
func (e *exports) carryOut(ctx context.Context, j *job) error {
	j.Starts++
	err := e.jobs.put(ctx, j)
	if err != nil {
		return err
	}
	if j.Starts > maxStarts {
		err = fhir.Errorf(fhir.Internal, "the export was interrupted %d times and given up", maxStarts)
	} else {
		err = e.export(ctx, j)
	}
	if ctx.Err() != nil {
		return nil
	}
	if errors.Is(err, errRemoved) {
		return fhir.E(fhir.Conflict)
	}
	j.State, j.Expires = done, e.cfg.Now().Add(e.cfg.Limits.Keep).UTC()
	if err != nil {
		e.cfg.Log.Error().Err(err).Str("job", j.ID).Msg("bulk: an export failed")
		j.State, j.Status, j.Fault = failed, endStatus(err), outcome.JSON(err, outcome.English)
		j.Files = nil
		err = os.RemoveAll(e.dir(j.ID))
	}
	return errors.Join(err, e.jobs.put(ctx, j))
}

// endStatus is the status of a job that failed: never one that says "later",
// for nothing works on it any more.
func endStatus(err error) int {
	switch status := outcome.Status(err); status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return http.StatusInternalServerError
	default:
		return status
	}
}
