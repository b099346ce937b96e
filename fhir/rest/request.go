package rest

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/klauspost/compress/gzip"

	"hutong/fhir"
)

// Media types of request bodies.
var (
	resourceTypes = []string{"application/fhir+json", "application/json", "application/json+fhir", "text/json"}
	patchTypes    = []string{"application/json-patch+json"}
	formTypes     = []string{"application/x-www-form-urlencoded"}
)

// Body reads a request body that is one resource in JSON, as this binding does,
// for operations that other rooms serve. Errors: UnsupportedMedia, TooLarge,
// Structure, Invalid.
func Body(c *gin.Context, most int64) ([]byte, error) { return body(c, resourceTypes, most) }

func (s *Server) body(c *gin.Context, types []string) ([]byte, error) {
	return body(c, types, s.cfg.MaxBody)
}

// body reads the whole request body: of one of these media types, in UTF-8,
// gzipped or not, and never more than most bytes, compressed or expanded.
func body(c *gin.Context, types []string, most int64) ([]byte, error) {
	if err := checkType(c.GetHeader("Content-Type"), types); err != nil {
		return nil, err
	}
	var r io.Reader = http.MaxBytesReader(c.Writer, c.Request.Body, most)
	switch c.GetHeader("Content-Encoding") {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, fhir.Errorf(fhir.Structure, "the body is not gzip")
		}
		defer z.Close()
		r = z
	default:
		return nil, fhir.Errorf(fhir.UnsupportedMedia, "bodies may be plain or gzip")
	}
	b, err := readAll(io.LimitReader(r, most+1), c.Request.ContentLength)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large), int64(len(b)) > most:
		return nil, fhir.Errorf(fhir.TooLarge, "the body is larger than %d bytes", most)
	case err != nil:
		return nil, fhir.Errorf(fhir.Invalid, "the body could not be read")
	}
	return b, nil
}

// readAll reads to the end; size is what the client announced, -1 unknown.
func readAll(r io.Reader, size int64) ([]byte, error) {
	b := make([]byte, 0, min(max(size, 0), 1<<20)+512)
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return b, err
		}
		if len(b) == cap(b) {
			b = slices.Grow(b, len(b))
		}
	}
}

func checkType(header string, types []string) error {
	name, params, err := mime.ParseMediaType(header)
	if err != nil || !slices.Contains(types, name) {
		return fhir.Errorf(fhir.UnsupportedMedia, "the Content-Type must be %s", types[0])
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return fhir.Errorf(fhir.UnsupportedMedia, "the charset must be utf-8")
	}
	return nil
}

// preference is what the client prefers. Source: R4 http.html#ops, RFC 7240.
type preference struct {
	answer  string // minimal, representation, OperationOutcome; "" = the server's choice
	lenient bool
}

func prefer(c *gin.Context) preference {
	var p preference
	for _, header := range c.Request.Header.Values("Prefer") {
		for part := range strings.FieldsFuncSeq(header, func(r rune) bool { return r == ',' || r == ';' }) {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			value = strings.Trim(value, `" `)
			switch strings.ToLower(name) {
			case "return":
				p.answer = value
			case "handling":
				p.lenient = value == "lenient"
			}
		}
	}
	return p
}

// query gives the query string without what concerns the format only. For a
// posted search the form follows the URL's own.
func (s *Server) query(c *gin.Context) (string, error) {
	raw := c.Request.URL.RawQuery
	if c.Request.Method == http.MethodPost {
		form, err := s.body(c, formTypes)
		if err != nil {
			return "", err
		}
		raw = strings.Trim(raw+"&"+string(form), "&")
	}
	return without(searchPart(raw), explainParameter), nil
}

// explainParameter asks for the plan of a search instead of its matches.
const explainParameter = "_explain"

// searchPart leaves out what speaks of the answer's form.
func searchPart(raw string) string { return without(raw, "_format", "_pretty") }

func without(raw string, names ...string) string {
	if !slices.ContainsFunc(names, func(name string) bool { return strings.Contains(raw, name) }) {
		return raw
	}
	var kept []string
	for part := range strings.SplitSeq(raw, "&") {
		name, _, _ := strings.Cut(part, "=")
		if name, err := url.QueryUnescape(name); err == nil && slices.Contains(names, name) {
			continue
		}
		kept = append(kept, part)
	}
	return strings.Join(kept, "&")
}

// parameter gives one parameter of the URL, "" if it is not there. Most requests
// have none of those that speak of the form; their query is not taken apart.
func parameter(c *gin.Context, name string) string {
	if !strings.Contains(c.Request.URL.RawQuery, name) {
		return ""
	}
	return c.Query(name)
}

// key gives the type and id of the URL.
func key(c *gin.Context) fhir.Key {
	return fhir.Key{Type: fhir.Type(c.Param("type")), ID: c.Param("id")}
}
