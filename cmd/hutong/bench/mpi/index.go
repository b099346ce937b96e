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
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"hutong/fhir/store/disk"
	"hutong/mpi"
	"hutong/mpi/rest"
	"hutong/testdata/people"
)

// feeders is how many hospitals feed at once, and askers how many ask.
const (
	feeders = 16
	askers  = 2
)

// singles is how many records are fed one by one, at most: they are what a
// durable feed is measured on.
const singles = 20_000

// index fills an index with the records of n persons, feeds the last of them one
// by one, and asks for some of them: in process, over HTTP, and once more after a
// restart.
func (c *Cmd) index(ctx context.Context, rep *Report, dir string, n int) error {
	src := newHospitals(c.Queries, n)
	name := filepath.Join(dir, "store")
	x, shut, err := openIndex(ctx, name, src)
	if err != nil {
		return err
	}
	if err := errors.Join(x.Warm(ctx), c.fill(ctx, rep, x, src, n), c.feed(ctx, rep, x, src)); err != nil {
		shut()
		return err
	}
	if took := x.Stats().Feeds; took != int64(src.taken) {
		shut()
		return fmt.Errorf("%d records were given, %d were taken in", src.taken, took)
	}
	if err := shut(); err != nil {
		return err
	}
	begin := time.Now()
	if x, shut, err = openIndex(ctx, name, src); err != nil {
		return err
	}
	defer shut()
	queries := src.queries()
	if _, err := x.Match(ctx, queries[0], mpi.MatchOptions{}); err != nil {
		return err
	}
	rep.add("restart to first match", time.Since(begin).Seconds(), "s")
	if err := c.warm(ctx, rep, x); err != nil {
		return err
	}
	for _, name := range []string{"match, cold caches", "match"} {
		err := c.ask(ctx, rep, name, queries, func(ctx context.Context, q []byte) error {
			_, err := x.Match(ctx, q, mpi.MatchOptions{})
			return err
		})
		if err != nil {
			return err
		}
	}
	if err := c.overHTTP(ctx, rep, x, queries); err != nil {
		return err
	}
	rep.add("index: size on disk", size(name), "MiB")
	rep.add("peak memory", peak(), "MiB")
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

// fill takes in the records of n persons, all but the last, in commits of many
// as an import makes them: records that follow each other are mostly of one
// household, so each commit has one of many.
func (c *Cmd) fill(ctx context.Context, rep *Report, x *mpi.Index, src *hospitals, n int) error {
	begin, filled := time.Now(), atomic.Int64{}
	commits := make(chan []sent, feeders)
	err := c.timed(rep, "fill", func() error {
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error {
			defer close(commits)
			return src.draw(ctx, c.Seed, n, commits)
		})
		for range feeders {
			g.Go(func() error {
				for commit := range commits {
					x.Committed(ctx, src.hold(commit))
					src.drop(commit)
					if done := filled.Add(int64(len(commit))); done/100_000 != (done-int64(len(commit)))/100_000 {
						c.say("  %d records, %.0f s, peak %.0f MiB", done, time.Since(begin).Seconds(), peak())
					}
				}
				return nil
			})
		}
		return g.Wait()
	})
	rep.add("filled", float64(filled.Load()), "")
	rep.add("filled, durable", float64(filled.Load())/time.Since(begin).Seconds(), "1/s")
	return err
}

// feed takes in the records that fill left, one by one.
func (c *Cmd) feed(ctx context.Context, rep *Report, x *mpi.Index, src *hospitals) error {
	versions := src.hold(src.last)
	var next atomic.Int64
	begin := time.Now()
	err := c.timed(rep, "feed", func() error {
		g, ctx := errgroup.WithContext(ctx)
		for range feeders {
			g.Go(func() error {
				for {
					i := int(next.Add(1)) - 1
					if i >= len(versions) {
						return nil
					}
					if err := x.Feed(ctx, versions[i].Key, 1); err != nil {
						return err
					}
				}
			})
		}
		return g.Wait()
	})
	rep.add("feeds", float64(len(versions)), "")
	rep.add("feeds, durable", float64(len(versions))/time.Since(begin).Seconds(), "1/s")
	return err
}

// ask sends queries from all askers and reports the times.
func (c *Cmd) ask(ctx context.Context, rep *Report, name string, queries [][]byte, do func(context.Context, []byte) error) error {
	times := make([]time.Duration, len(queries))
	var next atomic.Int64
	begin, cpu := time.Now(), spent()
	g, ctx := errgroup.WithContext(ctx)
	for range askers {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(queries) {
					return nil
				}
				at := time.Now()
				if err := do(ctx, queries[i]); err != nil {
					return err
				}
				times[i] = time.Since(at)
			}
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	wall := time.Since(begin)
	slices.Sort(times)
	ms := func(q float64) float64 {
		return float64(times[int(q*float64(len(times)-1))]) / float64(time.Millisecond)
	}
	rep.add(name+": p50", ms(0.5), "ms")
	rep.add(name+": p99", ms(0.99), "ms")
	rep.add(name+": rate", float64(len(queries))/wall.Seconds(), "1/s")
	rep.add(name+": processor each", float64((spent()-cpu)/time.Microsecond)/float64(len(queries)), "us")
	c.say("%s: p50 %.2f ms, p99 %.2f ms, %.0f a second", name, ms(0.5), ms(0.99), float64(len(queries))/wall.Seconds())
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
	return c.ask(ctx, rep, "$match over HTTP", queries, func(ctx context.Context, q []byte) error {
		body := fmt.Sprintf(`{"resourceType":"Parameters","parameter":[{"name":"resource","resource":%s}]}`, q)
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
	x, err := mpi.Open(ctx, mpi.Config{Space: s.Space("mpi"), Read: src.read, Log: zerolog.Nop(), Now: func() time.Time { return people.Today }})
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
