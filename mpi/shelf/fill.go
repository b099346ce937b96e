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

// Stored is what a Shelf keeps of a stored record.
type Stored struct {
	Keys     []block.Key
	Revision uint64
	Brief    []byte
}

// Fill puts all stored records in. walk gives them, in bytes that hold until do
// returns, and read reads one, in the room that its Stored has: one goroutine
// walks, the others put in. Loaded is to be called afterwards.
func (s *Shelf) Fill(ctx context.Context, walk func(ctx context.Context, do func(id, value []byte) error) error, read func(id string, value []byte, into *Stored) error) error {
	g, ctx := errgroup.WithContext(ctx)
	chunks, spare := make(chan stored, runtime.GOMAXPROCS(0)), make(chan stored, 4*runtime.GOMAXPROCS(0))
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			var room Stored
			var numbers []uint32
			var frames []byte
			for c := range chunks {
				at := 0
				numbers, frames = numbers[:0], frames[:0]
				for i := 0; i < len(c.ends); i += 2 {
					id := string(c.bytes[at:c.ends[i]])
					room.Keys, room.Brief = room.Keys[:0], room.Brief[:0]
					if err := read(id, c.bytes[c.ends[i]:c.ends[i+1]], &room); err != nil {
						return err
					}
					if n, _ := s.Load(id, room.Keys); n != 0 && s.briefs != nil {
						b := brief{room.Revision, room.Brief}
						numbers, frames = append(numbers, n), b.frame(frames)
					}
					at = c.ends[i+1]
				}
				s.briefs.fill(numbers, frames)
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
