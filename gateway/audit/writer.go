package audit

import (
	"context"
	"runtime"
	"time"

	"hutong/fhir"
)

// A request passes three hands. Whoever asks encodes and indexes its events.
// The placer takes what waits, gives each record its place and hash, and so
// fills a batch while the one before is being written. The committer writes
// one batch at a time, waits for the disk and answers. Batches grow with the
// load: what comes in while the disk is waited for is one batch.

// place is the placer: it ends when the queue is closed and empty.
func (l *Log) place(tip Head) {
	defer close(l.batches)
	for first := range l.queue {
		b := &batch{chain: l.chain.name, base: tip, end: tip}
		b.add(first)
		l.fill(b)
		tip = <-l.placed // where the batch ends that was handed over
	}
}

// fill adds what comes until the committer takes the batch.
func (l *Log) fill(b *batch) {
	queue := l.queue
	for {
		runtime.Gosched() // whoever is about to ask asks first
		for len(b.ops) < l.cfg.Batch && l.takeWaiting(b) {
		}
		if len(b.ops) >= l.cfg.Batch {
			queue = nil
		}
		select {
		case l.batches <- b:
			return
		case r, ok := <-queue:
			if !ok {
				queue = nil
				continue
			}
			b.add(r)
		}
	}
}

// takeWaiting adds the next request if one waits.
func (l *Log) takeWaiting(b *batch) bool {
	select {
	case r, ok := <-l.queue:
		if ok {
			b.add(r)
		}
		return ok
	default:
		return false
	}
}

// write is the committer. It makes the head durable when it is due, and at the
// end.
func (l *Log) write(ctx context.Context) {
	defer close(l.done)
	for {
		select {
		case b, ok := <-l.batches:
			if !ok {
				l.keepHead(ctx)
				return
			}
			l.append(ctx, b)
		case <-l.chain.due():
		}
		if l.chain.isDue() {
			l.keepHead(ctx)
		}
	}
}

// append places the batch behind the true end, if it was not, tells the placer
// where it ends, commits it and answers.
func (l *Log) append(ctx context.Context, b *batch) {
	if end := l.Head(); b.base != end {
		b.rebase(end)
	}
	l.placed <- b.end
	err := l.chain.append(ctx, b)
	if err != nil {
		l.cfg.Log.Error().Err(err).Int("requests", len(b.requests)).Msg("audit records not written")
		err = refused(err)
	}
	b.answer(err)
}

func (l *Log) keepHead(ctx context.Context) {
	if err := l.chain.keep(ctx); err != nil {
		l.cfg.Log.Error().Err(err).Msg("audit: head of the chain not written")
	}
}

// overdue is after how many of its intervals the head is waited for; leastPause
// is between attempts to write it.
const (
	overdue    = 20
	leastPause = 10 * time.Millisecond
)

// refused keeps what went wrong for the log of the process; the caller is told
// to try again: the answer is withheld, nothing is wrong with the request.
func refused(err error) error {
	e := fhir.Errorf(fhir.Busy, "the audit record could not be written")
	e.Err = err
	return e
}
