package normal

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Sex is the administrative sex of a record.
type Sex uint8

// The sexes; UnknownSex also stands for what was not said.
const (
	UnknownSex Sex = iota
	Male
	Female
	OtherSex
)

// ParseSex reads a FHIR administrative-gender code.
func ParseSex(code string) Sex {
	switch code {
	case "male":
		return Male
	case "female":
		return Female
	case "other":
		return OtherSex
	}
	return UnknownSex
}

// String is the FHIR administrative-gender code; "" for unknown.
func (s Sex) String() string { return [...]string{"", "male", "female", "other"}[s] }

// maxCode is how many characters of a number count.
const maxCode = 200

// Code gives the canonical form of a card or record number: NFKC, upper case,
// without spaces and invisible characters.
func Code(s string) string {
	s = clip(s, maxCode)
	if !ascii(s) {
		s = norm.NFKC.String(s)
	}
	return strings.ToUpper(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s))
}

// Junk reports a value that systems write when they have none: a word for
// "none", or one character repeated (000000; but 77 may be a record number).
func Junk(v string) bool {
	first, _ := utf8.DecodeRuneInString(v)
	if strings.Trim(v, string(first)) == "" && (runeLen(v) >= 4 || first < '1' || first > '9') {
		return true
	}
	switch strings.ToLower(v) {
	case "无", "不详", "未知", "暂无", "none", "null", "nil", "unknown", "n/a", "123456", "12345678", "123456789":
		return true
	}
	return false
}

const usccCharset = "0123456789ABCDEFGHJKLMNPQRTUWXY"

// ValidUSCC checks an organisation's code of GB 32100: 18 characters without
// I, O, Z, S and V, check character mod 31 with weights 3^i.
func ValidUSCC(s string) bool {
	if len(s) != 18 {
		return false
	}
	sum, w := 0, 1
	for i := range 17 {
		v := strings.IndexByte(usccCharset, s[i])
		if v < 0 {
			return false
		}
		sum += v * w
		w = w * 3 % 31
	}
	return s[17] == usccCharset[(31-sum%31)%31]
}

// HealthRecordNo is the 17-digit number of a resident health record. It
// changes on re-filing and so never joins two records by itself.
type HealthRecordNo struct{ County, Town, Village, Seq string }

// ParseHealthRecordNo splits the number; ok is false unless it has 17 digits.
func ParseHealthRecordNo(s string) (n HealthRecordNo, ok bool) {
	if len(s) != 17 || !digits(s) {
		return n, false
	}
	return HealthRecordNo{s[:6], s[6:9], s[9:12], s[12:]}, true
}

// Phone gives a telephone number as digits, without +86, 0086, spaces and
// hyphens; "" if fewer than seven digits remain or all are alike.
func Phone(s string) string {
	var b strings.Builder
	for _, r := range norm.NFKC.String(clip(s, maxCode)) {
		if r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else if r == 'x' || r == 'X' || r == '转' || r == ';' || r == '/' {
			break
		}
	}
	d := b.String()
	switch {
	case len(d) == 15 && strings.HasPrefix(d, "0086"):
		d = d[4:]
	case len(d) == 13 && strings.HasPrefix(d, "86"):
		d = d[2:]
	case len(d) == 12 && strings.HasPrefix(d, "01"):
		d = d[1:]
	}
	if len(d) < 7 || strings.Trim(d, d[:1]) == "" {
		return ""
	}
	return d
}

// Mobile reports a mainland mobile number: 1[3-9] and nine digits.
func Mobile(d string) bool { return len(d) == 11 && d[0] == '1' && d[1] >= '3' }
