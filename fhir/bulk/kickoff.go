package bulk

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/rest"
)

// kickOff: GET or POST /$export and /Patient/$export. Source: Bulk Data Access
// 2.0, export.html#bulk-data-kick-off-request.
func (s *Service) kickOff(patients bool) gin.HandlerFunc {
	return func(c *gin.Context) {
		j, err := s.accept(c, patients)
		if err != nil {
			rest.WriteError(c, err)
			return
		}
		c.Header("Content-Location", s.cfg.URL+"/"+j.ID)
		c.Status(http.StatusAccepted)
		c.Writer.WriteHeaderNow()
	}
}

// accept makes the job of a kick-off, or says why there is none.
func (s *Service) accept(c *gin.Context, patients bool) (*job, error) {
	ctx, caller := c.Request.Context(), rest.CallerOf(c)
	who, err := s.cfg.Access.Admit(c, "$export")
	if err != nil {
		return nil, s.cfg.Service.Refuse(ctx, caller, "$export", err)
	}
	async, lenient := prefer(c.Request.Header)
	if !async {
		return nil, fhir.Errorf(fhir.Invalid, "an export is asked for with Prefer: respond-async")
	}
	sent, err := parameters(c)
	if err != nil {
		return nil, err
	}
	j, err := parseExport(sent, lenient)
	if err != nil {
		return nil, err
	}
	j.Patients, j.Owner, j.Acting = patients, who.Owner, who.Acting
	if j.Types, err = s.cfg.Service.ExportTypes(ctx, caller, j.Types, patients); err != nil {
		return nil, err
	}
	j.Request = s.requestURL(patients, c.Request.URL.RawQuery)
	return j, s.exports.submit(ctx, j)
}

func (s *Service) requestURL(patients bool, query string) string {
	address := s.cfg.Service.BaseURL() + "/$export"
	if patients {
		address = s.cfg.Service.BaseURL() + "/Patient/$export"
	}
	if query != "" {
		address += "?" + query
	}
	return address
}

// prefer reads what the kick-off needs of the Prefer header (RFC 7240).
func prefer(h http.Header) (async, lenient bool) {
	for part := range strings.FieldsFuncSeq(strings.Join(h.Values("Prefer"), ","), func(r rune) bool { return r == ',' || r == ';' }) {
		switch strings.ReplaceAll(strings.TrimSpace(part), " ", "") {
		case "respond-async":
			async = true
		case "handling=lenient":
			lenient = true
		}
	}
	return async, lenient
}

// parseExport reads the parameters of an export. One that is not known is
// refused, or left aside if the client is lenient.
func parseExport(sent url.Values, lenient bool) (*job, error) {
	j := &job{}
	for name, values := range sent {
		switch name {
		case "_type":
			for t := range strings.SplitSeq(strings.Join(values, ","), ",") {
				j.Types = append(j.Types, fhir.Type(strings.TrimSpace(t)))
			}
		case "_since":
			var err error
			if j.Since, err = time.Parse(time.RFC3339, values[0]); err != nil {
				return nil, fhir.Errorf(fhir.Invalid, "not an instant").At(name)
			}
		case "_outputFormat":
			if !isNDJSON(values[0]) {
				return nil, fhir.Errorf(fhir.NotSupported, "only application/fhir+ndjson is written").At(name)
			}
		default:
			if !lenient {
				return nil, fhir.Errorf(fhir.NotSupported, "not a parameter of $export that is supported").At(name)
			}
		}
	}
	return j, nil
}

// isNDJSON reports whether a media type is one of ndjson. In a query string
// the '+' may arrive as a blank.
func isNDJSON(s string) bool {
	name, _, _ := strings.Cut(s, ";")
	switch strings.ReplaceAll(strings.ToLower(strings.TrimSpace(name)), " ", "+") {
	case "application/fhir+ndjson", "application/ndjson", "application/x-ndjson", "ndjson":
		return true
	}
	return false
}
