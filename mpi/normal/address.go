package normal

import "strings"

// Address is a postal address in comparison form.
type Address struct {
	State, City, District, PostalCode string
	Line                              string // street, number, village, community
}

// maxLine is how many characters of an address line count.
const maxLine = 200

// NewAddress builds the comparison form; text is used where lines are absent.
func NewAddress(state, city, district, postal, line, text string) Address {
	line, text = clip(line, maxLine), clip(text, maxLine)
	state, city, district, postal = clip(state, maxLine), clip(city, maxLine), clip(district, maxLine), clip(postal, maxLine)
	state, city, district = Fold(state), Fold(city), Fold(district)
	a := Address{place(state), place(city), place(district), Code(postal), Fold(line)}
	if a.Line == "" {
		a.Line = Fold(text)
	}
	for _, p := range [...]string{state, city, district} {
		if p != "" && len(p) < len(a.Line) {
			a.Line = strings.TrimSpace(strings.TrimPrefix(a.Line, p))
		}
	}
	a.Line = addressWords.Replace(a.Line)
	return a
}

// place drops the kind of a folded division's name, which some write and some
// do not: 重庆市 and 重庆 agree.
func place(s string) string {
	for _, end := range []string{"壮族自治区", "回族自治区", "维吾尔自治区", "自治区", "特别行政区", "自治州", "自治县", "省", "市", "区", "县"} {
		if cut, ok := strings.CutSuffix(s, end); ok && runeLen(cut) >= 2 {
			return cut
		}
	}
	return s
}

var addressWords = strings.NewReplacer(
	"号楼", "栋", "幢", "栋", "座", "栋", "室", "", "号", "", "巷子", "巷", "大道", "大道",
	"一", "1", "二", "2", "三", "3", "四", "4", "五", "5", "六", "6", "七", "7", "八", "8", "九", "9")

// IsZero reports whether nothing is known.
func (a Address) IsZero() bool { return a == Address{} }

// String is the whole address as one text, for display in comparisons.
func (a Address) String() string {
	return strings.TrimSpace(strings.Join(nonEmpty(a.State, a.City, a.District, a.Line, a.PostalCode), " "))
}

func nonEmpty(ss ...string) []string {
	out := ss[:0]
	for _, s := range ss {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}
