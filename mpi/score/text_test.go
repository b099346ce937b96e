package score

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestPairing holds the likenesses by bits to those letter by letter. The
// letters of a are matched to those of b in one and in the other order, which
// may differ where a letter occurs often; both are Jaro's.
func TestPairing(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 5))
	text := func() string {
		b := make([]byte, rng.IntN(14))
		for i := range b {
			b[i] = "abcde "[rng.IntN(6)]
		}
		if rng.IntN(2) == 0 {
			return strings.NewReplacer("a", "张", "e", "路").Replace(string(b))
		}
		return string(b)
	}
	for range 100_000 {
		a, b := text(), text()
		var p pairing
		if !p.set(a, b) {
			t.Fatal("too long")
		}
		d, jw := p.dice(), p.jaroWinkler()
		ra, rb := []rune(a), []rune(b)
		if want := dice(ra, rb); d != want {
			t.Fatalf("dice of %q and %q is %v, want %v", a, b, d, want)
		}
		if w1, w2 := jaroWinkler(ra, rb), jaroWinkler(rb, ra); math.Abs(jw-w1) > 1e-12 && math.Abs(jw-w2) > 1e-12 {
			t.Fatalf("jaroWinkler of %q and %q is %v, want %v or %v", a, b, jw, w1, w2)
		}
		if got, want := p.slip(), oneSlip(ra, rb); got != want {
			t.Fatalf("a slip between %q and %q: %v, want %v", a, b, got, want)
		}
	}
}
