package region

import (
	"math"
)

// rng is splitmix64: small, fast, and the same on every machine, which
// math/rand does not promise across releases for all its helpers.
type rng struct{ s uint64 }

// newRNG gives the stream that belongs to the parts: the same parts, the same
// stream, whatever was drawn elsewhere. This is what lets any person be made
// without making the others.
func newRNG(parts ...uint64) *rng { return &rng{hash(parts...)} }

func hash(parts ...uint64) uint64 {
	h := uint64(0x9E3779B97F4A7C15)
	for _, p := range parts {
		h = mix(h ^ mix(p+0x9E3779B97F4A7C15))
	}
	return h
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

func (r *rng) next() uint64 {
	r.s += 0x9E3779B97F4A7C15
	return mix(r.s)
}

// n gives 0 <= x < n.
func (r *rng) n(n int) int { return int(r.next() % uint64(n)) }

// between gives lo <= x <= hi.
func (r *rng) between(lo, hi int) int { return lo + r.n(hi-lo+1) }

// f gives 0 <= x < 1.
func (r *rng) f() float64 { return float64(r.next()>>11) / (1 << 53) }

// p is true with probability p.
func (r *rng) p(p float64) bool { return r.f() < p }

// normal draws from N(0,1), cut to ±3.5.
func (r *rng) normal() float64 {
	u, v := r.f(), r.f()
	z := math.Sqrt(-2*math.Log(1-u)) * math.Cos(2*math.Pi*v)
	return max(-3.5, min(3.5, z))
}

func pick[T any](r *rng, of []T) T { return of[r.n(len(of))] }

// weighted picks an index with the probability of its weight.
func (r *rng) weighted(weights []int) int {
	sum := 0
	for _, w := range weights {
		sum += w
	}
	x := r.n(sum)
	for i, w := range weights {
		if x -= w; x < 0 {
			return i
		}
	}
	return 0
}
