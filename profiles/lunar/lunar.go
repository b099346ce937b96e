// Package lunar converts between the Gregorian and the traditional Chinese
// calendar (农历, GB/T 33661-2017), 1900 to 2030: old people give their birthday
// in the latter, and forms take it for the former.
package lunar

import (
	"math/bits"
	"time"
)

// Date is a day of the Chinese calendar. Leap is the leap month of that number.
type Date struct {
	Year, Month, Day int
	Leap             bool
}

// years holds a word for each year from 1900, as almanacs print them: bits 4 to
// 15 are the lengths of months 12 to 1 (30 days if set), bits 0 to 3 the leap
// month or 0, bit 16 its length.
var years = [...]uint32{
	0x04bd8, 0x04ae0, 0x0a570, 0x054d5, 0x0d260, 0x0d950, 0x16554, 0x056a0, 0x09ad0, 0x055d2,
	0x04ae0, 0x0a5b6, 0x0a4d0, 0x0d250, 0x1d255, 0x0b540, 0x0d6a0, 0x0ada2, 0x095b0, 0x14977,
	0x04970, 0x0a4b0, 0x0b4b5, 0x06a50, 0x06d40, 0x1ab54, 0x02b60, 0x09570, 0x052f2, 0x04970,
	0x06566, 0x0d4a0, 0x0ea50, 0x16a95, 0x05ad0, 0x02b60, 0x186e3, 0x092e0, 0x1c8d7, 0x0c950,
	0x0d4a0, 0x1d8a6, 0x0b550, 0x056a0, 0x1a5b4, 0x025d0, 0x092d0, 0x0d2b2, 0x0a950, 0x0b557,
	0x06ca0, 0x0b550, 0x15355, 0x04da0, 0x0a5b0, 0x14573, 0x052b0, 0x0a9a8, 0x0e950, 0x06aa0,
	0x0aea6, 0x0ab50, 0x04b60, 0x0aae4, 0x0a570, 0x05260, 0x0f263, 0x0d950, 0x05b57, 0x056a0,
	0x096d0, 0x04dd5, 0x04ad0, 0x0a4d0, 0x0d4d4, 0x0d250, 0x0d558, 0x0b540, 0x0b6a0, 0x195a6,
	0x095b0, 0x049b0, 0x0a974, 0x0a4b0, 0x0b27a, 0x06a50, 0x06d40, 0x0af46, 0x0ab60, 0x09570,
	0x04af5, 0x04970, 0x064b0, 0x074a3, 0x0ea50, 0x06b58, 0x055c0, 0x0ab60, 0x096d5, 0x092e0,
	0x0c960, 0x0d954, 0x0d4a0, 0x0da50, 0x07552, 0x056a0, 0x0abb7, 0x025d0, 0x092d0, 0x0cab5,
	0x0a950, 0x0b4a0, 0x0baa4, 0x0ad50, 0x055d9, 0x04ba0, 0x0a5b0, 0x15176, 0x052b0, 0x0a930,
	0x07954, 0x06aa0, 0x0ad50, 0x05b52, 0x04b60, 0x0a6e6, 0x0a4e0, 0x0d260, 0x0ea65, 0x0d530,
	0x05aa0,
}

const firstYear = 1900

// firstDay is the first day of the Chinese year 1900.
func firstDay() time.Time { return time.Date(1900, 1, 31, 0, 0, 0, 0, time.UTC) }

// month is one month of a year, in order.
type month struct {
	number, days int
	leap         bool
}

func monthsOf(year int) []month {
	w := years[year-firstYear]
	out := make([]month, 0, 13)
	for n := 1; n <= 12; n++ {
		out = append(out, month{n, 29 + int(w>>(16-n)&1), false})
		if int(w&15) == n {
			out = append(out, month{n, 29 + int(w>>16&1), true})
		}
	}
	return out
}

func daysIn(year int) int {
	w := years[year-firstYear]
	n := 12*29 + bits.OnesCount32(w>>4&0xfff)
	if w&15 != 0 {
		n += 29 + int(w>>16&1)
	}
	return n
}

// newYear is how many days after firstDay a year begins.
func newYear(year int) (n int) {
	for y := firstYear; y < year; y++ {
		n += daysIn(y)
	}
	return n
}

// From gives the Chinese date of a Gregorian day; ok is false outside of the
// table.
func From(year, mon, day int) (d Date, ok bool) {
	n := int(time.Date(year, time.Month(mon), day, 0, 0, 0, 0, time.UTC).Sub(firstDay()).Hours() / 24)
	if year < firstYear || n < 0 {
		return d, false
	}
	for y := firstYear; y-firstYear < len(years); y++ {
		if days := daysIn(y); n >= days {
			n -= days
			continue
		}
		for _, m := range monthsOf(y) {
			if n < m.days {
				return Date{y, m.number, n + 1, m.leap}, true
			}
			n -= m.days
		}
	}
	return d, false
}

// Gregorian gives the day as year, month and day; ok is false for a date that
// the calendar does not have, or outside of the table.
func (d Date) Gregorian() (year, mon, day int, ok bool) {
	if d.Year < firstYear || d.Year-firstYear >= len(years) || d.Day < 1 {
		return 0, 0, 0, false
	}
	n := newYear(d.Year)
	for _, m := range monthsOf(d.Year) {
		if m.number == d.Month && m.leap == d.Leap {
			t := firstDay().AddDate(0, 0, n+d.Day-1)
			return t.Year(), int(t.Month()), t.Day(), d.Day <= m.days
		}
		n += m.days
	}
	return 0, 0, 0, false
}
