package rest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"
	"github.com/klauspost/compress/gzip"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/fhir/interact/outcome"
)

const contentType = "application/fhir+json; charset=utf-8"

// WriteError answers err as an OperationOutcome with the status of its kind
// and ends the request. Every JSON interface of the exchange answers errors by
// it. The cause of an internal error goes to gin's error list, for the log.
func WriteError(c *gin.Context, err error) {
	_ = c.Error(err)
	status := outcome.Status(err)
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		if c.Writer.Header().Get("Retry-After") == "" {
			c.Header("Retry-After", "1")
		}
	}
	writeJSON(c, status, outcome.JSON(err, languageOf(c)))
	c.Abort()
}

// writeJSON answers with one JSON text.
func writeJSON(c *gin.Context, status int, text []byte) {
	send(c, status, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// WriteBundle answers an operation with a Bundle, as a search is answered.
func WriteBundle(c *gin.Context, b *interact.Bundle) { writeBundle(c, b) }

// writeBundle streams a Bundle.
func writeBundle(c *gin.Context, b *interact.Bundle) {
	send(c, http.StatusOK, func(w io.Writer) error {
		_, err := b.WriteTo(w)
		return err
	})
}

// send sets the headers and has the content written, indented if the client
// asked for that, compressed if it is worth while.
func send(c *gin.Context, status int, write func(io.Writer) error) {
	c.Header("Content-Type", contentType)
	c.Header("Vary", "Accept-Encoding, Accept-Language")
	c.Status(status)
	w := &compressor{c: c}
	if err := indented(c, w, write); err != nil {
		_ = c.Error(err) // the client has gone: nobody is left to tell
	}
	if err := w.Close(); err != nil {
		_ = c.Error(err)
	}
}

func indented(c *gin.Context, w io.Writer, write func(io.Writer) error) error {
	if parameter(c, "_pretty") != "true" {
		return write(w)
	}
	var plain, nice bytes.Buffer
	if err := write(&plain); err != nil {
		return err
	}
	if err := json.Indent(&nice, plain.Bytes(), "", "  "); err != nil {
		return err
	}
	_, err := w.Write(nice.Bytes())
	return err
}

// compressFrom is the size of a first write, in bytes, from which an answer is
// compressed.
const compressFrom = 4 << 10

// compressors are kept for later answers: one takes hundreds of kilobytes.
var compressors = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is valid
	return z
}}

// compressor decides by the first write, which holds all of a small answer.
type compressor struct {
	c       *gin.Context
	z       *gzip.Writer
	started bool
}

func (w *compressor) Write(b []byte) (int, error) {
	if !w.started {
		w.started = true
		if len(b) >= compressFrom && acceptsGzip(w.c.Request) && w.c.Request.Method != http.MethodHead {
			w.c.Header("Content-Encoding", "gzip")
			w.z = compressors.Get().(*gzip.Writer)
			w.z.Reset(w.c.Writer)
		}
	}
	if w.z != nil {
		return w.z.Write(b)
	}
	return w.c.Writer.Write(b)
}

// Close ends the compressed stream.
func (w *compressor) Close() error {
	if w.z == nil {
		return nil
	}
	err := w.z.Close()
	w.z.Reset(nil) // holds on to no connection
	compressors.Put(w.z)
	w.z = nil
	return err
}

func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, params, _ := strings.Cut(part, ";")
		if strings.TrimSpace(name) == "gzip" && strings.ReplaceAll(params, " ", "") != "q=0" {
			return true
		}
	}
	return false
}

// versionHeaders tell which version an answer is about.
func versionHeaders(c *gin.Context, v fhir.Version) {
	if v.VersionID > 0 {
		c.Header("ETag", v.ETag())
		c.Header("Last-Modified", v.LastUpdated.UTC().Format(http.TimeFormat))
	}
}

// writeWritten answers a write as the client prefers.
func (s *Server) writeWritten(c *gin.Context, w interact.Written) {
	versionHeaders(c, w.Resource.Version)
	status := http.StatusOK
	if w.Created {
		status = http.StatusCreated
	}
	if v := w.Resource.Version; w.Created || w.Existed {
		c.Header("Location", s.cfg.Service.BaseURL()+"/"+v.Key.String()+"/_history/"+strconv.FormatUint(v.VersionID, 10))
	}
	switch prefer(c).answer {
	case "minimal":
		c.Status(status)
		c.Writer.WriteHeaderNow()
	case "OperationOutcome":
		writeJSON(c, status, outcome.Issues(w.Issues, fhir.Unprocessable, languageOf(c)))
	default:
		writeJSON(c, status, w.Resource.JSON())
	}
}
