package validate

import (
	"bytes"

	"hutong/fhir/codec"
	"hutong/fhir/internal/schema"
)

// maxString is the size limit of a string (R4 datatypes.html#string), bytes.
const maxString = 1 << 20

// primitive checks the value c of the primitive type t.
func (r *run) primitive(c uint32, t *schema.Type) {
	kind := r.d.Nodes[c].Kind
	switch t.Kind {
	case schema.Boolean:
		if kind != codec.True && kind != codec.False {
			r.fail(value, "boolean", "here must stand true or false")
		}
	case schema.Integer, schema.UnsignedInt, schema.PositiveInt:
		if kind != codec.Number || !isInteger(r.d.Raw(c), t.Kind) {
			r.fail(value, "integer", integerTexts[t.Kind])
		}
	case schema.Decimal:
		if kind != codec.Number || !isDecimal(r.d.Raw(c)) {
			r.fail(value, "decimal", "here must stand a JSON number")
		}
	default:
		r.text(c, t)
	}
}

var integerTexts = map[schema.Kind]string{
	schema.Integer:     "here must stand a whole number of 32 bits",
	schema.UnsignedInt: "here must stand a whole number from 0 to 2147483647",
	schema.PositiveInt: "here must stand a whole number from 1 to 2147483647",
}

// text checks a primitive that JSON writes as a string.
func (r *run) text(c uint32, t *schema.Type) {
	if !r.d.Nodes[c].Kind.IsString() {
		r.fail(value, "string", "here must stand a JSON string")
		return
	}
	b := r.d.Bytes(c)
	if len(b) == 0 {
		r.fail(value, "empty-string", "a string must not be empty")
		return
	}
	switch t.Kind {
	case schema.String, schema.Markdown:
		r.characters(b, r.d.Nodes[c].Kind == codec.Escaped)
	case schema.Code:
		r.code(b, t)
	case schema.XHTML:
		r.narrative(b)
	default:
		if s := syntaxes[t.Kind]; s.ok != nil && !s.ok(b) {
			r.fail(value, s.id, s.text)
		}
	}
}

// syntaxes are the rules of the string types (R4 datatypes.html#primitive).
var syntaxes = map[schema.Kind]struct {
	ok       func([]byte) bool
	id, text string
}{
	schema.URI:          {isURI, "uri", "a uri must not hold white space"},
	schema.URL:          {isURI, "uri", "a url must not hold white space"},
	schema.Canonical:    {isURI, "uri", "a canonical must not hold white space"},
	schema.OID:          {isOID, "oid", "an oid has the form urn:oid:1.2.3"},
	schema.UUID:         {isUUID, "uuid", "a uuid has the form urn:uuid: and 32 hexadecimal digits in lower case, grouped 8-4-4-4-12"},
	schema.ID:           {isID, "id", "an id has 1 to 64 of the characters A-Z, a-z, 0-9, '-' and '.'"},
	schema.Base64Binary: {isBase64, "base64", "the value is not valid base64"},
	schema.Instant:      {isInstant, "instant", "an instant has the form YYYY-MM-DDThh:mm:ss.sss+zz:zz"},
	schema.Date:         {isDate, "date", "a date is a day of the calendar: YYYY, YYYY-MM or YYYY-MM-DD"},
	schema.DateTime:     {isDateTime, "dateTime", "a dateTime has the form YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+zz:zz"},
	schema.Time:         {isTime, "time", "a time has the form hh:mm:ss"},
}

// characters checks a string: size, and no control characters but tab, line
// feed and carriage return, which JSON can only hold escaped.
func (r *run) characters(b []byte, escaped bool) {
	if len(b) > maxString {
		r.fail(tooLong, "string-length", "a string must not exceed 1 MiB")
	}
	if !escaped {
		return
	}
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			r.fail(value, "control-character", "a string must not hold control characters")
			return
		}
	}
}

