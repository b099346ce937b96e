package normal

import (
	"strconv"
	"time"

	"hutong/profiles/lunar"
)

// Date is a birth date with the precision that was given: Month or Day is 0
// where the sender knew no more. The zero Date is unknown.
type Date struct{ Year, Month, Day int }

// ParseDate reads a FHIR date (YYYY, YYYY-MM, YYYY-MM-DD) or eight digits. ok
// is false for anything else; impossible days (31 February) keep year and
// month, since the rest may be a typo.
func ParseDate(s string) (d Date, ok bool) {
	if len(s) == 8 && digits(s) {
		s = s[:4] + "-" + s[4:6] + "-" + s[6:]
	}
	if len(s) > 10 && s[10] == 'T' {
		s = s[:10]
	}
	switch len(s) {
	case 4, 7, 10:
	default:
		return Date{}, false
	}
	for i := range len(s) {
		if (i == 4 || i == 7) != (s[i] == '-') || i != 4 && i != 7 && (s[i] < '0' || s[i] > '9') {
			return Date{}, false
		}
	}
	d.Year, _ = strconv.Atoi(s[:4])
	if len(s) >= 7 {
		d.Month, _ = strconv.Atoi(s[5:7])
	}
	if len(s) == 10 {
		d.Day, _ = strconv.Atoi(s[8:])
	}
	if d.Year == 0 {
		return Date{}, false
	}
	return d, true
}

// IsZero reports whether nothing is known.
func (d Date) IsZero() bool { return d == Date{} }

// Full reports whether year, month and day are known.
func (d Date) Full() bool { return d.Year != 0 && d.Month != 0 && d.Day != 0 }

// Real reports whether d names a day of the calendar.
func (d Date) Real() bool {
	t := time.Date(d.Year, time.Month(d.Month), d.Day, 0, 0, 0, 0, time.UTC)
	return d.Full() && t.Year() == d.Year && int(t.Month()) == d.Month && t.Day() == d.Day
}

// String is the FHIR date of d's precision.
func (d Date) String() string {
	if d.Year == 0 {
		return ""
	}
	b := padded(make([]byte, 0, 10), d.Year, 4)
	if d.Month != 0 {
		b = padded(append(b, '-'), d.Month, 2)
		if d.Day != 0 {
			b = padded(append(b, '-'), d.Day, 2)
		}
	}
	return string(b)
}

// padded appends n with so many digits at least.
func padded(b []byte, n, digits int) []byte {
	var room [20]byte
	s := strconv.AppendInt(room[:0], int64(n), 10)
	for range digits - len(s) {
		b = append(b, '0')
	}
	return append(b, s...)
}

// Swapped gives d with month and day exchanged, or the zero Date where that is
// no date.
func (d Date) Swapped() Date {
	s := Date{d.Year, d.Day, d.Month}
	if !s.Real() {
		return Date{}
	}
	return s
}

// Defaulted reports 1 January: what systems write for "only the year is known".
func (d Date) Defaulted() bool { return d.Month == 1 && d.Day == 1 }

func digits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// Lunar reports that said, taken for a date of the Chinese calendar, is the
// day birth. Such dates run 17 to 55 days ahead.
func Lunar(birth, said Date) bool {
	if !birth.Full() || !said.Full() || said.Month > 12 {
		return false
	}
	if days := 365*(birth.Year-said.Year) + 30*(birth.Month-said.Month) + birth.Day - said.Day; days < 12 || days > 65 {
		return false
	}
	return said.FromLunar() == birth || chinese(said, true) == birth
}

// FromLunar reads d as a date of the Chinese calendar and gives the day, or the
// zero Date where there is none.
func (d Date) FromLunar() Date { return chinese(d, false) }

func chinese(d Date, leap bool) Date {
	y, m, day, ok := lunar.Date{Year: d.Year, Month: d.Month, Day: d.Day, Leap: leap}.Gregorian()
	if !ok {
		return Date{}
	}
	return Date{y, m, day}
}
