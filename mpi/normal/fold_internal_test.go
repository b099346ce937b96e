package normal

import "testing"

// TestFoldCommon: the short way gives what the long way gives, for every
// character that it takes.
func TestFoldCommon(t *testing.T) {
	t.Parallel()
	taken := 0
	for r := rune(1); r < 0x30000; r++ {
		s := "a" + string(r) + "B "
		if got, ok := foldCommon(s); ok {
			taken++
			if want := foldAny(s); got != want {
				t.Errorf("%q: %q, the long way %q", s, got, want)
			}
		}
		if r >= firstHan && r <= lastHan && !IsHan(r) {
			t.Errorf("%q is no han character", r)
		}
	}
	if taken != lastHan-firstHan+1+0x7f {
		t.Errorf("%d taken", taken)
	}
}
