package normal

import (
	_ "embed"
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
