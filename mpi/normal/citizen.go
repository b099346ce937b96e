package normal

import (
	"strconv"
	"time"
)

// CitizenID is what an 18-character identity number says (GB 11643-1999).
type CitizenID struct {
	Value  string // canonical: 18 characters, upper-case X
	Area   string // where it was first registered: not where the person lives
	Birth  Date
	Sex    Sex
	Kind   CitizenKind
	From15 bool // was upgraded from a first-generation number
}

// CitizenKind tells who holds the number.
type CitizenKind uint8

// The kinds of 18-character numbers.
const (
	Mainland CitizenKind = iota + 1
	HongKong             // 港澳台居民居住证 810000
	Macao                // 820000
	Taiwan               // 830000
	Foreign              // 外国人永久居留身份证 since 2023-12
)

// Problem says why a number is not valid; "" means that it is.
type Problem string

// The problems of identity numbers.
const (
	NoProblem       Problem = ""
	BadForm         Problem = "form"
	BadCheck        Problem = "check digit"
	BadArea         Problem = "area"
	BadDate         Problem = "date"
	FutureDate      Problem = "future date"
	CentenarianCode Problem = "centenarian sequence" // 15 digits ending 996..999: birth year 18xx, a human decides
)

const citizenCheck = "10X98765432"

var citizenWeights = [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}

// ParseCitizenID reads an identity number of 18 or 15 characters. Lower-case x
// and full-width digits are accepted. now bounds the birth date. On a problem
// the result holds what could be read.
func ParseCitizenID(s string, now time.Time) (CitizenID, Problem) {
	v := Code(s)
	if len(v) == 15 && digits(v) {
		up, p := Upgrade15(v)
		if p != NoProblem {
			return CitizenID{Value: v}, p
		}
		id, p := parse18(up, now)
		id.From15 = true
		return id, p
	}
	return parse18(v, now)
}

func parse18(v string, now time.Time) (CitizenID, Problem) {
	id := CitizenID{Value: v}
	if len(v) != 18 || !digits(v[:17]) || !(v[17] == 'X' || v[17] >= '0' && v[17] <= '9') {
		return id, BadForm
	}
	id.Area, id.Birth, id.Sex = v[:6], dateOf(v[6:14]), sexOf(v[16])
	id.Kind = kindOf(v)
	switch {
	case v[17] != checkOf(v):
		return id, BadCheck
	case id.Kind == 0:
		return id, BadArea
	case !id.Birth.Real():
		return id, BadDate
	case time.Date(id.Birth.Year, time.Month(id.Birth.Month), id.Birth.Day, 0, 0, 0, 0, time.UTC).After(now.Add(24 * time.Hour)):
		return id, FutureDate
	}
	return id, NoProblem
}

func dateOf(s string) Date {
	y, _ := strconv.Atoi(s[:4])
	m, _ := strconv.Atoi(s[4:6])
	d, _ := strconv.Atoi(s[6:8])
	return Date{y, m, d}
}

func sexOf(c byte) Sex {
	if (c-'0')%2 == 1 {
		return Male
	}
	return Female
}

// kindOf reads the area: GB/T 2260 provinces, abolished counties included;
// a leading 9 is a foreigner's card, whose province stands in digits 2 and 3.
func kindOf(v string) CitizenKind {
	switch v[:2] {
	case "81":
		return HongKong
	case "82":
		return Macao
	case "83":
		return Taiwan
	}
	if v[0] == '9' {
		if province(v[1:3]) {
			return Foreign
		}
		return 0
	}
	if province(v[:2]) {
		return Mainland
	}
	return 0
}

func province(p string) bool {
	n, _ := strconv.Atoi(p)
	last := [10]int{0, 5, 3, 7, 6, 4, 5, 1, 0, 0}[n/10]
	return n%10 >= 1 && n%10 <= last || n == 50
}

// checkOf computes the check character over the first 17 digits of v.
func checkOf(v string) byte {
	sum := 0
	for i, w := range citizenWeights {
		sum += int(v[i]-'0') * w
	}
	return citizenCheck[sum%11]
}

// Upgrade15 turns a first-generation number into the 18 characters that the
// same person holds today: "19" after digit 6, and a check character.
func Upgrade15(v string) (string, Problem) {
	if len(v) != 15 || !digits(v) {
		return "", BadForm
	}
	if seq := v[12:]; seq >= "996" {
		return "", CentenarianCode
	}
	up := v[:6] + "19" + v[6:]
	return up + string(checkOf(up)), NoProblem
}

// Repairs lists the valid numbers that are one typing slip away from v (a
// digit replaced, or two neighbours exchanged) and agree with the birth date
// and sex that the record states, where it does. At most 12.
func Repairs(v string, birth Date, sex Sex, now time.Time) []string {
	if len(v) != 18 || !digits(v[:17]) {
		return nil
	}
	var out []string
	try := func(b []byte) {
		id, p := parse18(string(b), now)
		if p == NoProblem && fits(id, birth, sex) && len(out) < 12 {
			out = append(out, id.Value)
		}
	}
	for i := range 18 {
		for c := byte('0'); c <= '9'; c++ {
			if b := []byte(v); b[i] != c {
				b[i] = c
				try(b)
			}
		}
		if i < 16 && v[i] != v[i+1] {
			b := []byte(v)
			b[i], b[i+1] = b[i+1], b[i]
			try(b)
		}
	}
	if b := []byte(v); v[17] != 'X' {
		b[17] = 'X'
		try(b)
	}
	return out
}

func fits(id CitizenID, birth Date, sex Sex) bool {
	return (!birth.Full() || id.Birth == birth) && (sex != Male && sex != Female || id.Sex == sex)
}
