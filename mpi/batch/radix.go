package batch

// radix sorts words by their bits from `from` up to `to`, the order of equals
// kept. spare is as long as words; the result is in one of the two.
func radix(words, spare []uint64, from, to int) []uint64 {
	const width = 11
	for shift := from; shift < to; shift += width {
		mask := uint64(1)<<min(width, to-shift) - 1
		var at [1 << width]int
		for _, w := range words {
			at[w>>shift&mask]++
		}
		sum := 0
		for i, n := range at {
			at[i] = sum
			sum += n
		}
		for _, w := range words {
			d := w >> shift & mask
			spare[at[d]] = w
			at[d]++
		}
		words, spare = spare, words
	}
	return words
}

// bitsFor is how many bits numbers below n need.
func bitsFor(n int) int {
	b := 0
	for 1<<b < n {
		b++
	}
	return b
}