func (r *run) code(b []byte, t *schema.Type) {
	if t.Codes != nil {
		if _, ok := t.Codes[string(b)]; !ok {
			r.fail(codeInvalid, "code", "the code is not in the required value set")
		}
		return
	}
	if !isCode(b) {
		r.fail(value, "code-syntax", "a code has no white space but single spaces between words")
	}
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// isCode is [^\s]+(\s[^\s]+)*.
func isCode(b []byte) bool {
	gap := true
	for _, c := range b {
		space := isSpace(c)
		if space && gap {
			return false
		}
		gap = space
	}
	return !gap
}

func isURI(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// isID is fhir.ValidID without a copy.
func isID(b []byte) bool {
	for _, c := range b {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.') {
			return false
		}
	}
	return len(b) <= 64
}

// isOID is urn:oid:[0-2](\.(0|[1-9][0-9]*))+.
func isOID(b []byte) bool {
	rest, ok := bytes.CutPrefix(b, []byte("urn:oid:"))
	if !ok || len(rest) < 3 || rest[0] < '0' || rest[0] > '2' || rest[1] != '.' {
		return false
	}
	for arc := range bytes.SplitSeq(rest[2:], []byte{'.'}) {
		if len(arc) == 0 || arc[0] == '0' && len(arc) > 1 || !isDigits(arc) {
			return false
		}
	}
	return true
}

func isDigits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

func isUUID(b []byte) bool {
	rest, ok := bytes.CutPrefix(b, []byte("urn:uuid:"))
	if !ok || len(rest) != 36 {
		return false
	}
	for i, c := range rest {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}

// isBase64 allows white space between the characters.
func isBase64(b []byte) bool {
	n, pad := 0, 0
	for _, c := range b {
		switch {
		case isSpace(c):
			continue
		case c == '=':
			pad++
		case pad > 0 || !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/'):
			return false
		}
		n++
	}
	return n > 0 && n%4 == 0 && pad <= 2
}

// isInteger checks a JSON number: no fraction, no exponent, 32 bits.
func isInteger(b []byte, k schema.Kind) bool {
	negative := b[0] == '-'
	if negative {
		b = b[1:]
	}
	if len(b) > 10 || !isDigits(b) {
		return false
	}
	var n int64
	for _, c := range b {
		n = n*10 + int64(c-'0')
	}
	if negative {
		return k == schema.Integer && n > 0 && n <= 1<<31
	}
	return n < 1<<31 && (k != schema.PositiveInt || n > 0)
}

// maxExponent bounds the work of whoever computes with a decimal; no
// measurement comes near.
const maxExponentDigits = 3

// isDecimal takes any JSON number with an exponent of at most three digits.
func isDecimal(b []byte) bool {
	e := bytes.IndexAny(b, "eE")
	return e < 0 || len(bytes.TrimLeft(b[e+1:], "+-0")) <= maxExponentDigits
}

// The forms of R4 datatypes.html#dateTime. Days must exist in the calendar,
// the year 0000 does not, seconds may be 60, zones end at 14:00.

func isDate(b []byte) bool     { return len(b) <= 10 && isDay(b) }
func isDateTime(b []byte) bool { return isDate(b) || isInstant(b) }

func isInstant(b []byte) bool {
	if len(b) < 20 || b[10] != 'T' || !isDay(b[:10]) {
		return false
	}
	if b[len(b)-1] == 'Z' {
		return isTime(b[11 : len(b)-1])
	}
	zone := len(b) - 6
	return zone >= 19 && isZone(b[zone:]) && isTime(b[11:zone])
}

// isDay takes YYYY, YYYY-MM and YYYY-MM-DD.
func isDay(b []byte) bool {
	year, ok := number(b, 0, 4)
	if !ok || year == 0 {
		return false
	}
	if len(b) == 4 {
		return true
	}
	month, ok := number(b, 5, 2)
	if !ok || b[4] != '-' || month < 1 || month > 12 {
		return false
	}
	if len(b) == 7 {
		return true
	}
	day, ok := number(b, 8, 2)
	return ok && len(b) == 10 && b[7] == '-' && day >= 1 && day <= daysIn(year, month)
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && year%100 != 0 || year%400 == 0 {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// isTime takes hh:mm:ss and a fraction.
func isTime(b []byte) bool {
	if len(b) < 8 || b[2] != ':' || b[5] != ':' {
		return false
	}
	hour, ok1 := number(b, 0, 2)
	minute, ok2 := number(b, 3, 2)
	second, ok3 := number(b, 6, 2)
	if !ok1 || !ok2 || !ok3 || hour > 23 || minute > 59 || second > 60 {
		return false
	}
	return len(b) == 8 || len(b) > 9 && b[8] == '.' && isDigits(b[9:])
}

// isZone takes +hh:mm and -hh:mm up to 14:00.
func isZone(b []byte) bool {
	hour, ok1 := number(b, 1, 2)
	minute, ok2 := number(b, 4, 2)
	return ok1 && ok2 && (b[0] == '+' || b[0] == '-') && b[3] == ':' && minute <= 59 && hour*60+minute <= 14*60
}

// number reads the n digits at b[i].
func number(b []byte, i, n int) (x int, ok bool) {
	if len(b) < i+n || !isDigits(b[i:i+n]) {
		return 0, false
	}
	for _, c := range b[i : i+n] {
		x = x*10 + int(c-'0')
	}
	return x, true
}
