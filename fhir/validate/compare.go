package validate

import (
	"bytes"
	"math/big"
	"strings"
	"time"

	"hutong/fhir/codec"
)

// after reports whether the date or dateTime a is certainly after b. Where
// they differ in precision the common part decides, so that 2012-05 is not
// after 2012.
func after(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	if len(a) > 10 && len(b) > 10 {
		x, err1 := time.Parse(time.RFC3339, a)
		y, err2 := time.Parse(time.RFC3339, b)
		return err1 == nil && err2 == nil && x.After(y)
	}
	n := min(len(a), len(b), 10)
	return a[:n] > b[:n]
}

// sign gives -1, 0 or 1 for a JSON number.
func sign(number []byte) int {
	digits := number
	if e := bytes.IndexAny(digits, "eE"); e >= 0 {
		digits = digits[:e]
	}
	switch {
	case bytes.IndexAny(digits, "123456789") < 0:
		return 0
	case number[0] == '-':
		return -1
	}
	return 1
}

// compareDecimals compares two JSON numbers exactly; 0 if one is absent or is
// not a number that isDecimal takes.
func compareDecimals(a, b []byte) int {
	x, ok1 := decimal(a)
	y, ok2 := decimal(b)
	if !ok1 || !ok2 {
		return 0
	}
	return x.Cmp(y)
}

// decimal refuses numbers of a size that no measurement has: comparing them
// could cost more than the request is worth.
func decimal(b []byte) (*big.Rat, bool) {
	if len(b) == 0 || len(b) > 64 || !isDecimal(b) {
		return nil, false
	}
	return new(big.Rat).SetString(string(b))
}

// raw gives the bytes of a number member, nil if there is none.
func (n *node) raw(name string) []byte {
	c := n.d.Child(n.at, name)
	if c == 0 || n.d.Nodes[c].Kind != codec.Number {
		return nil
	}
	return n.d.Raw(c)
}

// rangeInOrder is rng-2; quantities in different units are not compared.
func rangeInOrder(n *node) bool {
	low, high := n.d.Child(n.at, "low"), n.d.Child(n.at, "high")
	if low == 0 || high == 0 || n.d.ChildText(low, "code") != n.d.ChildText(high, "code") || n.d.ChildText(low, "unit") != n.d.ChildText(high, "unit") {
		return true
	}
	l, h := node{run: n.run, at: low}, node{run: n.run, at: high}
	return compareDecimals(l.raw("value"), h.raw("value")) <= 0
}

func versionlessURL(n *node) bool { return !strings.Contains(n.text("fullUrl"), "/_history/") }
