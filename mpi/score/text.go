package score

import "math/bits"

// jaroWinkler is the similarity of two texts, 0..1 (Winkler 1990): shared
// characters near the same place, with a bonus for a common beginning.
func jaroWinkler(a, b []rune) float64 {
	j := jaro(a, b)
	prefix := 0
	for prefix < min(len(a), len(b), 4) && a[prefix] == b[prefix] {
		prefix++
	}
	return j + float64(prefix)*0.1*(1-j)
}

func jaro(a, b []rune) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	reach := max(0, max(len(a), len(b))/2-1)
	var aHit, bHit [64]bool
	if len(a) > 64 || len(b) > 64 {
		a, b = a[:min(64, len(a))], b[:min(64, len(b))]
	}
	hits := 0
	for i := range a {
		for j := max(0, i-reach); j < min(len(b), i+reach+1); j++ {
			if !bHit[j] && a[i] == b[j] {
				aHit[i], bHit[j] = true, true
				hits++
				break
			}
		}
	}
	if hits == 0 {
		return 0
	}
	m := float64(hits)
	return (m/float64(len(a)) + m/float64(len(b)) + (m-float64(transposed(a, b, &aHit, &bHit))/2)/m) / 3
}

func transposed(a, b []rune, aHit, bHit *[64]bool) int {
	n, j := 0, 0
	for i := range a {
		if !aHit[i] {
			continue
		}
		for !bHit[j] {
			j++
		}
		if a[i] != b[j] {
			n++
		}
		j++
	}
	return n
}

// oneSlip reports whether a and b differ by one insertion, deletion,
// replacement or exchange of neighbours. Equal texts are no slip.
func oneSlip(a, b []rune) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) != len(b) {
		return equal(a[i:], b[i+1:])
	}
	switch {
	case i == len(a):
		return false
	case equal(a[i+1:], b[i+1:]):
		return true
	}
	return i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && equal(a[i+2:], b[i+2:])
}

func equal(a, b []rune) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// dice is the overlap of the character pairs of two texts, 0..1: blind to the
// order of words.
func dice(a, b []rune) float64 {
	if len(a) < 2 || len(b) < 2 {
		return 0
	}
	// Texts are short: looking through beats a table.
	var used [128]bool
	a, b = a[:min(len(a), len(used))], b[:min(len(b), len(used))]
	shared := 0
	for i := 1; i < len(b); i++ {
		for j := 1; j < len(a); j++ {
			if !used[j] && a[j] == b[i] && a[j-1] == b[i-1] {
				used[j] = true
				shared++
				break
			}
		}
	}
	return 2 * float64(shared) / float64(len(a)+len(b)-2)
}

// appendRunes is []rune(s) into a buffer.
func appendRunes(dst []rune, s string) []rune {
	for _, r := range s {
		dst = append(dst, r)
	}
	return dst
}

// slip is oneSlip on texts.
func slip(a, b string) bool {
	if d := len(a) - len(b); d > 4 || d < -4 {
		return false
	}
	if ascii(a) && ascii(b) {
		return slipASCII(a, b)
	}
	var bufA, bufB [40]rune
	return oneSlip(appendRunes(bufA[:0], a), appendRunes(bufB[:0], b))
}

// letterMap tells for each ASCII letter at which places of a text of at most 64
// letters it stands: with it likenesses are counted a word of bits at a time
// (after Hyyrö 2003).
type letterMap [128]uint64

// mapped fills the map; ok is false for texts that are too long or not ASCII.
func (m *letterMap) mapped(s string) (ok bool) {
	if len(s) > 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
		m[s[i]] |= 1 << i
	}
	return true
}

// ascii reports texts that mapped would take.
func ascii(s string) bool {
	if len(s) > 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// likenesses gives dice and jaroWinkler of two texts.
func likenesses(a, b string) (d, jw float64) {
	var m letterMap
	if !ascii(b) || !m.mapped(a) {
		var bufA, bufB [64]rune
		ra, rb := appendRunes(bufA[:0], a), appendRunes(bufB[:0], b)
		return dice(ra, rb), jaroWinkler(ra, rb)
	}
	return m.dice(a, b), m.jaroWinkler(a, b)
}

func (m *letterMap) dice(a, b string) float64 {
	if len(a) < 2 || len(b) < 2 {
		return 0
	}
	used, shared := uint64(0), 0
	for i := 1; i < len(b); i++ {
		if x := m[b[i-1]] & (m[b[i]] >> 1) &^ used; x != 0 {
			used |= x & -x
			shared++
		}
	}
	return 2 * float64(shared) / float64(len(a)+len(b)-2)
}

func (m *letterMap) jaroWinkler(a, b string) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	reach := max(0, max(len(a), len(b))/2-1)
	hitA, hitB := uint64(0), uint64(0)
	window := uint64(1)<<(reach+1) - 1 // places of a that letter 0 of b reaches
	for j := 0; j < len(b); j++ {
		if x := m[b[j]] & window &^ hitA; x != 0 {
			hitA |= x & -x
			hitB |= 1 << j
		}
		window <<= 1
		if j < reach {
			window |= 1
		}
	}
	if hitA == 0 {
		return 0
	}
	n, crossed := float64(bits.OnesCount64(hitA)), 0
	for ; hitA != 0; hitA, hitB = hitA&(hitA-1), hitB&(hitB-1) {
		if a[bits.TrailingZeros64(hitA)] != b[bits.TrailingZeros64(hitB)] {
			crossed++
		}
	}
	j := (n/float64(len(a)) + n/float64(len(b)) + (n-float64(crossed)/2)/n) / 3
	prefix := 0
	for prefix < min(len(a), len(b), 4) && a[prefix] == b[prefix] {
		prefix++
	}
	return j + float64(prefix)*0.1*(1-j)
}

// slipASCII is oneSlip on ASCII texts.
func slipASCII(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) != len(b) {
		return a[i:] == b[i+1:]
	}
	switch {
	case i == len(a):
		return false
	case a[i+1:] == b[i+1:]:
		return true
	}
	return i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}
