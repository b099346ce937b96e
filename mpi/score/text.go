package score

import (
	"bytes"
	"math/bits"
)

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
	var p pairing
	if p.set(a, b) {
		return p.slip()
	}
	var bufA, bufB [40]rune
	return oneSlip(appendRunes(bufA[:0], a), appendRunes(bufB[:0], b))
}

// pairing holds two texts of at most 64 characters against each other, a word
// of bits at a time (after Hyyrö 2003). Characters are numbered as they appear
// in a; what only b has is one more number, equal to none of a's.
type pairing struct {
	bufA, bufB [64]byte
	lenA, lenB int        // no slices of itself: it stays on the stack
	at         [65]uint64 // places in a of each number
}

// set takes the texts in; ok is false if one is too long.
func (p *pairing) set(a, b string) (ok bool) {
	if ascii(a) && ascii(b) {
		return p.setASCII(a, b)
	}
	var known [64]rune
	n, length := 0, 0
	for _, r := range a {
		if length == len(p.bufA) {
			return false
		}
		c := index(known[:n], r)
		if c == n {
			known[n] = r
			n++
		}
		p.bufA[length] = byte(c)
		p.at[c] |= 1 << length
		length++
	}
	p.lenA = length
	length = 0
	for _, r := range b {
		if length == len(p.bufB) {
			return false
		}
		c := index(known[:n], r)
		if c == n {
			c = other
		}
		p.bufB[length] = byte(c)
		length++
	}
	p.lenB = length
	return true
}

const other = 64

func index(known []rune, r rune) int {
	for i, k := range known {
		if k == r {
			return i
		}
	}
	return len(known)
}

func (p *pairing) setASCII(a, b string) bool {
	var number [128]byte // from 1
	n := byte(0)
	for i := 0; i < len(a); i++ {
		c := number[a[i]]
		if c == 0 {
			n++
			c = n
			number[a[i]] = c
		}
		p.bufA[i] = c - 1
		p.at[c-1] |= 1 << i
	}
	for i := 0; i < len(b); i++ {
		if c := number[b[i]]; c == 0 {
			p.bufB[i] = other
		} else {
			p.bufB[i] = c - 1
		}
	}
	p.lenA, p.lenB = len(a), len(b)
	return true
}

// ascii reports texts of at most 64 ASCII characters.
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

// dice is the function of that name.
func (p *pairing) dice() float64 {
	if p.lenA < 2 || p.lenB < 2 {
		return 0
	}
	used, shared := uint64(0), 0
	for i := 1; i < p.lenB; i++ {
		if x := p.at[p.bufB[i-1]] & (p.at[p.bufB[i]] >> 1) &^ used; x != 0 {
			used |= x & -x
			shared++
		}
	}
	return 2 * float64(shared) / float64(p.lenA+p.lenB-2)
}

// jaroWinkler is the function of that name.
func (p *pairing) jaroWinkler() float64 {
	a, b := p.bufA[:p.lenA], p.bufB[:p.lenB]
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	reach := max(0, max(len(a), len(b))/2-1)
	hitA, hitB := uint64(0), uint64(0)
	window := uint64(1)<<(reach+1) - 1 // places of a that the first of b reaches
	for j := range b {
		if x := p.at[b[j]] & window &^ hitA; x != 0 {
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

// slip is oneSlip.
func (p *pairing) slip() bool {
	a, b := p.bufA[:p.lenA], p.bufB[:p.lenB]
	if len(a) == len(b) {
		i := 0
		for i < len(a) && a[i] == b[i] {
			i++
		}
		switch {
		case i == len(a):
			return false
		case bytes.Equal(a[i+1:], b[i+1:]):
			return true
		}
		return i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && bytes.Equal(a[i+2:], b[i+2:])
	}
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
	return bytes.Equal(a[i:], b[i+1:])
}

// likenesses gives a slip, dice and jaroWinkler of two texts, and the length of
// the shorter.
func likenesses(a, b string) (slip bool, d, jw float64, shorter int) {
	var p pairing
	if p.set(a, b) {
		return p.slip(), p.dice(), p.jaroWinkler(), min(p.lenA, p.lenB)
	}
	var bufA, bufB [64]rune
	ra, rb := appendRunes(bufA[:0], a), appendRunes(bufB[:0], b)
	return oneSlip(ra, rb), dice(ra, rb), jaroWinkler(ra, rb), min(len(ra), len(rb))
}
