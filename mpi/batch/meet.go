package batch

import (
	"cmp"
	"context"
	"slices"

	"hutong/mpi/block"
)

// wideUpTo is the file size up to which blocks are made from pairs of whatever
// survives (about 250 keys a record); larger files meet under the index's own
// keys, since the wide ones would not fit into memory.
const wideUpTo = 200_000

// Bounds of blocks: longer lists say too little, and of the shorter ones as
// many are read, the shortest first, as make perRecord pairs a record.
const (
	maxList   = 500
	perRecord = 150
	budget    = 40_000_000 // pairs, whatever the file: 24 bytes each later on
)

// posting is a record under a key; keys are hashes, and a rare clash of two
// costs a comparison and no more.
type posting struct {
	key    uint64
	record int32
}

// span is the postings of one key.
type span struct{ from, to int }

// meet gathers the pairs that share a block key, each once.
func (r *run) meet(ctx context.Context) error {
	postings, err := r.postings(ctx)
	if err != nil {
		return err
	}
	spans := r.spans(postings)
	most := min(budget, max(perRecord*len(r.records), 1_000_000))
	for i, s := range spans {
		if i%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if len(r.pairs) >= most {
			if r.once(); len(r.pairs) >= most*3/4 {
				r.res.Skipped += len(spans) - i
				break
			}
		}
		r.pairsOf(postings[s.from:s.to])
	}
	r.once()
	r.res.Compared = len(r.pairs)
	return ctx.Err()
}

// postings lists every record under its keys, by key.
func (r *run) postings(ctx context.Context) ([]posting, error) {
	keys := block.Wide
	if len(r.records) > wideUpTo {
		keys = block.Keys
	}
	var out []posting
	for i, rec := range r.records {
		if i%1024 == 0 {
			r.o.Progress("block", i, len(r.records))
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
		}
		for _, k := range keys(rec, r.o.Now) {
			out = append(out, posting{k.Hash*31 + uint64(k.Pass), int32(i)})
		}
	}
	slices.SortFunc(out, func(x, y posting) int {
		return cmp.Or(cmp.Compare(x.key, y.key), cmp.Compare(x.record, y.record))
	})
	return out, nil
}

// spans lists the keys that two records and not too many share, the shortest
// first.
func (r *run) spans(postings []posting) []span {
	var out []span
	for from := 0; from < len(postings); {
		to := from + 1
		for to < len(postings) && postings[to].key == postings[from].key {
			to++
		}
		switch {
		case to-from > maxList:
			r.res.Skipped++
		case to-from > 1:
			out = append(out, span{from, to})
		}
		from = to
	}
	slices.SortFunc(out, func(x, y span) int { return cmp.Or(cmp.Compare(x.to-x.from, y.to-y.from), cmp.Compare(x.from, y.from)) })
	return out
}

func (r *run) pairsOf(list []posting) {
	for i, a := range list {
		for _, b := range list[i+1:] {
			if a.record != b.record && r.across(int(a.record), int(b.record)) {
				r.pairs = append(r.pairs, [2]int32{a.record, b.record})
			}
		}
	}
}

// once sorts the pairs and drops repeats.
func (r *run) once() {
	slices.SortFunc(r.pairs, func(x, y [2]int32) int { return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1])) })
	r.pairs = slices.Compact(r.pairs)
}
