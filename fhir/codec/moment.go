package codec

import "time"

// Precisions in the order of schema.TimeWire.Precisions.
const (
	year = iota
	month
	day
	second
	millisecond
	microsecond
)

// moment is a point in time, or of the day, at its precision.
type moment struct {
	micros    int64  // since 1970-01-01T00:00:00Z, or since midnight
	zone      []byte // "Z", "+08:00"; "UTC" where the text has none
	precision int
}

// parseMoment reads the FHIR forms YYYY, YYYY-MM, YYYY-MM-DD,
// YYYY-MM-DDThh:mm:ss[.f]zone and, for a time of day, hh:mm:ss[.f]. Digits
// beyond microseconds are cut.
func parseMoment(b []byte, ofDay bool) (m moment, ok bool) {
	s := scanner{b: b}
	m.zone = []byte("UTC")
	if ofDay {
		m.micros, m.precision = s.clock()
		return m, s.done()
	}
	y, mon, d := s.number(4), 1, 1
	m.precision = year
	if s.next('-') {
		mon, m.precision = s.number(2), month
		if s.next('-') {
			d, m.precision = s.number(2), day
		}
	}
	date := time.Date(y, time.Month(mon), d, 0, 0, 0, 0, time.UTC)
	if date.Month() != time.Month(mon) || date.Day() != d {
		return m, false // no such day
	}
	m.micros = date.UnixMicro()
	if m.precision == day && s.next('T') {
		var clock, offset int64
		clock, m.precision = s.clock()
		m.zone, offset = s.zone()
		m.micros += clock - offset
	}
	return m, s.done()
}

// scanner reads fixed forms; after a mismatch it is bad for good.
type scanner struct {
	b   []byte
	at  int
	bad bool
}

func (s *scanner) done() bool { return !s.bad && s.at == len(s.b) }

// number reads n digits.
func (s *scanner) number(n int) (x int) {
	if s.at+n > len(s.b) {
		s.bad = true
		return 0
	}
	for _, c := range s.b[s.at : s.at+n] {
		if c < '0' || c > '9' {
			s.bad = true
			return 0
		}
		x = x*10 + int(c-'0')
	}
	s.at += n
	return x
}

// next steps over the byte c if it stands here.
func (s *scanner) next(c byte) bool {
	if s.at < len(s.b) && s.b[s.at] == c {
		s.at++
		return true
	}
	return false
}

// clock reads hh:mm:ss with an optional fraction.
func (s *scanner) clock() (micros int64, precision int) {
	h := s.number(2)
	s.bad = s.bad || !s.next(':')
	m := s.number(2)
	s.bad = s.bad || !s.next(':')
	sec := s.number(2)
	s.bad = s.bad || h > 23 || m > 59 || sec > 60
	micros = (int64(h)*3600 + int64(m)*60 + int64(sec)) * 1e6
	if !s.next('.') {
		return micros, second
	}
	start := s.at
	for weight := int64(100_000); s.at < len(s.b) && s.b[s.at] >= '0' && s.b[s.at] <= '9'; s.at++ {
		micros += int64(s.b[s.at]-'0') * weight
		weight /= 10
	}
	s.bad = s.bad || s.at == start
	if s.at-start > 3 {
		return micros, microsecond
	}
	return micros, millisecond
}

// zone reads Z or +hh:mm; offset is in microseconds east of UTC.
func (s *scanner) zone() (zone []byte, offset int64) {
	start := s.at
	if s.next('Z') {
		return s.b[start:s.at], 0
	}
	sign := int64(1)
	if s.next('-') {
		sign = -1
	} else {
		s.bad = s.bad || !s.next('+')
	}
	h := s.number(2)
	s.bad = s.bad || !s.next(':')
	m := s.number(2)
	s.bad = s.bad || h > 14 || m > 59
	return s.b[start:s.at], sign * (int64(h)*3600 + int64(m)*60) * 1e6
}
