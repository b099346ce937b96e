package shelf

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"hutong/mpi/block"
)

// waiting is the postings of a shard that stored records bring: they wait until
// they are a good part of what the shard holds, are sorted by list, and go
// through it once and in order, where one after another would wait for memory at
// every list.
type waiting struct {
	mu    sync.Mutex
	words []uint64
	held  int // that went in before
}

// A word is a posting: the key's tag, then which cap its list has, then the
// record's number.
const (
	capBits  = 2
	capShift = 27
	tagShift = capShift + capBits
)

// Of a shard waits a half of what it holds, within these bounds: the least spares
// small lists, the most is 128 MiB of all shards.
const leastWaiting, mostWaiting = 1 << 10, 1 << 14

// caps are those of all passes, each once; capOf says which a pass has.
var caps, capOf = func() (caps []int, of [16]uint64) {
	for p := range of {
		n := block.Pass(p).Cap()
		at := slices.Index(caps, n)
		if at < 0 {
			at = len(caps)
			caps = append(caps, n)
		}
		of[p] = uint64(at)
	}
	return caps, of
}()

// Load puts a stored record under its keys, unless the record is known: then a
// change came before, which is newer than what was read. It gives the record's
// number, 0 if there are none left, and whether it was not known. Until Loaded is
// called, changes are put off: lists are not to be read.
func (s *Shelf) Load(id string, keys []block.Key) (n uint32, fresh bool) {
	n, fresh = s.ids.number(id)
	if n == 0 {
		s.Doubt(keys)
	}
	if !fresh {
		return n, false
	}
	for _, k := range keys {
		h := spread(k)
		s.wait(int(h>>(64-shardBits)), uint64(uint32(h>>(32-shardBits)))<<tagShift|capOf[k.Pass]<<capShift|uint64(n))
	}
	return n, true
}

// wait has a posting wait for the others of its shard.
func (s *Shelf) wait(shard int, word uint64) {
	w := &s.waiting[shard]
	w.mu.Lock()
	defer w.mu.Unlock()
	w.words = append(w.words, word)
	if len(w.words) >= min(mostWaiting, max(leastWaiting, w.held/2)) {
		s.fill(shard)
	}
}

// fill puts in what waits of a shard; the caller holds its lock.
func (s *Shelf) fill(shard int) {
	w := &s.waiting[shard]
	f := fillers.Get().(*filler)
	if len(w.words) > 0 {
		f.fill(&s.shards[shard], f.sort(w.words))
	}
	fillers.Put(f)
	w.held += len(w.words)
	w.words = w.words[:0]
}

// fillAll puts in what waits of all shards.
func (s *Shelf) fillAll() {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(s.waiting); i = int(next.Add(1)) - 1 {
				w := &s.waiting[i]
				w.mu.Lock()
				s.fill(i)
				s.shards[i].settle()
				w.words = nil
				w.mu.Unlock()
			}
		})
	}
	wg.Wait()
}

var fillers = sync.Pool{New: func() any { return &filler{} }}

// filler is room to work in.
type filler struct {
	spare [2][]uint64
	out   []byte   // a bucket as it becomes
	items []uint32 // a list as it becomes
}

// sort sorts words by tag, into room of its own: by digits, from the last.
func (f *filler) sort(words []uint64) []uint64 {
	const digit = 11
	for i := range f.spare {
		f.spare[i] = slices.Grow(f.spare[i][:0], len(words))[:len(words)]
	}
	from := words
	for pass := range 3 {
		to, shift := f.spare[pass%2], tagShift+pass*digit
		var ends [1 << digit]int32
		for _, w := range from {
			ends[w>>shift&(1<<digit-1)]++
		}
		sum := int32(0)
		for i, n := range ends {
			ends[i] = sum
			sum += n
		}
		for _, w := range from {
			at := &ends[w>>shift&(1<<digit-1)]
			to[*at] = w
			*at++
		}
		from = to
	}
	return from
}

// fill puts the sorted words of one shard in, bucket by bucket.
func (f *filler) fill(s *shard, words []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin()
	for len(words) > 0 {
		i := s.place(uint32(words[0] >> tagShift))
		to := 1
		for to < len(words) && s.place(uint32(words[to]>>tagShift)) == i {
			to++
		}
		f.merge(s, i, words[:to])
		words = words[to:]
	}
	s.part()
	s.tidy(slack)
}

// slack is how much of a shard's memory may be unused, for each part in use,
// after postings went in: buckets outgrow their blocks, and while all of them
// grow nobody takes the small blocks that they leave.
const slack = 8

// merge puts words into their bucket.
func (f *filler) merge(s *shard, i int, words []uint64) {
	old, at := s.bucket(i), 0
	f.out = f.out[:0]
	for len(words) > 0 {
		tag := uint32(words[0] >> tagShift)
		from, to := find(old[at:], tag)
		from, to = from+at, to+at
		f.out = append(f.out, old[at:from]...)
		have := decode(old[from:to], f.items[:0])
		for len(words) > 0 && uint32(words[0]>>tagShift) == tag {
			have.add(uint32(words[0]&maxNumber), caps[words[0]>>capShift&(1<<capBits-1)])
			words = words[1:]
		}
		f.out = have.encode(f.out, tag)
		if have.items != nil {
			f.items = have.items
		}
		if from == to {
			s.entries++
		}
		at = to
	}
	f.out = append(f.out, old[at:]...)
	s.replace(i, f.out)
}
