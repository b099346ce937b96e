package normal

import (
	_ "embed"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// simplifiedData holds one pair a line: the traditional character, then the
// simplified one. From OpenCC's TSCharacters.txt (Apache-2.0), first target.
//
//go:embed data/simplified.txt
var simplifiedData string

var simplified = sync.OnceValue(func() map[rune]rune {
	m := make(map[rune]rune, 4096)
	for line := range strings.Lines(simplifiedData) {
		r := []rune(strings.TrimSpace(line))
		if len(r) == 2 {
			m[r[0]] = r[1]
		}
	}
	return m
})

// IsHan reports whether r is a Chinese character, extension planes included.
func IsHan(r rune) bool {
	if r < utf8.RuneSelf || r >= firstHan && r <= lastHan {
		return r >= firstHan
	}
	return unicode.Is(unicode.Han, r)
}

// isDot reports the marks that separate the parts of a minority or foreign
// name: U+00B7 and what keyboards produce in its place.
func isDot(r rune) bool {
	switch r {
	case '·', '•', '・', '．', '.', '‧', '･', '∙', '⋅', '●':
		return true
	}
	return false
}

// Fold gives the comparison form of text: NFKC, lower case, traditional to
// simplified, no diacritics, no dots or apostrophes, other punctuation as one
// space, and no spaces beside a han character. The result of Fold folds to itself.
func Fold(s string) string {
	if ascii(s) {
		return squeeze(strings.ToLower(s))
	}
	if simple, ok := foldCommon(s); ok {
		return squeeze(simple)
	}
	return squeeze(foldAny(s))
}

// foldAny is the part of Fold before squeeze.
func foldAny(s string) string {
	table := simplified()
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range norm.NFKD.String(strings.ToLower(norm.NFKC.String(s))) {
		if unicode.Is(unicode.Mn, r) {
			continue
		}
		if t, ok := table[r]; ok {
			r = t
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return norm.NFC.String(b.String())
}

// The han characters of one block, which no normalisation changes.
const firstHan, lastHan = 0x4E00, 0x9FFF

// commonHan is simplified for the characters of that block.
var commonHan = sync.OnceValue(func() *[lastHan - firstHan + 1]rune {
	var t [lastHan - firstHan + 1]rune
	table := simplified()
	for i := range t {
		r := rune(firstHan + i)
		if t[i] = r; table[r] != 0 {
			t[i] = table[r]
		}
	}
	return &t
})

// foldCommon is foldAny for texts of ASCII and of
// common han characters alone, which is most of them.
func foldCommon(s string) (folded string, ok bool) {
	table := commonHan()
	var room [128]byte
	out := room[:0]
	for _, r := range s {
		switch {
		case r < utf8.RuneSelf:
			out = append(out, byte(unicode.ToLower(r)))
		case r >= firstHan && r <= lastHan:
			out = utf8.AppendRune(out, table[r-firstHan])
		default:
			return "", false
		}
	}
	return string(out), true
}

func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// squeeze drops joining marks, turns other punctuation into single spaces and
// takes the spaces beside han characters away.
func squeeze(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	space, last := false, rune(0)
	for _, r := range s {
		switch {
		case isDot(r) || r == '\'' || r == '’' || r == '`':
			continue
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			space = true
			continue
		}
		if space && last != 0 && !IsHan(r) && !IsHan(last) {
			b.WriteByte(' ')
		}
		space, last = false, r
		b.WriteRune(r)
	}
	return b.String()
}

// clip bounds a text to n characters, since comparisons cost more than its
// length. Names and addresses that people have are shorter.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	count := 0
	for i := range s {
		if count == n {
			return s[:i]
		}
		count++
	}
	return s
}

// runeLen counts characters, not bytes: rare characters are four bytes long.
func runeLen(s string) int { return len([]rune(s)) }

//go:embed data/lookalike.txt
var lookalikeData string

// lookalikes lists for each character those that are taken for it.
var lookalikes = sync.OnceValue(func() map[rune]string {
	m := map[rune]string{}
	for line := range strings.Lines(lookalikeData) {
		if group := strings.TrimSpace(line); !strings.HasPrefix(group, "#") {
			for _, r := range group {
				m[r] += group
			}
		}
	}
	return m
})

// LookAlike reports two characters that are taken for each other by eye
// (形近字): 己 and 已.
func LookAlike(a, b rune) bool { return strings.ContainsRune(lookalikes()[a], b) }
