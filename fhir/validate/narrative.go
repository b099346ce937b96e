package validate

import "bytes"

const xhtmlNamespace = "http://www.w3.org/1999/xhtml"

// narrative checks a div: the XHTML namespace, and nothing active (txt-1).
// It is one scan of the tags; whether they are balanced is not checked.
func (r *run) narrative(b []byte) {
	b = bytes.TrimSpace(b)
	end := bytes.IndexByte(b, '>')
	if end < 0 || !bytes.HasPrefix(b, []byte("<div")) || !(bytes.HasSuffix(b, []byte("</div>")) || bytes.HasSuffix(b, []byte("/>"))) {
		r.fail(value, "xhtml", "a narrative is one XHTML div element")
		return
	}
	if !bytes.Contains(b[:end], []byte(xhtmlNamespace)) {
		r.fail(value, "xhtml-namespace", "the div must have the namespace "+xhtmlNamespace)
	}
	for at := bytes.IndexByte(b, '<'); at >= 0; {
		tag := b[at+1:]
		n := tagLength(tag)
		if isActive(tag[:n]) {
			r.fail(invariantID, "txt-1", "txt-1: a narrative must not hold scripts, forms, frames or event handlers")
			return
		}
		b = tag[n:]
		at = bytes.IndexByte(b, '<')
	}
}

// tagLength gives the length of the tag up to its '>', which may stand within
// quotes before.
func tagLength(tag []byte) int {
	var quote byte
	for i, c := range tag {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return i
		}
	}
	return len(tag)
}

// isActive reports whether the content of a tag, from its name on, could run
// code or load documents in a browser.
func isActive(tag []byte) bool {
	name := tag
	if end := bytes.IndexAny(tag, " \t\r\n/"); end >= 0 {
		name = tag[:end]
	}
	var lower [len("textarea")]byte // the longest name below
	switch string(lower[:toLower(lower[:], name)]) {
	case "script", "iframe", "frame", "frameset", "object", "embed", "applet", "form", "input", "button",
		"textarea", "select", "base", "link", "meta", "svg", "math", "head", "body", "html":
		return true
	}
	return hasHandler(tag[len(name):])
}

// toLower writes the lower case of name to dst and gives its length; 0 for a
// name that does not fit.
func toLower(dst, name []byte) int {
	if len(name) > len(dst) {
		return 0
	}
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst[i] = c
	}
	return len(name)
}

// hasHandler finds attributes named on..., and javascript: as a value.
func hasHandler(attributes []byte) bool {
	if len(attributes) == 0 || bytes.IndexByte(attributes, '=') < 0 {
		return false
	}
	lower := bytes.ToLower(attributes)
	if bytes.Contains(lower, []byte("javascript:")) {
		return true
	}
	var quote byte
	for i, c := range lower {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case (isSpace(c) || c == '/') && bytes.HasPrefix(lower[i+1:], []byte("on")):
			return true
		}
	}
	return false
}
