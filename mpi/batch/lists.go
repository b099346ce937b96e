package batch

import "slices"

// lists is runs of records: a header (length, how often the same run came up),
// then the records, ascending. The same records often meet under many keys (a
// telephone and each of its eleven neighbourhoods): such a run is held once.
type lists struct {
	runs   []uint32
	number []int    // of keys, by the length of their list
	table  []uint32 // open addressing: offset of a run + 1; 0 is free
	used   int
	long   int // keys whose list is too long
}

// A header holds the length of a run below, and how often it came up above.
const (
	lengthBits = 10
	lengthMask = 1<<lengthBits - 1
	timesMask  = 1<<(32-lengthBits) - 1
)

func lengthAt(runs []uint32, at int) int { return int(runs[at] & lengthMask) }
func timesAt(runs []uint32, at int) int  { return int(runs[at] >> lengthBits) }

// each calls do with where each run begins.
func each(runs []uint32, do func(at int)) {
	for at := 0; at < len(runs); at += lengthAt(runs, at) + 1 {
		do(at)
	}
}

// reset empties l and keeps its memory.
func (l *lists) reset(longest int) {
	clear(l.table)
	l.runs, l.number, l.used, l.long = l.runs[:0], make([]int, longest+1), 0, 0
}

// cut divides sorted words (key<<32 | record) into lists. What is too long goes
// to long, or is counted.
func (l *lists) cut(words []uint64, longest int, long func([]uint64)) {
	for from := 0; from < len(words); {
		to := from + 1
		for to < len(words) && words[to]>>32 == words[from]>>32 {
			to++
		}
		run := words[from:to]
		from = to
		switch {
		case len(run) == 1:
		case len(run) <= longest:
			l.key(run)
		case long != nil:
			long(run)
		default:
			l.long++
		}
	}
}

// key adds the records of one key.
func (l *lists) key(run []uint64) {
	at := len(l.runs)
	l.runs = append(l.runs, 0)
	last := uint64(1 << 40)
	for _, w := range run {
		if i := w & 0xffffffff; i != last { // one record under one key twice, by a clash
			l.runs = append(l.runs, uint32(i))
			last = i
		}
	}
	n := len(l.runs) - at - 1
	if n < 2 {
		l.runs = l.runs[:at]
		return
	}
	l.number[n]++
	l.runs[at] = 1<<lengthBits | uint32(n)
	l.settle(at)
}

// add adds a run of other lists.
func (l *lists) add(run []uint32) {
	at := len(l.runs)
	l.runs = append(l.runs, run...)
	l.settle(at)
}

// settle counts the last run, at `at`, to its equal if there is one.
func (l *lists) settle(at int) {
	if 4*(l.used+1) > 3*len(l.table) {
		l.grow()
	}
	run := l.runs[at+1:]
	slot := l.slot(run)
	if l.table[slot] == 0 {
		l.table[slot] = uint32(at) + 1
		l.used++
		return
	}
	same := int(l.table[slot]) - 1
	times := min(timesAt(l.runs, same)+timesAt(l.runs, at), timesMask)
	l.runs[same] = uint32(times)<<lengthBits | uint32(len(run))
	l.runs = l.runs[:at]
}

// slot is where a run is in the table, or the free place where it would be.
func (l *lists) slot(run []uint32) int {
	h := uint64(len(run))
	for _, i := range run {
		h = (h ^ uint64(i)) * 0x9E3779B97F4A7C15
		h ^= h >> 32
	}
	at := int(h & 0xffffffff * uint64(len(l.table)) >> 32)
	for ; l.table[at] != 0; at++ {
		same := int(l.table[at]) - 1
		if n := lengthAt(l.runs, same); n == len(run) && slices.Equal(l.runs[same+1:same+1+n], run) {
			break
		}
		if at == len(l.table)-1 {
			at = -1
		}
	}
	return at
}

// grow makes the table half as large again.
func (l *lists) grow() {
	old := l.table
	l.table = make([]uint32, max(64, len(old)*3/2))
	for _, v := range old {
		if v != 0 {
			at := int(v) - 1
			l.table[l.slot(l.runs[at+1:at+1+lengthAt(l.runs, at)])] = v
		}
	}
}
