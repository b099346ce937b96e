// Package answer writes what interactions give back: Bundles put together from
// stored bytes, without a second marshalling, and subsets of resources.
package answer

import (
	"io"
	"slices"
	"strconv"
	"time"

	"hutong/fhir"
	"hutong/fhir/codec"
)

// Bundle is an answer of several resources. WriteTo streams it.
type Bundle struct {
	Type    string // searchset, history, transaction-response, batch-response
	Total   int    // -1: none
	Links   []Link
	Entries []Entry
	At      time.Time // meta.lastUpdated; zero: none
}

// Link is one Bundle.link: relation self, first, next.
type Link struct{ Relation, URL string }

// Entry is one Bundle.entry.
type Entry struct {
	FullURL  string
	Resource fhir.Resource // without a body: none is written
	JSON     []byte        // written in place of Resource if set: a subset, an outcome, a nested Bundle
	Mode     string        // search.mode: match, include, outcome
	Method   string        // request.method of a history
	URL      string        // request.url of a history
	Status   string        // response.status: "201 Created"
	Location string        // response.location
	ETag     string        // response.etag
	Modified time.Time     // response.lastModified; zero: none
	Outcome  []byte        // response.outcome: an OperationOutcome
}

// flushAt is how many bytes are gathered before they are written.
const flushAt = 64 << 10

// WriteTo writes the Bundle as JSON, in pieces of about 64 KiB.
func (b *Bundle) WriteTo(w io.Writer) (int64, error) {
	var written int64
	piece := Buffer()
	defer Release(piece)
	*piece = slices.Grow(*piece, b.room())
	buf := b.head(*piece)
	defer func() { *piece = buf }()
	for i := range b.Entries {
		buf = append(buf, separator(i)...)
		buf = b.Entries[i].append(buf)
		if len(buf) < flushAt {
			continue
		}
		n, err := w.Write(buf)
		written += int64(n)
		if err != nil {
			return written, err
		}
		buf = buf[:0]
	}
	if len(b.Entries) > 0 {
		buf = append(buf, ']')
	}
	n, err := w.Write(append(buf, '}'))
	return written + int64(n), err
}

// room is about what the Bundle takes, or a piece of it: most are small.
func (b *Bundle) room() int {
	n := 1 << 10
	for i := range b.Entries {
		if n > flushAt {
			return flushAt + flushAt/4
		}
		e := &b.Entries[i]
		n += len(e.JSON) + len(e.Resource.Body.Raw) + len(e.FullURL) + 512
	}
	return n
}

func separator(i int) string {
	if i == 0 {
		return `,"entry":[`
	}
	return ","
}

func (b *Bundle) head(dst []byte) []byte {
	dst = append(dst, `{"resourceType":"Bundle"`...)
	if !b.At.IsZero() {
		dst = append(dst, `,"meta":{"lastUpdated":"`...)
		dst = b.At.UTC().AppendFormat(dst, fhir.InstantLayout)
		dst = append(dst, `"}`...)
	}
	dst = append(dst, `,"type":"`+b.Type+`"`...)
	if b.Total >= 0 {
		dst = append(dst, `,"total":`...)
		dst = strconv.AppendInt(dst, int64(b.Total), 10)
	}
	for i, l := range b.Links {
		if i == 0 {
			dst = append(dst, `,"link":[`...)
		} else {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"relation":"`+l.Relation+`","url":`...)
		dst = append(codec.AppendString(dst, l.URL), '}')
	}
	if len(b.Links) > 0 {
		dst = append(dst, ']')
	}
	return dst
}

func (e *Entry) append(dst []byte) []byte {
	dst = append(dst, '{')
	if e.FullURL != "" {
		dst = member(dst, "fullUrl", e.FullURL)
	}
	switch {
	case e.JSON != nil:
		dst = append(key(dst, "resource"), e.JSON...)
	case len(e.Resource.Body.Raw) > 0:
		dst = e.Resource.AppendJSON(key(dst, "resource"))
	}
	if e.Mode != "" {
		dst = append(key(dst, "search"), `{"mode":"`+e.Mode+`"}`...)
	}
	if e.Method != "" {
		dst = append(key(dst, "request"), `{"method":"`+e.Method+`"`...)
		dst = append(member(dst, "url", e.URL), '}')
	}
	return append(e.response(dst), '}')
}

func (e *Entry) response(dst []byte) []byte {
	if e.Status == "" {
		return dst
	}
	dst = append(key(dst, "response"), '{')
	dst = member(dst, "status", e.Status)
	if e.Location != "" {
		dst = member(dst, "location", e.Location)
	}
	if e.ETag != "" {
		dst = member(dst, "etag", e.ETag)
	}
	if !e.Modified.IsZero() {
		dst = member(dst, "lastModified", e.Modified.UTC().Format(fhir.InstantLayout))
	}
	if e.Outcome != nil {
		dst = append(key(dst, "outcome"), e.Outcome...)
	}
	return append(dst, '}')
}

// key begins a member, with a comma where it is not the first.
func key(dst []byte, name string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(dst, '"')
	return append(append(dst, name...), '"', ':')
}

func member(dst []byte, name, value string) []byte {
	return codec.AppendString(key(dst, name), value)
}
