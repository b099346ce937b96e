package rest

import (
	"encoding/json"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/rest"
	"hutong/mpi"
)

const gradeExtension = "http://hl7.org/fhir/StructureDefinition/match-grade"

// Match serves POST /fhir/Patient/$match.
func (h *Handlers) Match(c *gin.Context) {
	if _, ok := h.allow(c, ActionMatch); !ok {
		return
	}
	patient, o, err := matchRequest(c)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	found, err := h.cfg.Index.Match(c.Request.Context(), patient, o)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	bundle, about, err := h.bundle(c, found)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	c.Header("Content-Type", "application/fhir+json; charset=utf-8")
	h.answer(c, ActionMatch, about, bundle)
}

type parameters struct {
	ResourceType string `json:"resourceType"`
	Parameter    []struct {
		Name         string          `json:"name"`
		Resource     json.RawMessage `json:"resource"`
		ValueBoolean *bool           `json:"valueBoolean"`
		ValueInteger *int            `json:"valueInteger"`
	} `json:"parameter"`
}

func matchRequest(c *gin.Context) ([]byte, mpi.MatchOptions, error) {
	var o mpi.MatchOptions
	body, err := rest.Body(c, maxBody)
	if err != nil {
		return nil, o, err
	}
	var p parameters
	if json.Unmarshal(body, &p) != nil {
		return nil, o, fhir.Errorf(fhir.Structure, "the body is not JSON that can be read").At("Parameters")
	}
	if p.ResourceType == "Patient" {
		return body, o, nil
	}
	if p.ResourceType != "Parameters" {
		return nil, o, fhir.Errorf(fhir.Invalid, "$match takes Parameters").At("Parameters.resourceType")
	}
	patient, err := p.read(&o)
	return patient, o, err
}

func (p *parameters) read(o *mpi.MatchOptions) (patient []byte, err error) {
	for _, in := range p.Parameter {
		switch {
		case in.Name == "resource":
			patient = in.Resource
		case in.Name == "onlyCertainMatches" && in.ValueBoolean != nil:
			o.OnlyCertain = *in.ValueBoolean
		case in.Name == "onlySingleMatch" && in.ValueBoolean != nil:
			o.OnlySingle = *in.ValueBoolean
		case in.Name == "count" && in.ValueInteger != nil:
			if o.Count = *in.ValueInteger; o.Count < 1 || o.Count > 100 {
				return nil, fhir.Errorf(fhir.Invalid, "count is 1 to 100").At("Parameters.parameter.where(name='count').value")
			}
		default:
			return nil, fhir.Errorf(fhir.NotSupported, "$match does not know this parameter, or not with this type of value").At("Parameters.parameter.where(name='" + safeName(in.Name) + "')")
		}
	}
	var head struct {
		ResourceType string `json:"resourceType"`
	}
	if json.Unmarshal(patient, &head) != nil || head.ResourceType != "Patient" {
		return nil, fhir.Errorf(fhir.Invalid, "a Patient is required").At("Parameters.parameter.where(name='resource').resource")
	}
	return patient, nil
}

// safeName keeps a caller's text out of an expression unless it is a plain word.
func safeName(s string) string {
	if !fhir.ValidID(s) {
		return "?"
	}
	return s
}

type bundle struct {
	ResourceType string  `json:"resourceType"`
	Type         string  `json:"type"`
	Total        int     `json:"total"`
	Entry        []entry `json:"entry,omitempty"`
}

type entry struct {
	FullURL  string         `json:"fullUrl"`
	Resource map[string]any `json:"resource"`
	Search   struct {
		Extension []extension `json:"extension"`
		Mode      string      `json:"mode"`
		Score     float64     `json:"score"`
	} `json:"search"`
}

type extension struct {
	URL       string `json:"url"`
	ValueCode string `json:"valueCode"`
}

func (h *Handlers) bundle(c *gin.Context, found []mpi.Candidate) (*bundle, []fhir.Key, error) {
	out := &bundle{ResourceType: "Bundle", Type: "searchset", Total: len(found)}
	var about []fhir.Key
	v := h.view(c)
	for _, m := range found {
		g, err := h.cfg.Index.Golden(c.Request.Context(), m.Person)
		if fhir.KindOf(err) == fhir.NotFound {
			out.Total-- // its last member was deleted a moment ago
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		var e entry
		if e.Resource, err = v.patient(g.JSON); err != nil {
			return nil, nil, err
		}
		e.FullURL = h.base(c) + "/" + m.Person.String()
		e.Search.Mode, e.Search.Score = "match", m.Explanation.Probability
		e.Search.Extension = []extension{{gradeExtension, string(m.Explanation.Grade)}}
		out.Entry = append(out.Entry, e)
		about = append(about, m.Members...)
	}
	return out, about, nil
}

// base is the FHIR base, without a slash at its end: the configured one, or
// that under which the request came.
func (h *Handlers) base(c *gin.Context) string {
	if h.cfg.BaseURL != "" {
		return h.cfg.BaseURL
	}
	scheme := "http"
	if c.Request.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + c.Request.Host + "/fhir"
}

// Read serves GET /fhir/Patient/{id} where the id is a person's, as $match names
// it: then it answers as $person does, and whoever may match may read what was
// matched (ITI-78, Retrieve Patient). It reports whether it was.
func (h *Handlers) Read(c *gin.Context) bool {
	is, err := h.cfg.Index.IsPerson(c.Request.Context(), fhir.Key{Type: "Patient", ID: c.Param("id")})
	switch {
	case err != nil:
		rest.WriteError(c, err)
	case is:
		action := ActionPerson
		if _, err := h.cfg.Authorize(c, ActionMatch); err == nil {
			action = ActionMatch
		}
		h.golden(c, action)
	}
	return is || err != nil
}

// Person serves GET /fhir/Patient/{id}/$person.
func (h *Handlers) Person(c *gin.Context) { h.golden(c, ActionPerson) }

func (h *Handlers) golden(c *gin.Context, action string) {
	if _, ok := h.allow(c, action); !ok {
		return
	}
	k, err := patientKey(c.Param("id"))
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	g, err := h.cfg.Index.Golden(c.Request.Context(), k)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	p, err := h.view(c).patient(g.JSON)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	c.Header("Content-Type", "application/fhir+json; charset=utf-8")
	h.answer(c, action, memberKeys(g), p)
}

func memberKeys(g *mpi.Golden) []fhir.Key {
	var out []fhir.Key
	for _, m := range g.Members {
		out = append(out, m.Patient)
	}
	return out
}

// patientKey reads an id, with or without "Patient/" before it.
func patientKey(s string) (fhir.Key, error) {
	if k, ok := fhir.ParseKey(s); ok && k.Type == "Patient" {
		return k, nil
	}
	if !fhir.ValidID(s) {
		return fhir.Key{}, fhir.Errorf(fhir.NotFound, "the index knows no such person")
	}
	return fhir.Key{Type: "Patient", ID: s}, nil
}
