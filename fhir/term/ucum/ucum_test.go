package ucum

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"math/big"
	"strings"
	"testing"
	"testing/quick"

	"hutong/testdata/sharedata"
)

func TestConvert(t *testing.T) {
	t.Parallel()
	u := &Units{}
	for _, tt := range []struct {
		value    float64
		from, to string
		want     float64
	}{
		{4.2, "mmol/L", "umol/L", 4200}, {4.2, "mmol/L", "mol/m3", 4.2}, {88.4, "umol/L", "mmol/L", 0.0884},
		{15, "g/dL", "g/L", 150}, {7, "10*9/L", "10*3/uL", 7}, {7, "10*9/L", "/nL", 7}, {4.8, "10*12/L", "10*6/uL", 4.8},
		{45, "%", "1", 0.45}, {120, "mm[Hg]", "kPa", 15.99864}, {37, "Cel", "K", 310.15}, {98.6, "[degF]", "Cel", 37},
		{37, "Cel", "[degF]", 98.6}, {1, "U/L", "ukat/L", 1.0 / 60}, {2.5, "m[IU]/mL", "[iU]/L", 2.5}, {3, "u[IU]/mL", "m[IU]/L", 3},
		{70, "kg", "g", 70000}, {1, "[lb_av]", "g", 453.59237}, {72, "[in_i]", "cm", 182.88}, {1, "a", "mo", 12}, {1, "wk", "h", 168},
		{24, "kg/m2", "g/cm2", 2.4}, {1, "kcal", "J", 4184}, {5, "ml", "mL", 5}, {90, "mL/min/{1.73_m2}", "mL/min", 90}, {30, "{score}", "1", 30},
		{5, "meq/L", "mmol/L", 5}, {80, "fL", "um3", 80}, {72, "/min", "Hz", 1.2}, {2, "mg/(24.h)", "mg/d", 2}, {1, "L/s/m2", "m/s", 0.001},
	} {
		got, err := u.Convert(tt.value, tt.from, tt.to)
		if err != nil || math.Abs(got-tt.want) > 1e-12*math.Abs(tt.want) {
			t.Errorf("%v %s = %v %s (%v), want %v", tt.value, tt.from, got, tt.to, err, tt.want)
		}
	}
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	u := &Units{}
	for _, tt := range []struct {
		from, to string
		want     error
	}{
		{"mg/dL", "mmol/L", ErrIncommensurable}, {"m[IU]/mL", "U/mL", ErrIncommensurable}, {"[IU]", "[arb'U]", ErrIncommensurable}, {"[CFU]", "[PFU]", ErrIncommensurable},
		{"[pH]", "mol/L", ErrIncommensurable}, {"Cel", "m", ErrIncommensurable}, {"", "1", ErrUnknown}, {"MG", "mg", ErrUnknown}, {"mEq/L", "meq/L", ErrUnknown},
		{"cc", "mL", ErrUnknown}, {"mmol / L", "mmol/L", ErrUnknown}, {"mCel", "K", ErrUnknown}, {"Cel/s", "K/s", ErrUnknown}, {"Cel2", "K2", ErrUnknown},
		{"m(", "m", ErrUnknown}, {"(m", "m", ErrUnknown}, {"m..s", "m.s", ErrUnknown}, {"m/", "m", ErrUnknown}, {"{a", "1", ErrUnknown}, {"m0", "1", ErrUnknown}, {"0", "1", ErrUnknown},
		{"kmin", "min", ErrUnknown}, {"m999999999", "m", ErrUnknown}, {strings.Repeat("(", 40) + "m" + strings.Repeat(")", 40), "m", ErrUnknown},
	} {
		if got, err := u.Convert(1, tt.from, tt.to); !errors.Is(err, tt.want) {
			t.Errorf("%s to %s: %v, %v; want %v", tt.from, tt.to, got, err, tt.want)
		}
	}
	if _, err := u.Convert(math.Inf(1), "m", "m"); err == nil {
		t.Error("infinity converts")
	}
}

// There and back gives the same number, exactly.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	u := &Units{}
	pairs := [][2]string{{"mmol/L", "umol/dL"}, {"Cel", "[degF]"}, {"mm[Hg]", "kPa"}, {"U/L", "nkat/mL"}, {"[lb_av]", "kg"}, {"a", "s"}}
	check := func(n int64, pair uint8) bool {
		p := pairs[int(pair)%len(pairs)]
		in := big.NewRat(n, 1000)
		there, err := u.ConvertRat(in, p[0], p[1])
		if err != nil {
			return false
		}
		back, err := u.ConvertRat(there, p[1], p[0])
		return err == nil && back.Cmp(in) == 0
	}
	if err := quick.Check(check, nil); err != nil {
		t.Error(err)
	}
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	u := &Units{}
	base, v, ok := u.Canonical("mg/dL", 100)
	if base != "g.m-3" || math.Abs(v-1000) > 1e-9 || !ok {
		t.Errorf("100 mg/dL = %v %s %v", v, base, ok)
	}
	if base, v, _ := u.Canonical("Cel", 37); base != "K" || math.Abs(v-310.15) > 1e-9 {
		t.Errorf("37 Cel = %v %s", v, base)
	}
	if _, _, ok := u.Canonical("furlong", 1); ok {
		t.Error("a furlong without brackets is a unit")
	}
}

