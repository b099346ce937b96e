package normal

import (
	"slices"
	"strings"

	"github.com/mozillazg/go-pinyin"
)

// maxReadings bounds how many readings of one name are kept: three characters
// of three readings each make 27.
const maxReadings = 8

// Reading is the pronunciation of a name: plain has no tones, toned carries a
// digit after each syllable (wei3).
type Reading struct{ Plain, Toned string }

// toneMarks maps a toned vowel to its plain letter and tone.
var toneMarks = map[rune]struct {
	plain string
	tone  byte
}{
	'ā': {"a", '1'}, 'á': {"a", '2'}, 'ǎ': {"a", '3'}, 'à': {"a", '4'},
	'ē': {"e", '1'}, 'é': {"e", '2'}, 'ě': {"e", '3'}, 'è': {"e", '4'},
	'ī': {"i", '1'}, 'í': {"i", '2'}, 'ǐ': {"i", '3'}, 'ì': {"i", '4'},
	'ō': {"o", '1'}, 'ó': {"o", '2'}, 'ǒ': {"o", '3'}, 'ò': {"o", '4'},
	'ū': {"u", '1'}, 'ú': {"u", '2'}, 'ǔ': {"u", '3'}, 'ù': {"u", '4'},
	'ǖ': {"v", '1'}, 'ǘ': {"v", '2'}, 'ǚ': {"v", '3'}, 'ǜ': {"v", '4'}, 'ü': {"v", '5'},
	'ń': {"n", '2'}, 'ň': {"n", '3'}, 'ǹ': {"n", '4'}, 'ḿ': {"m", '2'},
}

// syllables gives the readings of one character, the usual one first.
func syllables(r rune) []Reading {
	var out []Reading
	for s := range strings.SplitSeq(pinyin.PinyinDict[int(r)], ",") {
		if s != "" {
			out = append(out, split(s))
		}
	}
	return out
}

func split(s string) Reading {
	var b strings.Builder
	tone := byte('5')
	for _, r := range s {
		m, ok := toneMarks[r]
		switch {
		case ok:
			b.WriteString(m.plain)
			tone = m.tone
		case r < 0x80:
			b.WriteRune(r)
		}
	}
	return Reading{b.String(), b.String() + string(tone)}
}

// Readings gives the pronunciations of folded han text as a given name, at
// most maxReadings; characters without a reading stand for themselves.
func Readings(han string) []Reading {
	out := []Reading{{}}
	for _, r := range han {
		syl := syllables(r)
		if len(syl) == 0 {
			syl = []Reading{{string(r), string(r)}}
		}
		out = product(out, syl)
	}
	if out[0].Plain == "" {
		return nil
	}
	return out
}

func product(heads, tails []Reading) []Reading {
	out := make([]Reading, 0, len(heads)*len(tails))
	for _, t := range tails {
		for _, h := range heads {
			n := Reading{h.Plain + t.Plain, h.Toned + t.Toned}
			if len(out) < maxReadings && !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	return out
}

// SurnameReadings gives the toneless pronunciations of a folded surname: those
// of a surname where they differ (单 is shan), other romanisations resolved
// (chan is chen) beside the spelling itself.
func SurnameReadings(family string) []string {
	t := surnames()
	if r, ok := t.readings[family]; ok {
		return r
	}
	if family != "" && !IsHan([]rune(family)[0]) {
		s := strings.ReplaceAll(family, " ", "")
		return append([]string{s}, t.spelling[s]...)
	}
	sound := ""
	for _, r := range family {
		syl := syllables(r)
		if len(syl) == 0 {
			return []string{family}
		}
		sound += syl[0].Plain // surnames that sound otherwise are in the table
	}
	if sound == "" {
		return nil
	}
	return []string{sound}
}

// Initials gives the first letters of the syllables of folded han text: 张伟 is
// zw. "" if a character has no reading.
func Initials(han string) string {
	var b strings.Builder
	for _, r := range han {
		syl := syllables(r)
		if len(syl) == 0 {
			return ""
		}
		b.WriteByte(syl[0].Plain[0])
	}
	return b.String()
}

// fuzzyPairs are the sounds that speakers and typists confuse.
var fuzzyPairs = strings.NewReplacer(
	"zh", "z", "ch", "c", "sh", "s", "ang", "an", "eng", "en", "ing", "in",
	"lyu", "lu", "lv", "lu", "nv", "nu", "n", "l", "hu", "f", "r", "l", "yue", "ue")

// FuzzySound maps pinyin to a form in which often confused sounds agree:
// zh/z, ch/c, sh/s, n/l, r/l, h/f, and finals in -n and -ng.
func FuzzySound(plain string) string {
	s := plain
	if strings.HasPrefix(s, "hu") && len(s) > 2 {
		s = "f" + s[2:]
	}
	return fuzzyPairs.Replace(s)
}
