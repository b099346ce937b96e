// Package ucum reads and converts units of the Unified Code for Units of
// Measure, case-sensitive form, as far as table.go knows them. Arithmetic is
// exact (rational) up to the last rounding.
package ucum

import (
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// ErrUnknown is the error of a unit that cannot be read.
var ErrUnknown = errors.New("ucum: not a unit that is known")

// ErrIncommensurable is the error of units of different dimensions: mg/dL has
// no way to mmol/L without the substance, nor have arbitrary units.
var ErrIncommensurable = errors.New("ucum: units of different dimensions")

// Units reads units and remembers what it read. Safe for concurrent use; the
// zero value is ready.
type Units struct {
	mu   sync.RWMutex
	read map[string]*unit // nil entry: not a unit
}

// cacheMax bounds what is remembered: senders decide which units come.
const cacheMax = 4096

// unit is a parsed unit: x of it are (x + offset) * factor of base.
type unit struct {
	factor *big.Rat
	offset *big.Rat // nil: none
	dims   map[string]int
	base   string
	f, off float64
}

// Valid reports whether code is a unit that is known.
func (u *Units) Valid(code string) bool { return u.unit(code) != nil }

// Convertible reports whether values convert between the units.
func (u *Units) Convertible(from, to string) bool {
	a, b := u.unit(from), u.unit(to)
	return a != nil && b != nil && a.base == b.base
}

// Convert gives value, measured in from, in the unit to. Errors: ErrUnknown,
// ErrIncommensurable.
func (u *Units) Convert(value float64, from, to string) (float64, error) {
	exact := new(big.Rat)
	if exact.SetFloat64(value) == nil {
		return 0, fmt.Errorf("ucum: %v is not a finite number", value)
	}
	out, err := u.ConvertRat(exact, from, to)
	if err != nil {
		return 0, err
	}
	f, _ := out.Float64()
	return f, nil
}

// ConvertRat is Convert without rounding.
func (u *Units) ConvertRat(value *big.Rat, from, to string) (*big.Rat, error) {
	a, b := u.unit(from), u.unit(to)
	if a == nil || b == nil {
		return nil, ErrUnknown
	}
	if a.base != b.base {
		return nil, ErrIncommensurable
	}
	out := new(big.Rat).Set(value)
	if a.offset != nil {
		out.Add(out, a.offset)
	}
	out.Mul(out, a.factor).Quo(out, b.factor)
	if b.offset != nil {
		out.Sub(out, b.offset)
	}
	return out, nil
}

// Canonical gives a value in the base units of its unit: 5 mmol/L becomes a
// number of m-3. ok is false if the unit is not known. It implements the
// Units of fhir/search.
func (u *Units) Canonical(code string, value float64) (base string, v float64, ok bool) {
	a := u.unit(code)
	if a == nil {
		return "", 0, false
	}
	return a.base, (value + a.off) * a.f, true
}

// unit reads a code, nil if it is none.
func (u *Units) unit(code string) *unit {
	u.mu.RLock()
	got, ok := u.read[code]
	u.mu.RUnlock()
	if ok {
		return got
	}
	parsed, err := parse(code)
	if err != nil {
		parsed = nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.read == nil || len(u.read) >= cacheMax {
		u.read = map[string]*unit{}
	}
	u.read[code] = parsed
	return parsed
}

// finish spells the base and rounds the factors once.
func (x *unit) finish() *unit {
	var parts []string
	for _, d := range slices.Sorted(maps.Keys(x.dims)) {
		if e := x.dims[d]; e == 1 {
			parts = append(parts, d)
		} else if e != 0 {
			parts = append(parts, d+strconv.Itoa(e))
		}
	}
	x.base = "1"
	if len(parts) > 0 {
		x.base = strings.Join(parts, ".")
	}
	x.f, _ = x.factor.Float64()
	if x.offset != nil {
		x.off, _ = x.offset.Float64()
	}
	return x
}

func one() *unit { return &unit{factor: big.NewRat(1, 1), dims: map[string]int{}} }

// times multiplies x by y to the power e. Scales with an offset do not
// multiply.
func (x *unit) times(y *unit, e int) error {
	if x.offset != nil || y.offset != nil {
		return ErrUnknown
	}
	f := power(y.factor, e)
	x.factor.Mul(x.factor, f)
	for d, n := range y.dims {
		x.dims[d] += n * e
	}
	return nil
}

// power gives r to the e; r is not zero.
func power(r *big.Rat, e int) *big.Rat {
	out := big.NewRat(1, 1)
	for range max(e, -e) {
		out.Mul(out, r)
	}
	if e < 0 {
		out.Inv(out)
	}
	return out
}
