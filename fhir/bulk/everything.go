package bulk

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/interact"
	"hutong/fhir/rest"
)

// everything: GET or POST /Patient/[id]/$everything.
func (s *Service) everything(c *gin.Context) {
	query, err := parameters(c)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	b, err := s.cfg.Service.Everything(c.Request.Context(), rest.CallerOf(c), interact.EverythingRequest{
		Patient: fhir.Key{Type: "Patient", ID: c.Param("id")}, Query: query.Encode(),
	})
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	rest.WriteBundle(c, b)
}

// maxParameters bounds a Parameters resource, in bytes.
const maxParameters = 64 << 10

// parameters gives the parameters of an operation: of the URL, and of the
// Parameters resource that was posted, if one was. Those of the format are left
// out.
func parameters(c *gin.Context) (url.Values, error) {
	values, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		return nil, fhir.Errorf(fhir.Invalid, "the query string cannot be read")
	}
	values.Del("_format")
	values.Del("_pretty")
	if c.Request.Method != http.MethodPost || c.Request.ContentLength == 0 {
		return values, nil
	}
	raw, err := rest.Body(c, maxParameters)
	if err != nil {
		return nil, err
	}
	return values, posted(values, raw)
}

// posted adds the values of a Parameters resource.
func posted(values url.Values, raw []byte) error {
	doc, err := codec.Parse(raw, codec.Limits{MaxBytes: maxParameters, MaxDepth: 16, MaxNodes: 4096})
	if err != nil {
		return err
	}
	if doc.ResourceType(0) != "Parameters" {
		return fhir.Errorf(fhir.Invalid, "the body must be a Parameters resource").At("resourceType")
	}
	list := doc.Child(0, "parameter")
	if list == 0 {
		return nil
	}
	for p := range doc.Children(list) {
		name := doc.ChildText(p, "name")
		for member := range doc.Children(p) {
			if strings.HasPrefix(string(doc.Key(member)), "value") {
				values.Add(name, doc.Text(member))
			}
		}
	}
	return nil
}
