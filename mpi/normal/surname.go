package normal

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
)

// surnamesData holds compound surnames, surname readings and foreign spellings.
//
//go:embed data/surnames.txt
var surnamesData string

type surnameTable struct {
	compound map[string]bool
	readings map[string][]string // han surname -> toneless readings
	spelling map[string][]string // Latin spelling -> pinyin readings
}

var surnames = sync.OnceValue(func() *surnameTable {
	t := &surnameTable{map[string]bool{}, map[string][]string{}, map[string][]string{}}
	for line := range strings.Lines(surnamesData) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		for _, w := range strings.Fields(line) {
			t.add(w)
		}
	}
	return t
})

func (t *surnameTable) add(w string) {
	key, value, found := strings.Cut(w, "=")
	switch {
	case !found:
		t.compound[key] = true
	case key[0] == '+':
		t.spelling[key[1:]] = strings.Split(value, "|")
	default:
		t.readings[key] = strings.Split(value, "|")
	}
}

// SplitHan divides a folded han name into family and given name. A compound
// surname counts only if a given name remains; a single character is all
// family.
func SplitHan(text string) (family, given string) {
	r := []rune(text)
	t := surnames()
	for n := min(4, len(r)-1); n >= 2; n-- {
		if t.compound[string(r[:n])] {
			return string(r[:n]), string(r[n:])
		}
	}
	if len(r) == 0 {
		return "", ""
	}
	return string(r[:1]), string(r[1:])
}

// givenData holds syllables of given names in Cantonese spelling.
//
//go:embed data/given.txt
var givenData string

// romanised maps syllables in Cantonese and in Wade-Giles spelling to pinyin.
var romanised = sync.OnceValue(func() map[string][]string {
	m := map[string][]string{}
	add := func(spelling, sound string) {
		if !slices.Contains(m[spelling], sound) {
			m[spelling] = append(m[spelling], sound)
		}
	}
	for line := range strings.Lines(givenData) {
		for w := range strings.FieldsSeq(line) {
			if spelling, sounds, ok := strings.Cut(w, "="); ok {
				for s := range strings.SplitSeq(sounds, "|") {
					add(spelling, s)
				}
			}
		}
	}
	for _, sound := range []string{"a", "ai", "an", "ang", "ao", "en", "ou", "zhi", "chi", "shi", "ri", "zi", "ci", "si", "e", "er"} {
		add(wadeGiles(sound), sound)
	}
	for _, initial := range strings.Fields("b p m f d t n l g k h j q x zh ch sh r z c s y w") {
		for _, final := range strings.Fields("a o e i u v ai ei ui ao ou iu ie ue an en in un ang eng ing ong ia iao ian iang iong ua uo uai uan uang") {
			add(wadeGiles(initial+final), initial+final)
		}
	}
	return m
})

var wadeGilesWhole = map[string]string{"zhi": "chih", "chi": "chih", "shi": "shih", "ri": "jih", "zi": "tzu", "ci": "tzu", "si": "ssu", "er": "erh", "e": "e",
	"yan": "yen", "you": "yu", "yi": "i", "ye": "yeh", "yue": "yueh", "ge": "ko", "ke": "ko", "he": "ho"}

// wadeGiles spells a pinyin syllable as Wade and Giles did, without their
// apostrophes, which papers leave out.
func wadeGiles(s string) string {
	if w := wadeGilesWhole[s]; w != "" {
		return w
	}
	initials := []string{"zh", "ch", "ch", "ch", "sh", "sh", "j", "ch", "q", "ch", "x", "hs", "z", "ts", "c", "ts", "b", "p", "d", "t", "g", "k", "r", "j"}
	rest := s
	head := ""
	for i := 0; i < len(initials); i += 2 {
		if after, ok := strings.CutPrefix(s, initials[i]); ok {
			head, rest = initials[i+1], after
			break
		}
	}
	switch {
	case rest == "uo" && head != "k" && head != "sh":
		rest = "o"
	case strings.HasSuffix(rest, "ong"):
		rest = rest[:len(rest)-3] + "ung"
	case rest == "ian":
		rest = "ien"
	case rest == "ie" || rest == "ue":
		rest += "h"
	}
	return head + rest
}

// respelled gives the pinyin that a Latin given name may stand for, syllables
// apart or not (tse tung, kwok wing), at most maxReadings; nil if it does not
// divide into syllables of other spellings.
func respelled(given string) []string {
	given = strings.ReplaceAll(given, " ", "")
	if len(given) > 14 {
		return nil
	}
	return syllabify(given, 3)
}

// syllabify divides s into at most so many syllables, each in all its readings.
func syllabify(s string, most int) (out []string) {
	if s == "" {
		return []string{""}
	}
	for n := min(6, len(s)); n > 0 && most > 0; n-- {
		sounds := romanised()[s[:n]]
		if sounds == nil {
			continue
		}
		for _, rest := range syllabify(s[n:], most-1) {
			for _, sound := range sounds {
				if len(out) < maxReadings && !slices.Contains(out, sound+rest) {
					out = append(out, sound+rest)
				}
			}
		}
	}
	return out
}
