package search_test

import (
	"math"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/quick"
	"time"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/definition"
	"hutong/fhir/search"
	"hutong/testdata/sharedata"
)

var prefixes = []search.Prefix{search.Eq, search.Ne, search.Gt, search.Lt, search.Ge, search.Le, search.Sa, search.Eb, search.Ap}

// TestMatchDateAgainstMoments states the prefixes moment by moment, as R4 words
// them, on all small ranges, and holds the bounds to what matches.
func TestMatchDateAgainstMoments(t *testing.T) {
	t.Parallel()
	const n = 7
	all := func(lo, hi int64, f func(m int64) bool) bool {
		for m := lo; m < hi; m++ {
			if !f(m) {
				return false
			}
		}
		return true
	}
	some := func(lo, hi int64, f func(m int64) bool) bool {
		return !all(lo, hi, func(m int64) bool { return !f(m) })
	}
	for slo := int64(0); slo < n; slo++ {
		for shi := slo + 1; shi <= n; shi++ {
			for lo := int64(0); lo < n; lo++ {
				for hi := lo + 1; hi <= n; hi++ {
					in := func(m int64) bool { return slo <= m && m < shi }
					above := func(m int64) bool { return m >= shi }
					below := func(m int64) bool { return m < slo }
					want := map[search.Prefix]bool{
						search.Eq: all(lo, hi, in), search.Ne: !all(lo, hi, in),
						search.Gt: some(lo, hi, above), search.Lt: some(lo, hi, below),
						search.Ge: some(lo, hi, above) || all(lo, hi, in), search.Le: some(lo, hi, below) || all(lo, hi, in),
						search.Sa: all(lo, hi, above), search.Eb: all(lo, hi, below), search.Ap: some(lo, hi, in),
					}
					for _, p := range prefixes {
						if got := search.MatchDate(&search.Value{Prefix: p, Lo: slo, Hi: shi}, lo, hi); got != want[p] {
							t.Fatalf("%s[%d,%d) of [%d,%d): %v", p, slo, shi, lo, hi, got)
						}
						from, to := search.DateBounds(&search.Value{Prefix: p, Lo: slo, Hi: shi}, hi-lo)
						if tight := p == search.Ne || from >= slo-n || to <= shi; !tight || want[p] && (lo < from || lo > to) {
							t.Fatalf("%s[%d,%d) and [%d,%d): the bounds [%d,%d] are not good", p, slo, shi, lo, hi, from, to)
						}
					}
				}
			}
		}
	}
}

// TestNumbersAgainstOracle holds parsed numbers of all prefixes against whole
// hundredths, where the implied range is exact.
func TestNumbersAgainstOracle(t *testing.T) {
	t.Parallel()
	k := newKit(search.Options{})
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		tenths := r.IntN(41) - 20 // the search value, written with one decimal
		hundredths := r.IntN(401) - 200
		p := prefixes[r.IntN(len(prefixes))]
		// In two-hundredths: the range [value-0.05, value+0.05).
		v, x := tenths*20, hundredths*2
		within := v-10 <= x && x < v+10
		ten := max(10, abs(v)/10)
		want := map[search.Prefix]bool{
			search.Eq: within, search.Ne: !within, search.Gt: x > v, search.Lt: x < v, search.Ge: x >= v, search.Le: x <= v,
			search.Sa: x > v, search.Eb: x < v, search.Ap: v-ten <= x && x <= v+ten,
		}[p]
		query := "probability=" + string(p) + decimal(tenths, 10)
		json := `{"resourceType":"RiskAssessment","prediction":[{"probabilityDecimal":` + decimal(hundredths, 100) + `}]}`
		if got := k.matches(t, json, query); got != want {
			t.Fatalf("%s of %s: %v", query, json, got)
		}
	}
}

func abs(n int) int { return max(n, -n) }

