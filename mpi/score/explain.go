package score

import (
	"fmt"
	"math"
	"strings"

	"hutong/mpi/normal"
)

// FieldComparison is one field of a scored pair, for a person to read.
type FieldComparison struct {
	Field  string  `json:"field"`
	Label  Text    `json:"label"`
	A      string  `json:"a"`
	B      string  `json:"b"`
	Level  string  `json:"level"`
	Weight float64 `json:"weight"` // log2(m/u): what speaks for (+) or against (-)
	Words  Text    `json:"words"`
	// Frequency is the share of people with the shared name, where the weight
	// follows from it; 0 where it does not.
	Frequency float64 `json:"frequency,omitempty"`
}

// Explain puts one field of a result into words.
func (m *Model) Explain(f Field, a, b *normal.Record, r *Result) FieldComparison {
	l := r.Vector[f]
	words := f.Words(l)
	if share := r.Frequency[f]; share > 0 {
		n := int(math.Max(1, math.Round(1/share)))
		words.ZH += fmt.Sprintf("；约每 %d 人中有 1 人如此", n)
		words.EN += fmt.Sprintf("; about 1 person in %d carries it", n)
	}
	return FieldComparison{
		Field: f.String(), Label: f.Label(), A: Value(f, a), B: Value(f, b),
		Level: f.LevelName(l), Weight: math.Round(r.Weights[f]*100) / 100, Words: words, Frequency: r.Frequency[f],
	}
}

// Value is what a record says in a field, as one text in comparison form.
func Value(f Field, r *normal.Record) string {
	var out []string
	add := func(s string) {
		if s != "" {
			out = append(out, s)
		}
	}
	switch f {
	case Citizen, Cards:
		for i := range r.IDs {
			id := &r.IDs[i]
			if (id.Kind == normal.Citizen) == (f == Citizen) && (f == Citizen || id.Kind.Strong()) {
				add(id.Value)
			}
		}
	case Family, Given:
		for i := range r.Names {
			if f == Family {
				add(r.Names[i].Family)
			} else {
				add(r.Names[i].Given)
			}
		}
	case Birth:
		add(r.Birth.String())
	case Sex:
		add(r.Sex.String())
	case Phone:
		out = append(out, r.Phones...)
	case Line:
		for _, a := range r.Addresses {
			add(a.Line)
		}
	case Place:
		for _, a := range r.Addresses {
			add(strings.Join(strings.Fields(a.State+" "+a.City+" "+a.District+" "+a.PostalCode), " "))
		}
	}
	return strings.Join(out, "；")
}

// Text is a sentence in both languages of the console.
type Text struct {
	ZH string `json:"zh-CN"`
	EN string `json:"en"`
}

// In gives the sentence in the language asked for ("zh..." is Chinese).
func (t Text) In(lang string) string {
	if len(lang) >= 2 && lang[:2] == "zh" {
		return t.ZH
	}
	return t.EN
}

var fieldLabels = [AllFields]Text{
	Citizen: {"居民身份证号", "Citizen id"}, Cards: {"其他卡号", "Other card numbers"},
	Family: {"姓", "Family name"}, Given: {"名", "Given name"}, Birth: {"出生日期", "Birth date"},
	Sex: {"性别", "Sex"}, Phone: {"电话", "Telephone"}, Line: {"详细地址", "Address line"}, Place: {"所在区县", "Place"},
	Street: {"街道", "Street"}, Number: {"门牌号", "House number"}, City: {"市区县", "City"}, Post: {"邮政编码", "Postcode"}, State: {"省份", "State"},
	BirthPlace: {"出生地", "Birth place"}, Occupation: {"职业", "Occupation"},
}

// Label names the field for a person.
func (f Field) Label() Text { return fieldLabels[f] }

var silent = Text{"一方未填写，不作为依据", "One side says nothing: no evidence"}

var nameWords = []Text{silent,
	{"完全相同", "The same characters"},
	{"读音相同，写法不同", "Sounds alike, written differently"},
	{"读音相近（如 zh/z、n/l、前后鼻音）", "Easily confused sounds (zh/z, n/l, -n/-ng)"},
	{"只差一个字", "One character apart"},
	{"相似", "Similar"},
	{"姓与名颠倒", "Family and given name exchanged"},
	{"不同", "Different"},
	{"略有相似", "Faintly alike"},
	{"只差一个字，字形相近", "One character apart, and the two look alike"},
	{"一字不同，音形均不相近（兄弟姐妹常如此取名）", "One character is another, unlike in sound and look, as siblings are named"},
}

var textWords = []Text{silent, {"相同", "The same"}, {"只差一处", "One slip apart"}, {"大部分相同", "Most of it agrees"}, {"部分相同", "Half of it agrees"}, {"不同", "Different"}}

var levelWords = [AllFields][]Text{
	Citizen: {silent, {"相同，且校验有效", "Equal, and the number is valid"},
		{"只差一处，其中一个校验不通过", "One slip apart, and one of them fails its check"},
		{"相同，但校验不通过", "Equal, but the number fails its check"}, {"不同", "Different"}, {"不同，且均有效", "Different, and both are valid"}},
	Cards: {silent, {"两种以上号码相同", "Two or more numbers are equal"}, {"一种号码相同", "One number is equal"},
		{"只差一处", "One slip apart"}, {"同类号码不同", "Numbers of the same kind differ"}},
	Family: nameWords, Given: nameWords,
	Birth: {silent, {"完全相同", "The same"}, {"月和日颠倒", "Day and month exchanged"}, {"只差一位", "One digit apart"},
		{"在已知精度内一致", "Agree as far as they are known"}, {"年份相同或月日相同", "The same year, or the same day of the year"}, {"不同", "Different"}, {"大部分相同", "Two of its parts agree"}, {"一方为农历", "One is the other's day in the Chinese calendar"}},
	Sex:    {silent, {"相同", "The same"}, {"相近", "Near"}, {"不同", "Different"}},
	Phone:  {silent, {"相同（家人可能共用，权重较低）", "The same (families share phones, so it weighs less)"}, {"只差一位", "One digit apart"}, {"不同（号码常更换）", "Different (people change numbers)"}},
	Line:   {silent, {"相同", "The same"}, {"相近", "Nearly the same"}, {"部分相同", "Partly the same"}, {"不同（可能搬迁）", "Different (people move)"}},
	Place:  {silent, {"相同", "The same"}, {"相近", "Nearly the same"}, {"同一市", "The same city"}, {"不同", "Different"}},
	Street: textWords, Number: textWords, City: textWords, Post: textWords, State: textWords, BirthPlace: textWords, Occupation: textWords,
}

// Words says in words what a level means.
func (f Field) Words(l Level) Text { return levelWords[f][l] }
