package codec

import (
	"unicode/utf16"
	"unicode/utf8"
)

// The classes of bytes within a string.
const (
	plain   = iota
	special // quote, backslash, control character
	high    // part of a multi-byte character
)

// stringClass gives the class of each byte. It is never written to.
var stringClass = func() (t [256]uint8) {
	for i := range t {
		switch {
		case i < 0x20 || i == '"' || i == '\\':
			t[i] = special
		case i >= 0x80:
			t[i] = high
		}
	}
	return t
}()

// scanString reads the string whose first byte after the quote is b[i]. end
// is the offset of the closing quote or, with a fault, where the fault lies.
func scanString(b []byte, i int) (end int, escaped bool, fault string) {
	start, wide := i, false
	for i < len(b) {
		switch stringClass[b[i]] {
		case plain:
			i++
			continue
		case high:
			wide = true
			i++
			continue
		}
		switch b[i] {
		case '"':
			if wide && !utf8.Valid(b[start:i]) {
				return start + invalidAt(b[start:i]), false, "the text is not valid UTF-8"
			}
			return i, escaped, ""
		case '\\':
			n, fault := scanEscape(b[i:])
			if fault != "" {
				return i, false, fault
			}
			escaped = true
			i += n
		default:
			return i, false, "a control character within a string must be escaped"
		}
	}
	return len(b), false, "the text ends within a string"
}

// invalidAt gives the offset of the first byte of b that is not UTF-8.
func invalidAt(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(b)
}

// scanEscape checks the escape that begins with the backslash b[0] and gives
// its length; a surrogate pair is one escape of 12 bytes.
func scanEscape(b []byte) (n int, fault string) {
	if len(b) < 2 {
		return 0, "the text ends within a string"
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, ""
	case 'u':
	default:
		return 0, "unknown escape within a string"
	}
	r, ok := hex4(b[2:])
	switch {
	case !ok:
		return 0, `\u must be followed by four hexadecimal digits`
	case !utf16.IsSurrogate(r):
		return 6, ""
	}
	if len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
		low, ok := hex4(b[8:])
		if ok && utf16.DecodeRune(r, low) != utf8.RuneError {
			return 12, ""
		}
	}
	return 0, "a surrogate stands alone"
}

// hex4 reads four hexadecimal digits.
func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// number gives the offset after the JSON number at b[i], 0 if there is none.
func number(b []byte, i int) int {
	if b[i] == '-' {
		i++
	}
	switch {
	case i < len(b) && b[i] == '0':
		i++
	default:
		if i = digits(b, i); i == 0 {
			return 0
		}
	}
	if i < len(b) && b[i] == '.' {
		if i = digits(b, i+1); i == 0 {
			return 0
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return digits(b, i)
	}
	return i
}

// digits gives the offset after the digits at b[i], 0 if there is none.
func digits(b []byte, i int) int {
	start := i
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	if i == start {
		return 0
	}
	return i
}

// appendUnescaped appends the text of the checked JSON string content s.
func appendUnescaped(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			dst = append(dst, s[i])
			i++
			continue
		}
		if s[i+1] != 'u' {
			dst = append(dst, shortEscape(s[i+1]))
			i += 2
			continue
		}
		r, _ := hex4(s[i+2:])
		i += 6
		if utf16.IsSurrogate(r) {
			low, _ := hex4(s[i+2:])
			r = utf16.DecodeRune(r, low)
			i += 6
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

func shortEscape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}
