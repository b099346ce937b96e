package search

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"hutong/fhir/codec"
	"hutong/fhir/definition"
	"hutong/fhir/search/path"
	"hutong/fhir/search/pinyin"
)

// Normalize gives the form in which strings are compared: compatibility
// composed (NFKC), lower case, without combining marks, white space collapsed
// to single blanks and trimmed.
func Normalize(s string) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	blank := false
	for _, r := range norm.NFKD.String(s) {
		switch {
		case unicode.IsSpace(r):
			blank = b.Len() > 0
			continue
		case unicode.Is(unicode.Mn, r):
			continue
		}
		if blank {
			b.WriteByte(' ')
			blank = false
		}
		b.WriteRune(unicode.ToLower(r))
	}
	// Lower case can decompose anew (İ becomes i and a dot above).
	return norm.NFC.String(strings.Map(dropMarks, norm.NFD.String(b.String())))
}

func dropMarks(r rune) rune {
	if unicode.Is(unicode.Mn, r) {
		return -1
	}
	return r
}

// isPlain reports whether s is ASCII in its normal form already.
func isPlain(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x80 || c >= 'A' && c <= 'Z' || c < ' ' || c == 0x7f ||
			c == ' ' && (i == 0 || i == len(s)-1 || s[i+1] == ' ') {
			return false
		}
	}
	return true
}

// FoldCode gives the form in which token codes and identifier values are
// indexed: lower case. Matches is stricter where a system is case-sensitive,
// so an index over FoldCode needs the recheck.
func FoldCode(code string) string { return strings.ToLower(code) }

// namePart says which part of a HumanName a string parameter reads.
type namePart uint8

const (
	noName namePart = iota
	familyName
	givenName
)

func namePartOf(p *definition.SearchParam) namePart {
	switch {
	case strings.HasSuffix(p.Expression, ".name.family"):
		return familyName
	case strings.HasSuffix(p.Expression, ".name.given"):
		return givenName
	}
	return noName
}

// text reads the values of string parameters.
func (w *extraction) text(p *definition.SearchParam, name namePart, v path.Value) {
	switch v.Type {
	case "HumanName":
		w.humanName(p, v.Node)
	case "Address":
		w.members(p, v.Node, "text", "line", "city", "district", "state", "country", "postalCode")
	case "string", "markdown", "code", "id", "uri", "url", "canonical":
		if !w.r.Doc.Nodes[v.Node].Kind.IsString() {
			return
		}
		s := w.r.Text(v.Node)
		w.addText(p, s, false)
		w.spellPart(p, name, s)
	}
}

func (w *extraction) addText(p *definition.SearchParam, s string, derived bool) {
	if s != "" {
		w.add(Entry{Param: p, Code: s, Derived: derived})
	}
}

// members adds the strings of an object's members, each on its own.
func (w *extraction) members(p *definition.SearchParam, i uint32, keys ...string) {
	for _, key := range keys {
		for _, s := range w.strings(i, key) {
			w.addText(p, s, false)
		}
	}
}

// strings gives the texts of a member that is a string or an array of strings.
func (w *extraction) strings(i uint32, key string) []string {
	c := w.r.Doc.Child(i, key)
	if c == 0 {
		return nil
	}
	if w.r.Doc.Nodes[c].Kind.IsString() {
		return []string{w.r.Text(c)}
	}
	if w.r.Doc.Nodes[c].Kind != codec.Array {
		return nil
	}
	var out []string
	for e := range w.r.Doc.Children(c) {
		if w.r.Doc.Nodes[e].Kind.IsString() {
			out = append(out, w.r.Text(e))
		}
	}
	return out
}

// humanName adds every part and the text; for a name in han characters also
// the name joined as it is spoken and written, and its pinyin.
func (w *extraction) humanName(p *definition.SearchParam, i uint32) {
	w.members(p, i, "text", "family", "given", "prefix", "suffix")
	family := w.child(i, "family")
	given := strings.Join(w.strings(i, "given"), "")
	text := joinHan(w.child(i, "text"))
	if !pinyin.HasHan(family + given + text) {
		return
	}
	whole := family + given
	if whole == "" {
		whole = text
		family, given = w.x.names.Split(text)
	}
	if whole != w.child(i, "text") {
		w.addText(p, whole, true)
	}
	for _, s := range w.x.names.Name(family, given) {
		w.addText(p, s, true)
	}
}

// spellPart adds the pinyin of a family or given name on its own.
func (w *extraction) spellPart(p *definition.SearchParam, name namePart, s string) {
	if name == noName || !pinyin.HasHan(s) {
		return
	}
	spell := w.x.names.Given
	if name == familyName {
		spell = w.x.names.Family
	}
	for _, s := range spell(s) {
		w.addText(p, s, true)
	}
}

// joinHan takes the spaces out of a name that begins with a han character:
// registration forms space out short names.
func joinHan(s string) string {
	for _, r := range s {
		if !unicode.Is(unicode.Han, r) {
			return s
		}
		break
	}
	return strings.Join(strings.Fields(s), "")
}
