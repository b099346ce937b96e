package codec_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/testdata/sharedata"
)

func parse(t testing.TB, src string) *codec.Doc {
	t.Helper()
	d, err := codec.Parse([]byte(src), codec.DefaultLimits())
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return d
}

// TestParseErrors pins where faults are found and what path they carry.
func TestParseErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ src, line, path, text string }{
		{``, "line 1, column 1", "", "must stand"},
		{`  `, "line 1, column 3", "", "must stand"},
		{`{`, "line 1, column 2", "", "member name"},
		{`[1,]`, "line 1, column 4", "[1]", "JSON value"},
		{`{"a":1,}`, "line 1, column 8", "", "member name"},
		{`{"a" 1}`, "line 1, column 6", "", "':'"},
		{`{"a":1 "b":2}`, "line 1, column 8", "", "','"},
		{`[1 2]`, "line 1, column 4", "", "','"},
		{`{"a":01}`, "line 1, column 7", "", "','"},
		{`{"a":+1}`, "line 1, column 6", "a", "JSON value"},
		{`{"a":.5}`, "line 1, column 6", "a", "JSON value"},
		{`{"a":1.}`, "line 1, column 6", "a", "JSON value"},
		{`{"a":1e}`, "line 1, column 6", "a", "JSON value"},
		{`{"a":-}`, "line 1, column 6", "a", "JSON value"},
		{`{"a":NaN}`, "line 1, column 6", "a", "JSON value"},
		{`{"a":tru}`, "line 1, column 6", "a", "JSON value"},
		{`{} {}`, "line 1, column 4", "", "after the end"},
		{`{"a":'b'}`, "line 1, column 6", "a", "JSON value"},
		{"{\"a\":\"b\nc\"}", "line 1, column 8", "a", "control character"},
		{`{"a":"\x"}`, "line 1, column 7", "a", "escape"},
		{`{"a":"\u12"}`, "line 1, column 7", "a", "hexadecimal"},
		{`{"a":"\ud800"}`, "line 1, column 7", "a", "surrogate"},
		{`{"a":"\ud800\u0041"}`, "line 1, column 7", "a", "surrogate"},
		{`{"a":"\udc00\ud800"}`, "line 1, column 7", "a", "surrogate"},
		{"{\"a\":\"b\xff\"}", "line 1, column 8", "a", "UTF-8"},
		{"{\"a\":\"\xed\xa0\x80\"}", "line 1, column 7", "a", "UTF-8"},
		{`{"a":1,"b":2,"a":3}`, "line 1, column 14", "", "member a is given twice"},
		{`{"a":1,"\u0061":3}`, "line 1, column 8", "", "member a is given twice"},
		{`{"李四":1,"李四":3}`, "line 1, column 9", "", "member ? is given twice"},
		{"{\"resourceType\":\"Patient\",\n \"name\":[{\"given\":[\"李\",tru]}]}", "line 2, column 24", "Patient.name[0].given[1]", "JSON value"},
		{"{\"resourceType\":\"Bundle\",\"entry\":[{},{\"resource\":{\"_x\":{\"y\":nul}}}]}", "line 1, column 61", "Bundle.entry[1].resource.x.y", "JSON value"},
		{"{\"resourceType\":\"Patient\",\"name\":[{\"given\":[\"a\"", "line 1, column 48", "Patient.name[0].given", "ends"},
	} {
		_, err := codec.Parse([]byte(c.src), codec.DefaultLimits())
		var e *fhir.Error
		if !errors.As(err, &e) || e.Kind != fhir.Structure {
			t.Errorf("%s: %v, want a structure error", c.src, err)
			continue
		}
		if is := e.Issues[0]; !strings.HasPrefix(is.Text, c.line+":") || is.Expression != c.path || !strings.Contains(is.Text, c.text) {
			t.Errorf("%s: %q at %q, want %q, %q at %q", c.src, is.Text, is.Expression, c.line, c.text, c.path)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	lim := codec.Limits{MaxBytes: 100, MaxDepth: 3, MaxNodes: 10}
	for src, want := range map[string]fhir.Kind{
		`[` + strings.Repeat(` `, 99) + `]`: fhir.TooLarge,
		`[1,2,3,4,5,6,7,8,9,10]`:            fhir.TooLarge,
		`[[[[]]]]`:                          fhir.Structure,
		`{"a":{"b":{"c":{}}}}`:              fhir.Structure,
	} {
		if _, err := codec.Parse([]byte(src), lim); fhir.KindOf(err) != want || err == nil {
			t.Errorf("%s: %v, want kind %d", src, err, want)
		}
	}
	for _, src := range []string{`[` + strings.Repeat(` `, 98) + `]`, `[1,2,3,4,5,6,7,8,9]`, `[[[]],[[]]]`} {
		if _, err := codec.Parse([]byte(src), lim); err != nil {
			t.Errorf("%s: %v", src, err)
		}
	}
}

// TestManyMembers puts duplicates into objects beyond the pairwise check, at
// every distance, and colliding names into small ones.
func TestManyMembers(t *testing.T) {
	t.Parallel()
	for _, n := range []int{3, 31, 32, 33, 34, 100, 5000} {
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf(`"n%05d":1`, i)
		}
		if _, err := codec.Parse([]byte("{"+strings.Join(names, ",")+"}"), codec.DefaultLimits()); err != nil {
			t.Errorf("%d members: %v", n, err)
		}
		for _, twice := range []int{0, n / 2, n - 2} {
			doubled := append(append([]string{}, names[:n-1]...), names[twice])
			if _, err := codec.Parse([]byte("{"+strings.Join(doubled, ",")+"}"), codec.DefaultLimits()); !errors.Is(err, fhir.E(fhir.Structure)) {
				t.Errorf("%d members, number %d twice: %v", n, twice, err)
			}
		}
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	d := parse(t, "\xef\xbb\xbf"+`{"resourceType":"Patient","i\u0064":"a\/b","n":[1.00,{"x":"\ud83d\ude00\n\"\\"},[],null,true]}`)
	if got := d.ResourceType(0); got != "Patient" {
		t.Errorf("type %q", got)
	}
	if got := d.ChildText(0, "id"); got != "a/b" {
		t.Errorf("escaped member %q", got)
	}
	n := d.Child(0, "n")
	if d.Len(n) != 5 || d.Nodes[n].Kind != codec.Array {
		t.Errorf("n has %d elements", d.Len(n))
	}
	var kinds []codec.Kind
	var paths []string
	for c := range d.Children(n) {
		kinds = append(kinds, d.Nodes[c].Kind)
		paths = append(paths, d.Path(c))
	}
	if want := []codec.Kind{codec.Number, codec.Object, codec.Array, codec.Null, codec.True}; fmt.Sprint(kinds) != fmt.Sprint(want) {
		t.Errorf("kinds %v, want %v", kinds, want)
	}
	if paths[3] != "Patient.n[3]" {
		t.Errorf("paths %v", paths)
	}
	if x := d.Child(n+2, "x"); d.Text(x) != "😀\n\"\\" || d.Path(x) != "Patient.n[1].x" {
		t.Errorf("x is %q at %s", d.Text(x), d.Path(x))
	}
	if got := string(d.Raw(n + 1)); got != "1.00" {
		t.Errorf("decimal %s lost its digits", got)
	}
	if d.Child(0, "none") != 0 || d.Child(n, "n") != 0 {
		t.Error("a member that is not there was found")
	}
}

// TestSharedData: every file parses; compact output equals json.Compact's,
// with and without white space in the source; nothing is rewritten.
func TestSharedData(t *testing.T) {
	t.Parallel()
	var pool codec.Pool
	for _, f := range append(sharedata.Files(t, "examples/*.json"), sharedata.Files(t, "synthea-train/*.json")[:4]...) {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var want, spaced bytes.Buffer
		if json.Compact(&want, src) != nil || json.Indent(&spaced, src, "", "  ") != nil {
			t.Fatalf("%s is not JSON", f)
		}
		keep := func([]byte) ([]byte, bool) { return nil, false }
		for _, text := range [][]byte{src, spaced.Bytes()} {
			for _, rewrite := range []codec.Rewrite{nil, keep} {
				d, err := pool.Parse(text, codec.DefaultLimits())
				if err != nil {
					t.Fatalf("%s: %v", filepath.Base(f), err)
				}
				if got := d.AppendCompact(nil, 0, rewrite); !bytes.Equal(got, want.Bytes()) {
					t.Errorf("%s: compact form differs from json.Compact", filepath.Base(f))
				}
				pool.Put(d)
			}
		}
	}
}

// FuzzParse holds the parser against encoding/json: what we accept it accepts
// with the same meaning; what only we refuse has one of the listed reasons.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-0.50e+3,"\u00e9\n",null,true,false,{}]}`, `[`, `"\ud83d\ude00"`, "\"\xff\"", `{"a":1,"a":2}`, ` [ 1 , 2 ] `, "\xef\xbb\xbf1", `{"\u0061":{"":0}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		d, err := codec.Parse(src, codec.DefaultLimits())
		text := bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))
		if err != nil {
			if fhir.KindOf(err) != fhir.Structure {
				t.Fatalf("%v is not a structure error", err)
			}
			strict := strings.Contains(err.Error(), "given twice") || strings.Contains(err.Error(), "surrogate") || strings.Contains(err.Error(), "deeper")
			if json.Valid(text) && utf8.Valid(text) && !strict {
				t.Fatalf("refused valid JSON: %v", err)
			}
			return
		}
		if !json.Valid(text) {
			t.Fatal("accepted invalid JSON")
		}
		var want, got any
		compact := d.AppendCompact(nil, 0, nil)
		if json.Unmarshal(text, &want) == nil {
			if err := json.Unmarshal(compact, &got); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("compact form %s means %v, not %v (%v)", compact, got, want, err)
			}
		}
		for i := range d.Nodes {
			d.Path(uint32(i))
			if d.Nodes[i].Kind.IsString() {
				var s string
				if err := json.Unmarshal(append(append([]byte{'"'}, d.Raw(uint32(i))...), '"'), &s); err != nil || s != d.Text(uint32(i)) {
					t.Fatalf("text %q, encoding/json reads %q", d.Text(uint32(i)), s)
				}
			}
		}
	})
}
