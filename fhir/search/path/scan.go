package path

import (
	"fmt"
	"strings"
)

type tokenKind uint8

const (
	end tokenKind = iota
	word
	digits
	text
	sign
)

type token struct {
	kind tokenKind
	text string
	at   int
}

// scan cuts an expression into tokens; the last one is end.
func scan(s string) ([]token, error) {
	var tokens []token
	for i := 0; i < len(s); {
		c := s[i]
		t := token{at: i}
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
			continue
		case isLetter(c):
			t.kind, t.text = word, span(s[i:], isWord)
		case c >= '0' && c <= '9':
			t.kind, t.text = digits, span(s[i:], isDigit)
		case c == '\'':
			n := strings.IndexByte(s[i+1:], '\'')
			if n < 0 || strings.IndexByte(s[i+1:i+1+n], '\\') >= 0 {
				return nil, fmt.Errorf("text at %d does not end, or holds an escape", i)
			}
			t.kind, t.text = text, s[i+1:i+1+n]
			i += 2 // the quotes
		default:
			t.kind, t.text = sign, symbol(s[i:])
		}
		if t.text == "" && t.kind != text {
			return nil, fmt.Errorf("%q was not expected at %d", c, i)
		}
		i += len(t.text)
		tokens = append(tokens, t)
	}
	return append(tokens, token{kind: end, at: len(s)}), nil
}

// symbol gives the sign that s begins with.
func symbol(s string) string {
	for _, t := range []string{"$this", "%resource", "!=", "=", "|", ".", ",", "(", ")", "[", "]"} {
		if strings.HasPrefix(s, t) {
			return t
		}
	}
	return ""
}

func span(s string, ok func(byte) bool) string {
	n := 0
	for n < len(s) && ok(s[n]) {
		n++
	}
	return s[:n]
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isWord(c byte) bool   { return isLetter(c) || isDigit(c) }
