package region

import (
	"fmt"
	"strconv"
	"time"
)

// areas are the GB/T 2260 codes of the region's counties, those that were
// abolished among them: they live on in id numbers.
var areas = [...]string{
	"500101", "500102", "500103", "500104", "500105", "500106", "500107", "500108", "500109", "500110",
	"500111", "500112", "500113", "500114", "500115", "500116", "500117", "500118", "500119", "500120",
	"500151", "500152", "500153", "500154", "500155", "500156", "500229", "500230", "500231", "500233",
	"500235", "500236", "500237", "500238", "500240", "500241", "500242", "500243",
}

// slots is the number of (day, area, sequence) triples of one birth year that
// serve people; the upper half of the sequences serves second twins.
const slots = 365 * len(areas) * 250

// slot spreads people over days, areas and sequences without a collision for
// the first 3.4 million, and beyond that without one within a birth year and
// place that matters. 1,640,531 and slots have no common factor.
func slot(person int) (day, area, seq int) {
	n := person * 1_640_531 % slots
	return n % 365, n / 365 % len(areas), n / 365 / len(areas)
}

// birthday is the day (0..364) of a year without 29 February.
func birthday(year, day int) time.Time {
	return time.Date(2001, 1, 1+day, 0, 0, 0, 0, china).AddDate(year-2001, 0, 0)
}

// citizenID makes an 18-character id by GB 11643-1999. The three-digit
// sequence is odd for men.
func citizenID(person int, born time.Time, female, secondTwin bool) string {
	_, area, seq := slot(person)
	if secondTwin {
		_, area, seq = slot(person - 1)
		seq += 250
	}
	odd := 1
	if female {
		odd = 0
	}
	return withCheck(fmt.Sprintf("%s%s%03d", areas[area], born.Format("20060102"), seq*2+odd))
}

// withCheck appends the check character of ISO 7064 MOD 11-2.
func withCheck(body string) string {
	weights := [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}
	sum := 0
	for i, w := range weights {
		sum += int(body[i]-'0') * w
	}
	return body + string("10X98765432"[sum%11])
}

// old15 is the id as it was before 1999: no century, no check character.
func old15(id string) string { return id[:6] + id[8:17] }

// digits writes v modulo 10^n with n digits.
func digits(v uint64, n int) string {
	mod := uint64(1)
	for range n {
		mod *= 10
	}
	s := strconv.FormatUint(mod+v%mod, 10)
	return s[1:]
}

// mrn is the local record number of a person at an organisation: unique there,
// because 7919 and 10^8 have no common factor.
func mrn(org, person int) string {
	prefix := [...]string{"M", "D", "", "Z", "L"}[org]
	return prefix + digits(uint64(person)*7919+uint64(org)*31_000_003+10_203, 8)
}

// neighbours are keys beside each digit on a keyboard's number pad.
var neighbours = [10]byte{'1', '2', '3', '6', '5', '4', '9', '8', '7', '8'}

// keySlip mistypes one digit of a number.
func keySlip(s string, at int) string {
	b := []byte(s)
	if c := b[at]; c >= '0' && c <= '9' {
		b[at] = neighbours[c-'0']
	}
	return string(b)
}
