package literal

import (
	"errors"
	"time"
)

// Open ends of a Span.
const (
	MinDate = -1 << 62
	MaxDate = 1 << 62
)

// Span is the moments [Lo,Hi) that a date of some precision covers, in
// microseconds since 1970.
type Span struct{ Lo, Hi int64 }

// Open is the span of all time.
func Open() Span { return Span{MinDate, MaxDate} }

var errDate = errors.New("a date is written 2024, 2024-05, 2024-05-31, 2024-05-31T10:00Z or 2024-05-31T10:00:00.000+08:00")

// ParseDate reads a date, dateTime or instant: the year, then month, day, hour
// with minute, second, fraction as far as known. A value without a zone counts
// in loc. Fractions finer than a microsecond are cut.
func ParseDate(s string, loc *time.Location) (Span, error) {
	p := dateParser{rest: s, month: 1, day: 1, loc: loc}
	p.date()
	p.time()
	if p.failed || p.rest != "" {
		return Span{}, errDate
	}
	return p.span(), nil
}

// precision is the smallest part that was given.
type precision uint8

const (
	year precision = iota
	month
	day
	minute
	second
	fraction
)

type dateParser struct {
	rest   string
	failed bool
	loc    *time.Location

	year, month, day, hour, minute, second int
	micros, fine                           int64 // fraction; length of its last digit
	precision                              precision
}

func (p *dateParser) date() {
	p.year = p.digits(4, 1, 9999)
	if p.skip('-') {
		p.precision, p.month = month, p.digits(2, 1, 12)
	}
	if p.precision == month && p.skip('-') {
		p.precision, p.day = day, p.digits(2, 1, 31)
		p.failed = p.failed || p.day > daysIn(p.year, p.month)
	}
}

func (p *dateParser) time() {
	if p.precision != day || !p.skip('T') {
		return
	}
	p.precision, p.hour = minute, p.digits(2, 0, 23)
	p.failed = !p.skip(':') || p.failed
	p.minute = p.digits(2, 0, 59)
	if p.skip(':') {
		p.precision, p.second = second, p.digits(2, 0, 60) // 60: a leap second
	}
	if p.precision == second && p.skip('.') {
		p.fraction()
	}
	p.zone()
}

func (p *dateParser) fraction() {
	p.precision, p.fine = fraction, 1_000_000
	n := 0
	for ; n < len(p.rest) && p.rest[n] >= '0' && p.rest[n] <= '9'; n++ {
		if p.fine > 1 {
			p.fine /= 10
			p.micros += int64(p.rest[n]-'0') * p.fine
		}
	}
	p.failed = p.failed || n == 0
	p.rest = p.rest[n:]
}

func (p *dateParser) zone() {
	sign := 0
	switch {
	case p.skip('Z'):
		p.loc = time.UTC
	case p.skip('+'):
		sign = 1
	case p.skip('-'):
		sign = -1
	}
	if sign == 0 {
		return
	}
	hours := p.digits(2, 0, 14)
	p.failed = !p.skip(':') || p.failed
	p.loc = time.UTC
	p.minute -= sign * (hours*60 + p.digits(2, 0, 59))
}

func (p *dateParser) span() Span {
	t := time.Date(p.year, time.Month(p.month), p.day, p.hour, p.minute, p.second, int(p.micros)*1000, p.loc)
	lo := t.UnixMicro()
	switch p.precision {
	case year:
		return Span{lo, time.Date(p.year+1, 1, 1, 0, 0, 0, 0, p.loc).UnixMicro()}
	case month:
		return Span{lo, time.Date(p.year, time.Month(p.month)+1, 1, 0, 0, 0, 0, p.loc).UnixMicro()}
	case day:
		return Span{lo, time.Date(p.year, time.Month(p.month), p.day+1, 0, 0, 0, 0, p.loc).UnixMicro()}
	case minute:
		return Span{lo, lo + time.Minute.Microseconds()}
	case second:
		return Span{lo, lo + time.Second.Microseconds()}
	}
	return Span{lo, lo + p.fine}
}

func (p *dateParser) skip(c byte) bool {
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// digits reads exactly n digits with a value from lo to hi.
func (p *dateParser) digits(n, lo, hi int) int {
	if len(p.rest) < n {
		p.failed = true
		return lo
	}
	v := 0
	for _, c := range []byte(p.rest[:n]) {
		if c < '0' || c > '9' {
			p.failed = true
			return lo
		}
		v = v*10 + int(c-'0')
	}
	p.rest = p.rest[n:]
	if v < lo || v > hi {
		p.failed = true
	}
	return v
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}
