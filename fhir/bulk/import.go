package bulk

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"hutong/fhir"
	"hutong/fhir/interact"
)

// Source is a stream of ndjson. More, if set, is called before each batch is
// read, and Enough when no more is wanted while a read may be waiting.
type Source struct {
	io.Reader
	More, Enough func()
}

// Report is what became of an import: each of the first Lines lines is stored
// or has a fault.
type Report struct {
	Lines  int // that were decided; blank ones count
	Stored int
	Faults []Fault // in the order of the lines
	// Stopped is why the import ended before the stream did; nil if it did not.
	// What is behind Lines is to be sent again; some of it may be stored
	// already, and storing it twice does no harm but a version.
	Stopped error
}

// Fault is why a line was not stored.
type Fault struct {
	Line int // from 1
	Err  error
}

// batch is lines on their way to one transaction.
type batch struct {
	numbers []int
	bodies  [][]byte
	bytes   int
	skipped []Fault // lines that were not even kept
	last    int     // number of the last line
	end     error   // why there is no other batch: io.EOF, or the stream's fault
	ready   *interact.Import

	stored chan struct{} // closed when the next two are set
	faults []error
	err    error
}

// batchBytes closes a batch that is large before it is long.
const batchBytes = 8 << 20

// Import stores the resources of a stream under their ids, a batch a
// transaction, in the order of the lines. What is at fault keeps no other line
// out. One batch is read and validated while two are stored, the second of
// which does not wait for the disk, the index and the trail of the first unless
// they are about the same resources; and no more: the stream is read no faster
// than it is stored.
func (s *Service) Import(ctx context.Context, c interact.Caller, from Source) *Report {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ahead := make(chan *batch)
	go func() {
		defer close(ahead)
		s.prepare(ctx, from, ahead)
	}()
	c = interact.Shared(c)
	report, whole, there := &Report{}, false, false
	take := func(b *batch) {
		if b == nil || report.Stopped != nil {
			return
		}
		there = there || b.ready.There()
		report.add(b, s.cfg.Limits.Faults)
		if whole = report.Stopped == nil && errors.Is(b.end, io.EOF); b.end != nil && !whole && report.Stopped == nil {
			report.Stopped = b.end
		}
		if report.Stopped != nil {
			stop()
			if from.Enough != nil {
				from.Enough()
			}
		}
	}
	var before *batch
	for b := range ahead {
		b.ready.Expect(there)
		if before != nil && b.ready.After(before.ready) {
			take(before.wait())
			before = nil
		}
		if report.Stopped == nil {
			s.store(ctx, c, b)
			before, b = b, before
			take(b.wait())
		}
	}
	take(before.wait())
	if !whole && report.Stopped == nil {
		report.Stopped = fhir.Errorf(fhir.Timeout, "the request ended before the import did")
	}
	return report
}

// prepare reads and validates batches until the stream or ctx ends.
func (s *Service) prepare(ctx context.Context, from Source, ahead chan<- *batch) {
	in := &lines{r: bufio.NewReaderSize(from, 256<<10), limit: s.cfg.Limits.LineBytes}
	for {
		if from.More != nil {
			from.More()
		}
		b := s.read(in)
		b.ready = s.cfg.Service.PrepareImport(b.bodies)
		select {
		case ahead <- b:
		case <-ctx.Done():
			return
		}
		if b.end != nil {
			return
		}
	}
}

// read gathers the lines of one batch.
func (s *Service) read(in *lines) *batch {
	b := &batch{}
	for len(b.bodies)+len(b.skipped) < s.cfg.Limits.Batch && b.bytes < batchBytes && b.end == nil {
		line, number, err := in.next()
		switch {
		case errors.Is(err, fhir.E(fhir.TooLarge)):
			b.skipped = append(b.skipped, Fault{number, err})
		case err != nil:
			b.end = err
		default:
			b.numbers, b.bodies, b.bytes = append(b.numbers, number), append(b.bodies, line), b.bytes+len(line)
		}
	}
	b.last = in.n
	return b
}

// store begins to commit a batch; wait tells when that is done. While the
// store is busy it tries again, and so the sender waits.
func (s *Service) store(ctx context.Context, c interact.Caller, b *batch) {
	b.stored = make(chan struct{})
	go func() {
		defer close(b.stored)
		pause := 50 * time.Millisecond
		for n := 1; len(b.bodies) > 0; n++ {
			b.faults, b.err = b.ready.Commit(ctx, c)
			if !errors.Is(b.err, fhir.E(fhir.Busy)) || n == patience || ctx.Err() != nil {
				break
			}
			select {
			case <-time.After(pause):
				pause *= 2
			case <-ctx.Done():
			}
		}
	}()
}

// wait returns b when it has been stored; nil is no batch.
func (b *batch) wait() *batch {
	if b != nil {
		<-b.stored
	}
	return b
}

// add reports on the lines of a batch; after limit faults the import ends.
func (r *Report) add(b *batch, limit int) {
	if b.err != nil {
		r.Stopped = b.err
		return
	}
	own := b.skipped
	for i, fault := range b.faults {
		if fault != nil {
			own = append(own, Fault{b.numbers[i], fault})
		}
	}
	slices.SortFunc(own, func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) })
	r.Lines, r.Stored, r.Faults = b.last, r.Stored+len(b.bodies)+len(b.skipped)-len(own), append(r.Faults, own...)
	if len(r.Faults) >= limit {
		r.Stopped = fhir.Errorf(fhir.Unprocessable, "there are too many faults; the lines behind these were not looked at")
	}
}
