package shelf

import (
	"cmp"
	"context"
	"runtime"

	"golang.org/x/sync/errgroup"

	"hutong/mpi/block"
)

// chunkRows is how many rows go to a goroutine at once.
const chunkRows = 1024

// stored is a run of rows, one behind the other: id and value end at ends.
type stored struct {
	bytes []byte
	ends  []int
}

// Fill puts all stored records in. walk gives them, in bytes that hold until do
// returns, and keys appends the keys of one to dst: one goroutine walks, the
// others put in. Loaded is to be called afterwards.
func (s *Shelf) Fill(ctx context.Context, walk func(ctx context.Context, do func(id, value []byte) error) error, keys func(dst []block.Key, id string, value []byte) ([]block.Key, error)) error {
	g, ctx := errgroup.WithContext(ctx)
	chunks, spare := make(chan stored, runtime.GOMAXPROCS(0)), make(chan stored, 4*runtime.GOMAXPROCS(0))
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			var room []block.Key
			for c := range chunks {
				at := 0
				for i := 0; i < len(c.ends); i += 2 {
					id := string(c.bytes[at:c.ends[i]])
					var err error
					if room, err = keys(room[:0], id, c.bytes[c.ends[i]:c.ends[i+1]]); err != nil {
						return err
					}
					s.Load(id, room)
					at = c.ends[i+1]
				}
				select {
				case spare <- stored{c.bytes[:0], c.ends[:0]}:
				default:
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		defer close(chunks)
		var c stored
		give := func() error {
			select {
			case chunks <- c:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			select {
			case c = <-spare:
			default:
				c = stored{}
			}
			return nil
		}
		err := walk(ctx, func(id, value []byte) error {
			c.bytes = append(c.bytes, id...)
			c.ends = append(c.ends, len(c.bytes))
			c.bytes = append(c.bytes, value...)
			if c.ends = append(c.ends, len(c.bytes)); len(c.ends) == 2*chunkRows {
				return give()
			}
			return nil
		})
		return cmp.Or(err, give())
	})
	return g.Wait()
}