// Each symbol and prefix of the table means what UCUM's own file says.
func TestTableAgreesWithEssence(t *testing.T) {
	t.Parallel()
	var essence struct {
		Prefix []struct {
			Code  string `xml:"Code,attr"`
			Value struct {
				Value string `xml:"value,attr"`
			} `xml:"value"`
		} `xml:"prefix"`
		Base []struct {
			Code string `xml:"Code,attr"`
		} `xml:"base-unit"`
		Unit []struct {
			Code      string `xml:"Code,attr"`
			Metric    string `xml:"isMetric,attr"`
			Arbitrary string `xml:"isArbitrary,attr"`
			Special   string `xml:"isSpecial,attr"`
			Value     struct {
				Unit  string `xml:"Unit,attr"`
				Value string `xml:"value,attr"`
			} `xml:"value"`
		} `xml:"unit"`
	}
	d := xml.NewDecoder(strings.NewReader(string(sharedata.Read(t, "terminology/ucum-essence.xml"))))
	d.CharsetReader = asciiReader
	if err := d.Decode(&essence); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, b := range essence.Base {
		seen[b.Code] = atoms[b.Code] == atom{metric: true}
	}
	for _, x := range essence.Unit {
		a, ours := atoms[x.Code]
		if !ours {
			continue
		}
		seen[x.Code] = true
		if a.metric != (x.Metric == "yes") {
			t.Errorf("%s: metric %v", x.Code, a.metric)
		}
		switch {
		case x.Special == "yes": // Cel and [degF] by TestConvert; [pH] converts to itself only
		case x.Arbitrary == "yes" && a.unit == "":
		case a.unit != x.Value.Unit && a.unit != "" || !sameNumber(a.value, x.Value.Value):
			t.Errorf("%s: %s %s, UCUM has %s %s", x.Code, a.value, a.unit, x.Value.Value, x.Value.Unit)
		}
	}
	for code := range atoms {
		if !seen[code] {
			t.Errorf("%s is none of UCUM's", code)
		}
		if !(&Units{}).Valid(code) {
			t.Errorf("%s cannot be read", code)
		}
	}
	for _, p := range essence.Prefix {
		e, ours := prefixes[p.Code]
		if ours && !sameNumber(p.Value.Value, power(big.NewRat(10, 1), e).RatString()) {
			t.Errorf("prefix %s: 10^%d, UCUM has %s", p.Code, e, p.Value.Value)
		}
	}
}

// sameNumber compares numbers; a unit whose file value is written as markup
// (L, [pi]) has none there.
func sameNumber(ours, theirs string) bool {
	a, ok := new(big.Rat).SetString(ours)
	b, ok2 := new(big.Rat).SetString(theirs)
	if !ok || !ok2 {
		return true
	}
	diff, _ := new(big.Rat).Sub(new(big.Rat).Quo(a, b), big.NewRat(1, 1)).Float64()
	return math.Abs(diff) < 1e-12
}

// The units of real resources are read, but for what is no UCUM.
func TestUnitsInUse(t *testing.T) {
	t.Parallel()
	u := &Units{}
	for _, code := range []string{"d", "mg", "g", "mL", "mg/kg", "min", "g/dL", "h", "ml", "U", "{score}", "/min", "Cel", "10*12/L", "mm[Hg]", "a", "[diop]", "deg", "kPa",
		"cal/mL", "mL/h", "mL/d", "kg/m2", "mmol/L", "ug/mL", "mL/min/{1.73_m2}", "cm", "[lb_av]", "kg", "mg/dL", "10*3/uL", "10*6/uL", "%", "fL", "pg", "ng/mL", "mL/min",
		"g/L", "U/L", "{nominal}", "mm", "kU/L", "m[IU]/L", "pmol/L", "nmol/L", "umol/L", "U/mL"} {
		if !u.Valid(code) {
			t.Errorf("%s cannot be read", code)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"mmol/L", "10*9/L", "mL/min/{1.73_m2}", "/(m.s)2", "[in_i]2", "Cel", "((m))", "{", "m-2.kg+1"} {
		f.Add(s)
	}
	u := &Units{}
	f.Fuzz(func(t *testing.T, s string) {
		if !u.Valid(s) {
			return
		}
		got, err := u.Convert(2, s, s)
		if err != nil || math.Abs(got-2) > 1e-9 {
			t.Errorf("2 %q = %v (%v) of itself", s, got, err)
		}
	})
}

func BenchmarkCanonical(b *testing.B) {
	u := &Units{}
	for range b.N {
		u.Canonical("mmol/L", 4.2)
	}
}

// asciiReader lets the decoder read a file that says it is ASCII, which is UTF-8.
func asciiReader(_ string, r io.Reader) (io.Reader, error) { return r, nil }
