package mpi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"hutong/cmd/hutong/bench/machine"
	"hutong/fhir"
	"hutong/fhir/store/disk"
	"hutong/mpi"
	"hutong/mpi/rest"
	"hutong/testdata/people"
)

// feeders is how many hospitals feed at once, and askers how many ask.
const (
	feeders = 32
	askers  = 2
)

// singles is how many records are fed, at most, after the fill: half of them one
// by one, half of them in commits of perCommit.
const (
	singles   = 40_000
	perCommit = 64
)

// memoryLimit is what Go may take from the restart on, as GOMEMLIMIT would say to a
// server, so that the process stays below 4 GB: the block cache and the program
// come on top. A first load is done once, and would spend more time collecting
// garbage than comparing.
const memoryLimit = 3300 << 20

// index fills an index with the records of n persons at once, starts it again,
// asks it for some of them, in process and over HTTP, and feeds it the last.
func (c *Cmd) index(ctx context.Context, rep *Report, dir string, n int) error {
	src := newHospitals(c.Queries, n)
	name := filepath.Join(dir, "store")
	if err := c.filled(ctx, rep, name, src, n); err != nil {
		return err
	}
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(memoryLimit))
	freshPeak()
	begin := time.Now()
	x, shut, err := openIndex(ctx, name, src)
	if err != nil {
		return err
	}
	defer shut()
	queries := src.queries()
	match := func(ctx context.Context, i int) error {
		_, err := x.Match(ctx, queries[i], mpi.MatchOptions{})
		return err
	}
	if err := match(ctx, 0); err != nil {
		return err
	}
	rep.add("restart to first match", time.Since(begin).Seconds(), "s")
	c.say("restart to first match: %.2f s", time.Since(begin).Seconds())
	if err := c.warm(ctx, rep, x); err != nil {
		return err
	}
	for _, name := range []string{"match, cold caches", "match"} {
		if err := c.many(ctx, rep, name, askers, len(queries), match); err != nil {
			return err
		}
	}
	if err := c.overHTTP(ctx, rep, x, queries); err != nil {
		return err
	}
	if err := c.feed(ctx, rep, x, src); err != nil {
		return err
	}
	if err := c.many(ctx, rep, "match, after the feeds", askers, len(queries), match); err != nil {
		return err
	}
	rep.add("index: size on disk", size(name), "MiB")
	rep.add("peak memory, from the restart", peak(), "MiB")
	c.say("index on disk %.0f MiB, peak from the restart %.0f MiB", size(name), peak())
	return nil
}

// warm reads the posting lists into memory, as a server does beside its work.
func (c *Cmd) warm(ctx context.Context, rep *Report, x *mpi.Index) error {
	if err := c.timed(rep, "restart to lists in memory", func() error { return x.Warm(ctx) }); err != nil {
		return err
	}
	held := x.Shelved()
	each := func(n int) float64 { return float64(n) / float64(held.Records) }
	rep.add("lists in memory", float64(held.Bytes)/(1<<20), "MiB")
	rep.add("lists in memory, of one record", each(int(held.Bytes)), "bytes")
	c.say("lists in memory: %d records, %.1f keys and %.1f postings each in %.0f bytes", held.Records, each(held.Keys), each(held.Postings), each(int(held.Bytes)))
	return nil
}

// filled makes the store, or takes the one that was kept.
func (c *Cmd) filled(ctx context.Context, rep *Report, name string, src *hospitals, n int) error {
	if c.Keep == "" {
		return c.fill(ctx, rep, name, src, n)
	}
	store := filepath.Join(c.Keep, "store")
	there, err := c.recall(c.Keep, n, src)
	if err != nil {
		return err
	}
	if !there {
		if err := errors.Join(os.RemoveAll(store), os.MkdirAll(c.Keep, 0o755)); err != nil {
			return err
		}
		if err := c.fill(ctx, rep, store, src, n); err != nil {
			return err
		}
		if err := c.keep(c.Keep, n, src); err != nil {
			return err
		}
	}
	return machine.Clone(store, name)
}

// fill takes in the records of n persons, all but the last, as a region's first
// load does.
func (c *Cmd) fill(ctx context.Context, rep *Report, name string, src *hospitals, n int) error {
	freshPeak()
	x, shut, err := openIndex(ctx, name, src)
	if err != nil {
		return err
	}
	var last atomic.Int64
	begin := time.Now()
	progress := func(stage string, done, total int) {
		if now, was := int64(time.Since(begin).Seconds()/10), last.Load(); now != was && last.CompareAndSwap(was, now) {
			c.say("  %s: %d of %d, %.0f s, %.0f s of processor, peak %.0f MiB", stage, done, total, time.Since(begin).Seconds(), spent().Seconds(), peak())
		}
	}
	cpu, got := spent(), &mpi.Loaded{}
	err = c.timed(rep, "fill", func() (err error) {
		got, err = x.Load(ctx, mpi.LoadOptions{Dir: filepath.Dir(name), Progress: progress}, func(give func(fhir.Key) error) error { return src.draw(c.Seed, n, give) })
		return err
	})
	if err := errors.Join(err, shut()); err != nil {
		return err
	}
	if got.Records+len(src.last) != src.taken {
		return fmt.Errorf("%d records were drawn, %d of them loaded and %d kept for later", src.taken, got.Records, len(src.last))
	}
	rep.add("filled: records", float64(got.Records), "")
	rep.add("filled: persons", float64(got.Persons), "")
	rep.add("filled: tasks", float64(got.Tasks), "")
	rep.add("fill: processor, a record, drawn included", float64((spent()-cpu)/time.Microsecond)/float64(got.Records), "us")
	rep.add("fill: peak memory", peak(), "MiB")
	c.say("filled: %+v, %.0f us of processor a record", *got, float64((spent()-cpu)/time.Microsecond)/float64(got.Records))
	return nil
}

