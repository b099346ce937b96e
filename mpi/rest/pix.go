package rest

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/rest"
	"hutong/mpi"
)

// ActionCrossReference is asked for $ihe-pix, whose answer is identifiers in full.
const ActionCrossReference = "identity.crossref"

// CrossReference serves GET /fhir/Patient/$ihe-pix (IHE PIXm, ITI-83): the other
// identifiers of the person who holds sourceIdentifier (system|value), of the
// targetSystems asked for or of all, and the ids of their source Patients.
func (h *Handlers) CrossReference(c *gin.Context) {
	if _, ok := h.allow(c, ActionCrossReference); !ok {
		return
	}
	system, value, found := strings.Cut(c.Query("sourceIdentifier"), "|")
	if !found || system == "" || value == "" {
		rest.WriteError(c, fhir.Errorf(fhir.Invalid, "system|value is required").At("sourceIdentifier"))
		return
	}
	ctx := c.Request.Context()
	person, ok, err := h.cfg.Index.ByIdentifier(ctx, system, value)
	if err == nil && !ok {
		err = fhir.Errorf(fhir.NotFound, "nobody is known by this identifier").At("sourceIdentifier")
	}
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	g, err := h.cfg.Index.Golden(ctx, person)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	out, err := crossReferences(g, system, value, c.QueryArray("targetSystem"))
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	c.Header("Content-Type", "application/fhir+json; charset=utf-8")
	h.answer(c, ActionCrossReference, memberKeys(g), out)
}

// crossReferences makes the Parameters of the answer; the identifier asked by
// is left out.
func crossReferences(g *mpi.Golden, system, value string, targets []string) (gin.H, error) {
	var golden struct {
		Identifier []map[string]any `json:"identifier"`
	}
	if err := json.Unmarshal(g.JSON, &golden); err != nil {
		return nil, fhir.Errorf(fhir.Internal, "golden record: %w", err)
	}
	params := []gin.H{}
	for _, id := range golden.Identifier {
		s, _ := id["system"].(string)
		v, _ := id["value"].(string)
		if s == system && strings.EqualFold(v, value) || len(targets) > 0 && !slices.Contains(targets, s) {
			continue
		}
		params = append(params, gin.H{"name": "targetIdentifier", "valueIdentifier": id})
	}
	for _, k := range memberKeys(g) {
		params = append(params, gin.H{"name": "targetId", "valueReference": gin.H{"reference": k.String()}})
	}
	return gin.H{"resourceType": "Parameters", "parameter": params}, nil
}
