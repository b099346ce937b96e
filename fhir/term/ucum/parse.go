package ucum

import (
	"math/big"
	"strconv"
	"strings"
)

// Bounds of what is read: longer or deeper texts are no units.
const (
	maxLength   = 128
	maxDepth    = 8
	maxExponent = 60
)

// parser reads one code by the grammar of UCUM §6-§12.
type parser struct {
	s     string
	i     int
	depth int
}

func parse(code string) (*unit, error) {
	if code == "" || len(code) > maxLength {
		return nil, ErrUnknown
	}
	p := &parser{s: code}
	x, err := p.term()
	if err != nil || p.i != len(p.s) {
		return nil, ErrUnknown
	}
	return x.finish(), nil
}

// term reads components joined by '.' and '/', from left to right; a leading
// '/' inverts.
func (p *parser) term() (*unit, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, ErrUnknown
	}
	defer func() { p.depth-- }()
	sign := 1
	if p.accept('/') {
		sign = -1
	}
	x, err := p.component()
	if err != nil {
		return nil, err
	}
	if sign < 0 {
		inverse := one()
		if err := inverse.times(x, -1); err != nil {
			return nil, err
		}
		x = inverse
	}
	for p.i < len(p.s) {
		switch {
		case p.accept('.'):
			sign = 1
		case p.accept('/'):
			sign = -1
		default:
			return x, nil
		}
		y, err := p.component()
		if err != nil {
			return nil, err
		}
		if err := x.times(y, sign); err != nil {
			return nil, err
		}
	}
	return x, nil
}

func (p *parser) accept(c byte) bool {
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

// component reads (term), an annotation, a factor, or a unit with exponent;
// an annotation may follow and means nothing.
func (p *parser) component() (*unit, error) {
	var x *unit
	var err error
	switch {
	case p.accept('('):
		if x, err = p.term(); err == nil && !p.accept(')') {
			err = ErrUnknown
		}
	case p.i < len(p.s) && p.s[p.i] == '{':
		x = one()
	default:
		x, err = p.simple()
	}
	if err != nil {
		return nil, err
	}
	return x, p.annotation()
}

func (p *parser) annotation() error {
	if !p.accept('{') {
		return nil
	}
	end := strings.IndexByte(p.s[p.i:], '}')
	if end < 0 || strings.ContainsAny(p.s[p.i:p.i+end], "{ ") {
		return ErrUnknown
	}
	p.i += end + 1
	return nil
}

// simple reads a factor such as 24, or a symbol with its exponent.
func (p *parser) simple() (*unit, error) {
	word := p.word()
	if word == "" {
		return nil, ErrUnknown
	}
	if n, ok := factor(word); ok {
		return n, nil
	}
	symbol, exponent, err := split(word)
	if err != nil {
		return nil, err
	}
	y, err := p.symbol(symbol)
	if err != nil || exponent == 1 {
		return y, err
	}
	x := one()
	return x, x.times(y, exponent)
}

// word takes what ends at an operator or annotation; brackets hold anything.
func (p *parser) word() string {
	start, bracket := p.i, false
	for p.i < len(p.s) {
		c := p.s[p.i]
		if c <= ' ' || c >= 0x7F {
			break
		}
		if !bracket && strings.IndexByte("./(){}", c) >= 0 {
			break
		}
		bracket = c == '[' || bracket && c != ']'
		p.i++
	}
	return p.s[start:p.i]
}

func factor(word string) (*unit, bool) {
	for i := range len(word) {
		if word[i] < '0' || word[i] > '9' {
			return nil, false
		}
	}
	n, ok := new(big.Int).SetString(word, 10)
	if !ok || n.Sign() == 0 || len(word) > 20 {
		return nil, false
	}
	x := one()
	x.factor.SetInt(n)
	return x, true
}

// split takes the exponent off a word: m2, s-1, 10*9.
func split(word string) (symbol string, exponent int, err error) {
	i := len(word)
	for i > 0 && word[i-1] >= '0' && word[i-1] <= '9' {
		i--
	}
	if i == len(word) {
		return word, 1, nil
	}
	if i > 0 && (word[i-1] == '-' || word[i-1] == '+') {
		i--
	}
	exponent, err = strconv.Atoi(word[i:])
	if err != nil || exponent == 0 || max(exponent, -exponent) > maxExponent || i == 0 {
		return "", 0, ErrUnknown
	}
	return word[:i], exponent, nil
}

// symbol finds a unit symbol, with a prefix if it takes one.
func (p *parser) symbol(s string) (*unit, error) {
	if a, ok := atoms[s]; ok {
		return p.meaning(s, a)
	}
	for n := 2; n >= 1; n-- {
		if len(s) <= n {
			continue
		}
		e, isPrefix := prefixes[s[:n]]
		a, ok := atoms[s[n:]]
		if !isPrefix || !ok || !a.metric || a.offset != "" {
			continue
		}
		x, err := p.meaning(s[n:], a)
		if err != nil {
			return nil, err
		}
		x.factor.Mul(x.factor, power(big.NewRat(10, 1), e))
		return x, nil
	}
	return nil, ErrUnknown
}

// meaning resolves an atom to base units.
func (p *parser) meaning(s string, a atom) (*unit, error) {
	x := one()
	if a.unit == "" {
		x.dims[s] = 1
		return x, nil
	}
	inner := &parser{s: a.unit}
	y, err := inner.term()
	if err != nil || inner.i != len(inner.s) {
		return nil, ErrUnknown
	}
	value, ok := new(big.Rat).SetString(a.value)
	if !ok {
		return nil, ErrUnknown
	}
	x.factor.Set(value)
	if err := x.times(y, 1); err != nil {
		return nil, err
	}
	if a.offset != "" {
		x.offset, _ = new(big.Rat).SetString(a.offset)
	}
	return x, nil
}