func decimal(n, unit int) string {
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	digits := "00"
	if unit == 10 {
		digits = "0"
	}
	frac := []byte(digits)
	rest := n % unit
	for i := len(frac) - 1; i >= 0; i-- {
		frac[i] = byte('0' + rest%10)
		rest /= 10
	}
	return sign + itoa(n/unit) + "." + string(frac)
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

// TestEveryEntryIsFound turns each entry of the official examples into the
// query that a client would write for it, and finds the resource by it.
func TestEveryEntryIsFound(t *testing.T) {
	t.Parallel()
	k := newKit(search.Options{})
	files, _ := filepath.Glob(filepath.Join(sharedata.Dir(t), "examples", "*.json"))
	queries := 0
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		d, err := codec.Parse(src, codec.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		entries, _, err := k.x.Extract(nil, d, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range entries {
			q := query(&entries[i])
			if q == "" {
				continue
			}
			queries++
			r := k.parse(t, d.ResourceType(0), entries[i].Param.Code+q)
			if !search.Matches(&r.Query.Filter[0], entries) {
				t.Errorf("%s is not found by %s%s", filepath.Base(f), entries[i].Param.Code, q)
			}
			missing := search.Predicate{Param: entries[i].Param, Modifier: search.Missing, Values: []search.Value{{Missing: true}}}
			if search.Matches(&missing, entries) {
				t.Errorf("%s: %s is there and :missing", filepath.Base(f), entries[i].Param.Code)
			}
		}
	}
	t.Logf("%d queries", queries)
	if queries < 3000 {
		t.Errorf("only %d queries: the test shows little", queries)
	}
}

// query writes the modifier and value that ask for exactly this entry; "" if
// nothing can.
func query(e *search.Entry) string {
	switch e.Param.Type {
	case definition.Token:
		if e.Code == "" && e.Text != "" {
			return ":text=" + escape(e.Text)
		}
		return "=" + escape(e.System) + "|" + escape(e.Code)
	case definition.String:
		if search.Normalize(e.Code) == "" {
			return ""
		}
		return "=" + escape(e.Code)
	case definition.URI:
		return "=" + escape(e.Code)
	case definition.Reference:
		switch {
		case e.System != "" && !permitted(e.Param, fhir.Type(e.System)):
			return "" // DeviceMetric-example has a parent of a type that R4 does not permit
		case e.System != "":
			return "=" + e.System + "/" + e.Code
		case e.Ident != nil && e.Ident.Value != "":
			return ":identifier=" + escape(e.Ident.System) + "|" + escape(e.Ident.Value)
		case strings.Contains(e.Code, ":"):
			return "=" + escape(e.Code)
		}
	case definition.Date:
		at := e.Lo
		if at == search.MinDate {
			at = e.Hi
		}
		return "=ap" + url.QueryEscape(time.UnixMicro(at).UTC().Format("2006-01-02T15:04:05Z"))
	}
	return ""
}

func permitted(p *definition.SearchParam, t fhir.Type) bool {
	return len(p.Targets) == 0 || slices.Contains(p.Targets, t)
}

func escape(s string) string {
	return url.QueryEscape(strings.NewReplacer(`\`, `\\`, ",", `\,`, "|", `\|`, "$", `\$`).Replace(s))
}

func TestNormalize(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "abc": "abc", " A  b\t\nC ": "a b c", "Ünïcødé": "unicøde", "ＡＢＣ１２３": "abc123", "İstanbul": "istanbul", "ﬁn": "fin",
		"欧阳": "欧阳", "ａ\u3000ｂ": "a b", "e\u0301": "e", "가": "가", "𠅤": "𠅤", "ẞ": "ß",
	} {
		if got := search.Normalize(in); got != want {
			t.Errorf("Normalize(%q) = %q, want %q", in, got, want)
		}
	}
	idempotent := func(s string) bool { n := search.Normalize(s); return search.Normalize(n) == n }
	if err := quick.Check(idempotent, &quick.Config{MaxCount: 5000}); err != nil {
		t.Error(err)
	}
}

// halves is a Units in which 1 double is 2 half.
type halves struct{}

func (halves) Canonical(unit string, v float64) (string, float64, bool) {
	switch unit {
	case "half":
		return "half", v, true
	case "double":
		return "half", 2 * v, true
	}
	return "", 0, false
}

func TestQuantitiesAcrossUnits(t *testing.T) {
	t.Parallel()
	k := newKit(search.Options{Units: halves{}})
	obs := func(quantity string) string { return `{"resourceType":"Observation","valueQuantity":` + quantity + `}` }
	double := obs(`{"value":2,"system":"http://unitsofmeasure.org","code":"double"}`)
	for query, want := range map[string]bool{
		"value-quantity=4|http://unitsofmeasure.org|half": true, "value-quantity=2|http://unitsofmeasure.org|half": false,
		"value-quantity=gt3|http://unitsofmeasure.org|half": true, "value-quantity=2|http://unitsofmeasure.org|double": true,
		"value-quantity=2|http://other|double": false, "value-quantity=2||double": true, "value-quantity=4||half": false, "value-quantity=2": true,
	} {
		if got := k.matches(t, double, query); got != want {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	entries, _ := k.extract(t, obs(`{"value":2,"comparator":">","system":"http://unitsofmeasure.org","code":"double"}`))
	for _, e := range entries {
		if e.Param.Code == "value-quantity" && (e.Canon == nil || e.Canon.NumLo != 4 || !math.IsInf(e.Canon.NumHi, 1)) {
			t.Errorf("canonical of an open range: %+v", e.Canon)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, q := range []string{"name=a&_sort=-birthdate", `identifier=s\|x|y`, "_has:Observation:patient:code=a|b", "general-practitioner:Practitioner.name:exact=x",
		"birthdate=ge2000-01-01T00:00:00+08:00,lt1999", "_include:iterate=Patient:link:Patient", "_count=0&_total=none", "a=%zz", "_elements=name&_summary=text", "link.link.link._id=1"} {
		f.Add(q)
	}
	k := newKit(search.Options{})
	f.Fuzz(func(t *testing.T, query string) {
		for _, typ := range []fhir.Type{"Patient", "Observation", ""} {
			r, err := k.p.Parse(typ, query)
			if err != nil {
				switch fhir.KindOf(err) {
				case fhir.Invalid, fhir.NotSupported, fhir.TooCostly:
				default:
					t.Fatalf("kind %d: %v", fhir.KindOf(err), err)
				}
				continue
			}
			again, err := k.p.Parse(typ, r.Self)
			if err != nil || again.Self != r.Self || len(again.Query.Filter) != len(r.Query.Filter) {
				t.Fatalf("self %q of %q: %v", r.Self, query, err)
			}
			for i := range r.Query.Filter {
				search.Matches(&r.Query.Filter[i], nil)
			}
		}
	})
}

func FuzzExtract(f *testing.F) {
	f.Add([]byte(patient))
	f.Add([]byte(observation))
	f.Add([]byte(`{"resourceType":"Patient","name":5,"identifier":"x","birthDate":{},"telecom":[[null,{"system":[]}]],"meta":[],"deceasedBoolean":"x"}`))
	f.Add([]byte(`{"resourceType":"Observation","code":{"coding":{"code":1}},"component":[[{"valueQuantity":{"value":"1"}}]],"subject":["x"],"effectivePeriod":7,"valueSampledData":{"origin":1,"data":[]}}`))
	k := newKit(search.Options{Units: halves{}})
	f.Fuzz(func(t *testing.T, src []byte) {
		d, err := codec.Parse(src, codec.DefaultLimits())
		if err != nil {
			return
		}
		entries, _, err := k.x.Extract(nil, d, 0, nil)
		if err != nil {
			return
		}
		checkEntries(t, "fuzz", entries)
	})
}
