package codec

import (
	"bytes"
	"unicode/utf8"
)

// Rewrite gives the replacement of a link, if it has one. ref is unescaped:
// the value of Reference.reference, of a uri, url, canonical, oid or uuid, or
// of an a/img link of a narrative. A transaction replaces the fullUrls of its
// entries (urn:uuid:...) by Type/id and leaves everything else.
type Rewrite func(ref []byte) (replacement []byte, ok bool)

// AppendCompact appends node i without white space between tokens; all other
// bytes stay as the sender wrote them, but for the links that rewrite (nil =
// none) replaces. The entries of a nested Bundle are never rewritten: their
// links hold within that Bundle.
func (d *Doc) AppendCompact(dst []byte, i uint32, rewrite Rewrite) []byte {
	w := writer{d: d, dst: dst, rewrite: rewrite}
	w.value(i)
	return w.dst
}

type writer struct {
	d       *Doc
	dst     []byte
	rewrite Rewrite
}

// member writes "key":value, with a comma where it is not the first.
func (w *writer) member(c uint32) {
	w.comma()
	n := &w.d.Nodes[c]
	w.dst = append(w.dst, '"')
	w.dst = append(w.dst, w.d.Src[n.KeyStart:n.KeyEnd]...)
	w.dst = append(w.dst, '"', ':')
	w.value(c)
}

func (w *writer) comma() {
	if last := w.dst[len(w.dst)-1]; last != '{' && last != '[' {
		w.dst = append(w.dst, ',')
	}
}

func (w *writer) value(i uint32) {
	n := &w.d.Nodes[i]
	switch n.Kind {
	case String, Escaped:
		if w.rewrite != nil && w.link(i) {
			return
		}
		w.dst = append(w.dst, w.d.Src[n.Start-1:n.End+1]...)
	case Object, Array:
		w.container(i)
	default:
		w.dst = append(w.dst, w.d.Raw(i)...)
	}
}

func (w *writer) container(i uint32) {
	n := &w.d.Nodes[i]
	if w.rewrite == nil && !w.d.spaced {
		w.dst = append(w.dst, w.d.Raw(i)...)
		return
	}
	if n.Kind == Array {
		w.elements(i)
		return
	}
	if w.rewrite != nil && w.d.ResourceType(i) == "Bundle" {
		defer func(rw Rewrite) { w.rewrite = rw }(w.rewrite)
		w.rewrite = nil
	}
	w.dst = append(w.dst, '{')
	for c := i + 1; c < n.Next; c = w.d.Nodes[c].Next {
		w.member(c)
	}
	w.dst = append(w.dst, '}')
}

func (w *writer) elements(i uint32) {
	n := &w.d.Nodes[i]
	links := w.rewrite != nil && isLinkName(w.d.Key(i))
	w.dst = append(w.dst, '[')
	for c := i + 1; c < n.Next; c = w.d.Nodes[c].Next {
		w.comma()
		if !links || !w.d.Nodes[c].Kind.IsString() || !w.replace(w.d.Bytes(c)) {
			w.value(c)
		}
	}
	w.dst = append(w.dst, ']')
}

// link writes a string member that is a link or a narrative, if it changes.
func (w *writer) link(i uint32) bool {
	switch key := w.d.Key(i); {
	case string(key) == "div":
		return w.narrative(w.d.Raw(i))
	case isLinkName(key):
		return w.replace(w.d.Bytes(i))
	}
	return false
}

func (w *writer) replace(ref []byte) bool {
	to, ok := w.rewrite(ref)
	if ok {
		w.dst = append(w.dst, '"')
		w.dst = append(appendEscaped(w.dst, to), '"')
	}
	return ok
}

// narrative writes an XHTML string, replacing the values of href and src
// attributes. It works on the raw JSON, in which the quotes are escaped.
func (w *writer) narrative(raw []byte) bool {
	if !bytes.Contains(raw, []byte("href=")) && !bytes.Contains(raw, []byte("src=")) {
		return false
	}
	w.dst = append(w.dst, '"')
	for len(raw) > 0 {
		start, end := nextAttribute(raw)
		w.dst = append(w.dst, raw[:start]...)
		if to, ok := w.rewrite(appendUnescaped(nil, raw[start:end])); ok && start < end {
			w.dst = appendEscaped(w.dst, to)
		} else {
			w.dst = append(w.dst, raw[start:end]...)
		}
		raw = raw[end:]
	}
	w.dst = append(w.dst, '"')
	return true
}

// nextAttribute finds the value of the next href or src attribute of raw; at
// the end it gives len(raw) twice.
func nextAttribute(raw []byte) (start, end int) {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '=' || !(bytes.HasSuffix(raw[:i], []byte("href")) || bytes.HasSuffix(raw[:i], []byte("src"))) {
			continue
		}
		quote := []byte(`'`)
		if bytes.HasPrefix(raw[i+1:], []byte(`\"`)) {
			quote = []byte(`\"`)
		}
		start = i + 1 + len(quote)
		if !bytes.HasPrefix(raw[i+1:], quote) {
			continue
		}
		if n := bytes.Index(raw[start:], quote); n >= 0 {
			return start, start + n
		}
	}
	return len(raw), len(raw)
}

// AppendString appends s as a JSON string. Bytes that are not UTF-8 become
// U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	dst = appendEscaped(dst, []byte(s))
	return append(dst, '"')
}

func appendEscaped(dst, s []byte) []byte {
	const hex = "0123456789abcdef"
	for {
		n := verbatim(s)
		dst, s = append(dst, s[:n]...), s[n:]
		if len(s) == 0 {
			return dst
		}
		c := s[0]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			r, size := utf8.DecodeRune(s)
			dst = utf8.AppendRune(dst, r)
			s = s[size:]
			continue
		}
		s = s[1:]
	}
}

// verbatim counts the leading bytes that stand for themselves in a JSON string:
// ASCII without what must be escaped.
func verbatim(s []byte) int {
	for i, c := range s {
		if c < 0x20 || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return i
		}
	}
	return len(s)
}
