package literal

import (
	"errors"
	"math/big"
	"strconv"
	"strings"
)

// Decimal is a number with the range that its written precision implies: 5.40
// means [5.395, 5.405). 1e2 has one significant digit: [50, 150).
type Decimal struct{ Value, Lo, Hi float64 }

var errDecimal = errors.New("a number is written 100, -5.40 or 1.2e-3")

// maxDecimal bounds what exact arithmetic may cost.
const maxDecimal = 64

// ParseDecimal reads a number. The ends of the range are computed in decimal
// arithmetic and rounded once, so that 0.3 ends where the written 0.35 does.
func ParseDecimal(s string) (Decimal, error) { return parseDecimal(s, false) }

// ParseApproximate gives the range for the prefix ap: ten per cent to either
// side, or the implied range if that is wider.
func ParseApproximate(s string) (Decimal, error) { return parseDecimal(s, true) }

func parseDecimal(s string, approximate bool) (Decimal, error) {
	unscaled, exponent, ok := split(s)
	if !ok {
		return Decimal{}, errDecimal
	}
	// In units of a tenth of the last digit.
	tenfold := new(big.Int).Mul(unscaled, big.NewInt(10))
	half := big.NewInt(5)
	if tenth := new(big.Int).Abs(unscaled); approximate && tenth.Cmp(half) > 0 {
		half = tenth
	}
	var d Decimal
	var err [3]error
	d.Value, err[0] = float(unscaled, exponent)
	d.Lo, err[1] = float(new(big.Int).Sub(tenfold, half), exponent-1)
	d.Hi, err[2] = float(tenfold.Add(tenfold, half), exponent-1)
	if errors.Join(err[:]...) != nil {
		return Decimal{}, errDecimal
	}
	return d, nil
}

func float(unscaled *big.Int, exponent int) (float64, error) {
	return strconv.ParseFloat(unscaled.String()+"e"+strconv.Itoa(exponent), 64)
}

// split gives s as unscaled * 10^exponent.
func split(s string) (unscaled *big.Int, exponent int, ok bool) {
	if len(s) > maxDecimal {
		return nil, 0, false
	}
	mantissa := s
	if e := strings.IndexAny(s, "eE"); e >= 0 {
		n, err := strconv.Atoi(s[e+1:])
		if err != nil || n < -400 || n > 400 {
			return nil, 0, false
		}
		mantissa, exponent = s[:e], n
	}
	whole, part, dotted := strings.Cut(mantissa, ".")
	sign := strings.TrimLeft(whole, "+-")
	if len(whole)-len(sign) > 1 || sign == "" || dotted && part == "" || !allDigits(sign) || !allDigits(part) {
		return nil, 0, false
	}
	unscaled, ok = new(big.Int).SetString(strings.TrimPrefix(whole, "+")+part, 10)
	return unscaled, exponent - len(part), ok
}

func allDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
