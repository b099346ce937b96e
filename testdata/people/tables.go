package people

import (
	"math/rand/v2"
	"strings"
	"unicode"
)

// tables are the tables of names.go, ready to draw from.
type tables struct {
	families []string
	upTo     []int // running sum of shares
	sound    map[rune]string
	alike    map[rune][]rune // of one sound
	seem     map[rune][]rune // of one look
	old      map[rune]rune
}

func newTables() *tables {
	t := &tables{sound: map[rune]string{}, alike: map[rune][]rune{}, seem: map[rune][]rune{}, old: map[rune]rune{}}
	sum := 0
	for w := range strings.FieldsSeq(familyShares) {
		name := strings.TrimRightFunc(w, unicode.IsDigit)
		n := 0
		for _, d := range w[len(name):] {
			n = 10*n + int(d-'0')
		}
		sum += n
		t.families, t.upTo = append(t.families, name), append(t.upTo, sum)
	}
	for w := range strings.FieldsSeq(sounds) {
		chars := strings.TrimLeftFunc(w, func(r rune) bool { return r < 0x80 })
		for _, r := range chars {
			t.sound[r], t.alike[r] = w[:len(w)-len(chars)], []rune(chars)
		}
	}
	for w := range strings.FieldsSeq(lookalikes) {
		for _, r := range w {
			t.seem[r] = append(t.seem[r], []rune(w)...)
		}
	}
	for w := range strings.FieldsSeq(oldForms) {
		if r := []rune(w); len(r) == 2 {
			t.old[r[0]] = r[1]
		}
	}
	return t
}

// family draws a family name by its share.
func (t *tables) family(r *rand.Rand) string {
	n := r.IntN(t.upTo[len(t.upTo)-1])
	for i, upTo := range t.upTo {
		if n < upTo {
			return t.families[i]
		}
	}
	return t.families[0]
}

// given draws a given name of the time: the most liked characters oftener.
func (g *generator) given(year int, female bool) string {
	era, sex := "mid", " m"
	switch {
	case year < 1962:
		era = "old"
	case year >= 1998:
		era = "new"
	}
	if female {
		sex = " f"
	}
	from := []rune(liked[era+sex])
	one := func() string { return string(from[min(g.IntN(len(from)), g.IntN(len(from)))]) }
	if year >= 1962 && g.often(2200) {
		return one()
	}
	return one() + one()
}

// replace exchanges every character that t has for its counterpart.
func (t *tables) traditional(s string) string {
	return strings.Map(func(r rune) rune {
		if o, ok := t.old[r]; ok {
			return o
		}
		return r
	}, s)
}

// pinyin spells a name: family and given name apart, the family name first.
func (t *tables) pinyin(family, given string) (string, string) {
	f := surnameSounds[family]
	if f == "" {
		f = t.spell(family)
	}
	return f, t.spell(given)
}

func (t *tables) spell(s string) string {
	out := ""
	for _, r := range s {
		out += t.sound[r]
	}
	return out
}

// abroad spells a name as Hong Kong papers do; ok is false where the table
// lacks a character.
func abroad(family, given string) (string, bool) {
	out := []string{cantonese[family]}
	for _, r := range given {
		out = append(out, cantonese[string(r)])
	}
	for _, w := range out {
		if w == "" {
			return "", false
		}
	}
	return strings.Join(out, " "), true
}

var (
	foreignFamily = []string{"Smith", "Müller", "Ivanova", "Tanaka", "Kim", "Nguyen", "Garcia", "Rossi", "Dubois", "Kowalski", "Andersson", "Okafor", "Haddad", "Silva", "Patel", "Novak"}
	foreignGiven  = []string{"Anna", "John", "Maria", "Peter", "Yuki", "Minh", "Elena", "David", "Fatima", "Lucas", "Sofia", "Ahmed", "Claire", "Thomas", "Priya", "Jan", "Olga", "Marco"}
	hongKong      = []string{"陈", "张", "黄", "李", "吴", "梁", "刘", "林", "何", "郑", "周", "曾", "郭", "杨", "朱", "邓", "冯", "徐", "许", "叶", "罗", "潘", "谢"}
	areas         = []string{"500101", "500102", "500103", "500106", "500112", "500113", "500222", "510102", "510104", "510181", "512301", "510222", "430102", "420106", "520103", "440106", "330106", "370102", "320102", "610103"}
	roadNames     = []string{"人民", "解放", "中山", "建设", "和平", "新华", "长江", "嘉陵", "文化", "学府", "龙山", "凤天", "沙滨", "北滨", "金渝", "红锦", "松石", "大石", "民生", "五一"}
	estates       = []string{"阳光", "金科", "龙湖", "万科", "锦绣", "翠湖", "江南", "滨江", "东方", "华宇", "融创", "蓝光", "保利", "天地", "水岸", "紫荆", "世纪", "康德"}
	places        = []struct {
		province, city string
		postal         int
		districts      []string
	}{
		{"重庆市", "重庆市", 400000, []string{"渝中区", "江北区", "渝北区", "沙坪坝区", "九龙坡区", "南岸区", "巴南区", "北碚区", "万州区", "涪陵区", "永川区", "长寿区"}},
		{"重庆市", "重庆市", 401000, []string{"合川区", "江津区", "璧山区", "铜梁区", "荣昌区", "大足区", "开州区", "云阳县", "忠县", "奉节县"}},
		{"四川省", "成都市", 610000, []string{"锦江区", "青羊区", "武侯区", "成华区", "金牛区"}},
	}
)