// feed takes in the records that fill left: half of them one by one, the others
// in commits of many.
func (c *Cmd) feed(ctx context.Context, rep *Report, x *mpi.Index, src *hospitals) error {
	versions := src.hold(src.last)
	one, groups := versions[:len(versions)/2], slices.Collect(slices.Chunk(versions[len(versions)/2:], perCommit))
	err := c.many(ctx, rep, "feed", feeders, len(one), func(ctx context.Context, i int) error { return x.Feed(ctx, one[i].Key, 1) })
	if err != nil {
		return err
	}
	begin := time.Now()
	err = c.many(ctx, rep, "feed of a commit", feeders, len(groups), func(ctx context.Context, i int) error { return x.FeedAll(ctx, groups[i]) })
	if err != nil {
		return err
	}
	rate := float64(len(versions)-len(one)) / time.Since(begin).Seconds()
	rep.add("feeds", float64(len(versions)), "")
	rep.add("feeds in commits, durable", rate, "1/s")
	c.say("feeds in commits of %d: %.0f a second", perCommit, rate)
	if took := x.Stats().Feeds; took != int64(len(versions)) {
		return fmt.Errorf("%d records were fed, %d were taken in", len(versions), took)
	}
	return nil
}

// many does n things, so many at a time, and reports how long each took.
func (c *Cmd) many(ctx context.Context, rep *Report, name string, at, n int, do func(ctx context.Context, i int) error) error {
	times := make([]time.Duration, n)
	var next atomic.Int64
	begin, cpu := time.Now(), spent()
	err := c.profiled(name, func() error {
		g, ctx := errgroup.WithContext(ctx)
		for range at {
			g.Go(func() error {
				for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
					at := time.Now()
					if err := do(ctx, i); err != nil {
						return err
					}
					times[i] = time.Since(at)
				}
				return nil
			})
		}
		return g.Wait()
	})
	if err != nil || n == 0 {
		return err
	}
	rate, each := float64(n)/time.Since(begin).Seconds(), float64((spent()-cpu)/time.Microsecond)/float64(n)
	slices.Sort(times)
	ms := func(q float64) float64 {
		return float64(times[int(q*float64(n-1))]) / float64(time.Millisecond)
	}
	rep.add(name+": p50", ms(0.5), "ms")
	rep.add(name+": p99", ms(0.99), "ms")
	rep.add(name+": rate", rate, "1/s")
	rep.add(name+": processor each", each, "us")
	c.say("%s: p50 %.2f ms, p99 %.2f ms, %.0f a second, %.0f us of processor each", name, ms(0.5), ms(0.99), rate, each)
	return nil
}

// overHTTP asks through the index's own handlers on a socket of this machine:
// no gateway stands before them.
func (c *Cmd) overHTTP(ctx context.Context, rep *Report, x *mpi.Index, queries [][]byte) error {
	h, err := rest.New(rest.Config{Index: x, Authorize: func(*gin.Context, string) (string, error) { return "bench", nil }})
	if err != nil {
		return err
	}
	gin.SetMode(gin.ReleaseMode)
	g := gin.New()
	g.POST("/Patient/$match", h.Match)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: g, ReadHeaderTimeout: time.Minute}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(l) }) // ends by Close
	defer wg.Wait()
	defer srv.Close()
	url := fmt.Sprintf("http://%s/Patient/$match", l.Addr())
	return c.many(ctx, rep, "$match over HTTP", askers, len(queries), func(ctx context.Context, i int) error {
		body := fmt.Sprintf(`{"resourceType":"Parameters","parameter":[{"name":"resource","resource":%s}]}`, queries[i])
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(body)))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/fhir+json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
			return fmt.Errorf("$match: %s, %w", res.Status, err)
		}
		return nil
	})
}

// openIndex opens an index on a store of its own.
func openIndex(ctx context.Context, dir string, src *hospitals) (*mpi.Index, func() error, error) {
	s, err := disk.Open(dir, disk.Options{})
	if err != nil {
		return nil, nil, err
	}
	x, err := mpi.Open(ctx, mpi.Config{Space: s.Space("mpi"), Read: src.read, Scratch: filepath.Dir(dir), Log: zerolog.Nop(), Now: func() time.Time { return people.Today }})
	if err != nil {
		return nil, nil, err
	}
	return x, s.Close, nil
}

// size is what the files under dir take, in MiB.
func size(dir string) float64 {
	var sum int64
	_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error { // what cannot be read is not counted
		if err == nil && !d.IsDir() {
			if i, err := d.Info(); err == nil {
				sum += i.Size()
			}
		}
		return nil
	})
	return float64(sum) / (1 << 20)
}
