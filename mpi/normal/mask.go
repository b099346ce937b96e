package normal

import "strings"

// MaskCode hides the middle of a number: 110105********002X. Short numbers
// keep only their last two characters.
func MaskCode(v string) string {
	r := []rune(v)
	switch {
	case len(r) >= 15:
		return string(r[:6]) + strings.Repeat("*", len(r)-10) + string(r[len(r)-4:])
	case len(r) >= 6:
		return string(r[:2]) + strings.Repeat("*", len(r)-4) + string(r[len(r)-2:])
	}
	return strings.Repeat("*", len(r))
}

// MaskName keeps the family name: 张*, 欧阳**. Latin names keep the first letter
// of each word.
func MaskName(v string) string {
	if han(v) {
		family, given := SplitHan(v)
		if dotted(v) {
			r := []rune(v)
			family, given = string(r[:1]), string(r[1:])
		}
		return family + strings.Repeat("*", runeLen(given))
	}
	words := strings.Fields(v)
	for i, w := range words {
		r := []rune(w)
		words[i] = string(r[:1]) + strings.Repeat("*", len(r)-1)
	}
	return strings.Join(words, " ")
}

// MaskPhone hides the middle: 138****5678.
func MaskPhone(v string) string {
	r := []rune(v)
	if len(r) < 8 {
		return strings.Repeat("*", len(r))
	}
	return string(r[:3]) + strings.Repeat("*", len(r)-7) + string(r[len(r)-4:])
}
