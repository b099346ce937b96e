// Package pinyin gives the Latin spellings under which people look for a name
// that is written in han characters: full pinyin, joined and by word, and
// initials. Family names have readings of their own (单 = shan).
package pinyin

import (
	_ "embed"
	"slices"
	"strings"
	"sync/atomic"
	"unicode"

	dictionary "github.com/mozillazg/go-pinyin"
)

//go:embed surnames.txt
var surnameTable string

// Speller spells names. Safe for concurrent use.
type Speller struct {
	args     dictionary.Args
	known    [lastUsual - firstUsual + 1]atomic.Pointer[string] // readings of the usual characters, once they were asked for
	compound []string                                           // longest first
	readings map[string][][]string                              // of family names: alternatives of syllables
}

// The block of the usual characters, CJK Unified Ideographs.
const firstUsual, lastUsual = 0x4E00, 0x9FFF

// reading gives the first reading of a character, "" if it has none. The
// dictionary takes a microsecond to find it, by regular expressions.
func (s *Speller) reading(r rune) string {
	var known *atomic.Pointer[string]
	if r >= firstUsual && r <= lastUsual {
		known = &s.known[r-firstUsual]
		if got := known.Load(); got != nil {
			return *got
		}
	}
	found := ""
	if all := dictionary.SinglePinyin(r, s.args); len(all) > 0 {
		found = all[0]
	}
	if known != nil {
		known.Store(&found)
	}
	return found
}

// NewSpeller reads the table of family names.
func NewSpeller() *Speller {
	s := &Speller{args: dictionary.NewArgs(), readings: map[string][][]string{}}
	for line := range strings.Lines(surnameTable) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		for _, field := range strings.Fields(line) {
			name, readings, special := strings.Cut(field, "=")
			if !special {
				s.compound = append(s.compound, name)
				continue
			}
			for r := range strings.SplitSeq(readings, "|") {
				s.readings[name] = append(s.readings[name], strings.Split(r, "'"))
			}
		}
	}
	slices.SortStableFunc(s.compound, func(a, b string) int { return len(b) - len(a) })
	return s
}

// HasHan reports whether s holds a han character.
func HasHan(s string) bool {
	for _, r := range s {
		if r >= 0x2E80 && unicode.Is(unicode.Han, r) {
			return true
		}
	}
	return false
}

// Split divides a name in han characters without a space into family and given
// name; a name with a middle dot, or of one character, is not divided.
func (s *Speller) Split(name string) (family, given string) {
	runes := []rune(name)
	if strings.ContainsAny(name, "·• ") || len(runes) < 2 || !HasHan(name) {
		return "", name
	}
	if len(runes) >= 3 {
		for _, c := range s.compound {
			if rest, ok := strings.CutPrefix(name, c); ok && rest != "" {
				return c, rest
			}
		}
	}
	return string(runes[:1]), string(runes[1:])
}

// Name gives the spellings of a whole name: "ouyangxiuying", "ouyang xiuying",
// "xiuying", "oyxy". family may be "".
func (s *Speller) Name(family, given string) []string {
	rest := s.words(given)
	var out []string
	for _, f := range s.familyWords(family) {
		words := rest
		if len(f) > 0 {
			words = append([][]string{f}, rest...)
		}
		out = append(out, join(words, ""), join(words, " "), initials(words))
	}
	if family != "" {
		out = append(out, join(rest, ""))
	} else if len(rest) > 1 {
		out = append(out, join(rest[1:], ""))
	}
	return spellings(out)
}

// Family gives the spellings of a family name.
func (s *Speller) Family(family string) []string {
	var out []string
	for _, f := range s.familyWords(family) {
		out = append(out, strings.Join(f, ""))
	}
	return spellings(out)
}

// Given gives the spellings of a given name: in full and its initials.
func (s *Speller) Given(given string) []string {
	words := s.words(given)
	return spellings([]string{join(words, ""), initials(words)})
}

// familyWords gives the alternatives of a family name's syllables; one empty
// alternative for "".
func (s *Speller) familyWords(family string) [][]string {
	if r := s.readings[family]; r != nil {
		return r
	}
	return [][]string{slices.Concat(s.words(family)...)}
}

// words spells text: one word a run between spaces and dots, each of syllables.
func (s *Speller) words(text string) [][]string {
	var words [][]string
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.Han, r) }) {
		var word []string
		latin := ""
		for _, r := range part {
			reading := s.reading(r)
			if reading == "" {
				latin += string(unicode.ToLower(r))
				continue
			}
			if latin != "" {
				word, latin = append(word, latin), ""
			}
			word = append(word, reading)
		}
		if latin != "" {
			word = append(word, latin)
		}
		words = append(words, word)
	}
	return words
}

func join(words [][]string, between string) string {
	var parts []string
	for _, w := range words {
		parts = append(parts, strings.Join(w, ""))
	}
	return strings.Join(parts, between)
}

func initials(words [][]string) string {
	var b strings.Builder
	for _, w := range words {
		for _, syllable := range w {
			for _, r := range syllable {
				b.WriteRune(r)
				break
			}
		}
	}
	return b.String()
}

// spellings drops repeats and empty ones, and adds for ü, which the dictionary
// writes v, what people type instead: lv, lu, lyu.
func spellings(in []string) []string {
	var out []string
	for _, s := range in {
		for _, u := range []string{"v", "u", "yu"} {
			t := strings.ReplaceAll(strings.ReplaceAll(s, "lv", "l"+u), "nv", "n"+u)
			if t != "" && !slices.Contains(out, t) {
				out = append(out, t)
			}
		}
	}
	return out
}
