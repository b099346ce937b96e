package shelf

import (
	"slices"

	"hutong/mpi/block"
)

// Loader puts many stored records in at once: postings wait until there are
// enough of them, are sorted by list, and then go through each shard once and in
// order, where one after another would wait for memory at every list. For one
// goroutine; several Loaders may work side by side.
type Loader struct {
	s       *Shelf
	caps    []int     // of lists, each once
	capOf   [16]uint8 // by pass: which of caps
	numbers []uint32  // of the records that wait
	words   []uint64  // their postings: shard and tag of the key, cap, index in numbers
	spare   []uint64
	out     []byte   // a bucket as it becomes
	items   []uint32 // a list as it becomes
}

// Bits of a word, from the lowest.
const (
	indexBits = 19 // so many records wait at most: about 100 MiB of words
	capBits   = 2
	keyShift  = indexBits + capBits
)

// Loader makes one. Until Loaded is called, changes are put off: lists are not
// to be read.
func (s *Shelf) Loader() *Loader {
	l := &Loader{s: s}
	for p := range l.capOf {
		n := block.Pass(p).Cap()
		at := slices.Index(l.caps, n)
		if at < 0 {
			at = len(l.caps)
			l.caps = append(l.caps, n)
		}
		l.capOf[p] = uint8(at)
	}
	return l
}

// Add puts a stored record under its keys, unless the record is known: then a
// change came before, which is newer than what was read.
func (l *Loader) Add(id string, keys []block.Key) {
	n, fresh := l.s.ids.number(id)
	if n == 0 {
		l.s.Doubt(keys)
	}
	if !fresh {
		return
	}
	if len(l.numbers) == 1<<indexBits {
		l.Flush()
	}
	at := uint64(len(l.numbers))
	l.numbers = append(l.numbers, n)
	for _, k := range keys {
		l.words = append(l.words, spread(k)>>(64-shardBits-32)<<keyShift|uint64(l.capOf[k.Pass])<<indexBits|at)
	}
}

// Flush puts in what waits.
func (l *Loader) Flush() {
	var ends [1 << shardBits]int
	for _, w := range l.words {
		ends[w>>(64-1-shardBits)]++
	}
	sum := 0
	for i, n := range ends {
		ends[i] = sum
		sum += n
	}
	l.spare = slices.Grow(l.spare[:0], len(l.words))[:len(l.words)]
	for _, w := range l.words {
		at := &ends[w>>(64-1-shardBits)]
		l.spare[*at] = w
		*at++
	}
	from := 0
	for i, to := range ends {
		if words := l.spare[from:to]; len(words) > 0 {
			slices.Sort(words)
			l.fill(&l.s.shards[i], words)
		}
		from = to
	}
	l.words, l.numbers = l.words[:0], l.numbers[:0]
}

// fill puts the sorted words of one shard in, bucket by bucket.
func (l *Loader) fill(s *shard, words []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin()
	for len(words) > 0 {
		i := s.place(uint32(words[0] >> keyShift))
		to := 1
		for to < len(words) && s.place(uint32(words[to]>>keyShift)) == i {
			to++
		}
		l.merge(s, i, words[:to])
		words = words[to:]
	}
	s.part()
}

// merge puts words into their bucket.
func (l *Loader) merge(s *shard, i int, words []uint64) {
	old, at := s.bucket(i), 0
	l.out = l.out[:0]
	for len(words) > 0 {
		tag := uint32(words[0] >> keyShift)
		from, to := find(old[at:], tag)
		from, to = from+at, to+at
		l.out = append(l.out, old[at:from]...)
		have := decode(old[from:to], l.items[:0])
		for len(words) > 0 && uint32(words[0]>>keyShift) == tag {
			have.add(l.numbers[words[0]&(1<<indexBits-1)], l.caps[words[0]>>indexBits&(1<<capBits-1)])
			words = words[1:]
		}
		l.out = have.encode(l.out, tag)
		if have.items != nil {
			l.items = have.items
		}
		if from == to {
			s.entries++
		}
		at = to
	}
	l.out = append(l.out, old[at:]...)
	s.replace(i, l.out)
}
