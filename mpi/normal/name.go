package normal

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// Name is one name of a person in comparison form.
type Name struct {
	Text   string // folded: 张伟, "wang xiaoming"
	Family string // folded; "" if it cannot be told
	Given  string
	Use    string // FHIR HumanName.use
	Temp   bool   // stands for a name not yet given: 某某之子, 无名氏

	FamilySound []string  // toneless readings of Family
	GivenSound  []Reading // readings of Given
	FamilyFuzzy string    // FuzzySound of the first reading
	GivenFuzzy  string
}

// Han reports whether the name is written in Chinese characters.
func (n *Name) Han() bool {
	for _, r := range n.Text {
		if IsHan(r) {
			return true
		}
	}
	return false
}

// maxName is how many characters of a name count.
const maxName = 100

// NewName builds a name from FHIR HumanName parts, of which any may be empty.
// Dotted names (买买提·艾山) are never split.
func NewName(text, family, given, use string) Name {
	text = clip(text, maxName)
	n := Name{Family: Fold(clip(family, maxName)), Given: Fold(clip(given, maxName)), Use: use}
	full := stripTitle(Fold(text))
	switch {
	case full == "" && han(n.Family+n.Given):
		full = n.Family + n.Given
	case full == "":
		full = strings.TrimSpace(n.Family + " " + n.Given)
	}
	n.Text = full
	n.Temp = use == "temp" || temporary(full)
	if n.Family == "" && !dotted(text) {
		n.Family, n.Given = divide(full)
	}
	n.sound()
	return n
}

// sound fills in how the name sounds.
func (n *Name) sound() {
	if n.Temp {
		return
	}
	f, g := heardFamilies.of(n.Family, hearFamily), heardGivens.of(n.Given, hearGiven)
	n.FamilySound, n.FamilyFuzzy = f.family, f.fuzzy
	n.GivenSound, n.GivenFuzzy = g.given, g.fuzzy
}

// heard is how a family or a given name sounds. It does not change.
type heard struct {
	text   string
	family []string
	given  []Reading
	fuzzy  string
}

// memory keeps what was heard lately, by hash: the names of a region come again
// and again. A name takes the place of another of the same hash.
type memory [1 << 14]atomic.Pointer[heard]

var (
	heardFamilies, heardGivens memory
	memorySeed                 = maphash.MakeSeed()
)

func (m *memory) of(text string, hear func(string) heard) *heard {
	at := &m[maphash.String(memorySeed, text)%uint64(len(m))]
	if h := at.Load(); h != nil && h.text == text {
		return h
	}
	h := hear(strings.Clone(text))
	at.Store(&h)
	return &h
}

func hearFamily(text string) heard {
	h := heard{text: text, family: SurnameReadings(text)}
	if len(h.family) > 0 {
		h.fuzzy = FuzzySound(h.family[0])
	}
	return h
}

func hearGiven(text string) heard {
	h := heard{text: text, given: Readings(text)}
	if len(h.given) > 0 && !han(text) {
		s := strings.ReplaceAll(text, " ", "")
		h.given = []Reading{{s, s}}
		for _, sound := range respelled(text) {
			if sound != s && len(h.given) < maxReadings {
				h.given = append(h.given, Reading{sound, sound})
			}
		}
	}
	if len(h.given) > 0 {
		h.fuzzy = FuzzySound(h.given[0].Plain)
	}
	return h
}

// divide tells family from given name: Chinese names begin with the family
// name; a Latin text is taken to end with it unless it reads as pinyin, or as a
// Chinese name in another spelling (yip wah).
func divide(full string) (family, given string) {
	if han(full) {
		return SplitHan(full)
	}
	words := strings.Fields(full)
	if len(words) < 2 {
		return full, ""
	}
	if last := len(words) - 1; !Syllabic(words[0]) && (surnames().spelling[words[0]] == nil || respelled(strings.Join(words[1:], " ")) == nil) {
		return words[last], strings.Join(words[:last], " ")
	}
	return words[0], strings.Join(words[1:], "")
}

// Syllabic reports whether a Latin word can be one pinyin syllable.
func Syllabic(w string) bool {
	rest := w
	for _, initial := range []string{"zh", "ch", "sh", "b", "p", "m", "f", "d", "t", "n", "l", "g", "k", "h", "j", "q", "x", "r", "z", "c", "s", "y", "w"} {
		if strings.HasPrefix(w, initial) {
			rest = w[len(initial):]
			break
		}
	}
	switch rest {
	case "a", "o", "e", "i", "u", "v", "ai", "ei", "ui", "ao", "ou", "iu", "ie", "ue", "ve", "er", "an", "en", "in", "un", "vn",
		"ang", "eng", "ing", "ong", "ia", "iao", "ian", "iang", "iong", "ua", "uo", "uai", "uan", "uang", "yu":
		return true
	}
	return false
}

func han(s string) bool {
	for _, r := range s {
		if IsHan(r) {
			return true
		}
	}
	return false
}

// dotted reports a dot between two han characters: the name of a person whose
// naming has no family name.
func dotted(s string) bool {
	rs := []rune(s)
	for i := 1; i+1 < len(rs); i++ {
		if isDot(rs[i]) && IsHan(rs[i-1]) && IsHan(rs[i+1]) {
			return true
		}
	}
	return false
}

var titles = []string{"先生", "女士", "小姐", "同志", "老师", "医生"}

func stripTitle(s string) string {
	for _, t := range titles {
		if cut, ok := strings.CutSuffix(s, t); ok && runeLen(cut) >= 2 {
			return cut
		}
	}
	return s
}

// temporary reports names that stand for none: 张某之子, 李芳之女, 无名氏.
func temporary(s string) bool {
	for _, end := range []string{"之子", "之女", "之长子", "之次子", "之长女", "之次女", "之婴", "大子", "小子", "毛毛"} {
		if strings.HasSuffix(s, end) && runeLen(s) >= 4 {
			return true
		}
	}
	return strings.HasPrefix(s, "无名") || s == "不详" || s == "未知" || s == "unknown" || strings.HasPrefix(s, "baby of") || strings.HasPrefix(s, "john doe")
}

// Usable reports whether the name can tell one person from another.
func (n *Name) Usable() bool { return !n.Temp && n.Text != "" }
