package rest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/rest"
	"hutong/mpi"
	"hutong/mpi/normal"
)

// ActionCrossReference is asked for $ihe-pix, whose answer is identifiers in full.
const ActionCrossReference = "identity.crossref"

// CrossReference serves GET /fhir/Patient/$ihe-pix (IHE PIXm, ITI-83): the other
// identifiers of the person who holds sourceIdentifier (system|value, or
// base|Patient/id), of the targetSystems asked for or of all, and the ids of
// their source Patients. Records that their hospital merged into another are
// left out, as ITI-104 asks; their numbers still find the person.
func (h *Handlers) CrossReference(c *gin.Context) {
	if _, ok := h.allow(c, ActionCrossReference); !ok {
		return
	}
	for name := range c.Request.URL.Query() {
		if !slices.Contains([]string{"sourceIdentifier", "targetSystem", "_format", "_pretty"}, name) {
			rest.WriteError(c, fhir.Errorf(fhir.NotSupported, "$ihe-pix knows sourceIdentifier and targetSystem").At(safeName(name)))
			return
		}
	}
	q := pixQuery{base: h.base(c), targets: c.QueryArray("targetSystem")}
	var found bool
	sources := c.QueryArray("sourceIdentifier")
	if len(sources) == 1 {
		q.system, q.value, found = strings.Cut(sources[0], "|")
	}
	if !found || q.system == "" || q.value == "" {
		rest.WriteError(c, fhir.Errorf(fhir.Invalid, "exactly one system|value is required").At("sourceIdentifier"))
		return
	}
	person, refused, err := h.pixSource(c, &q)
	switch {
	case err != nil:
		rest.WriteError(c, err)
		return
	case refused != nil:
		refused.write(c)
		return
	}
	g, err := h.cfg.Index.Golden(c.Request.Context(), person)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	out, about, err := h.crossReferences(c, g, &q)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	c.Header("Content-Type", "application/fhir+json; charset=utf-8")
	h.answer(c, ActionCrossReference, about, out)
}

type pixQuery struct {
	base, system, value string
	targets             []string
}

// pixError is a failure that ITI-83 words itself (2:3.83.4.2.2).
type pixError struct {
	status     int
	code, text string
}

var (
	unknownSource    = pixError{http.StatusNotFound, "not-found", "sourceIdentifier Patient Identifier not found"}
	unknownAuthority = pixError{http.StatusBadRequest, "code-invalid", "sourceIdentifier Assigning Authority not found"}
	unknownTarget    = pixError{http.StatusForbidden, "code-invalid", "targetSystem not found"}
)

func (e *pixError) write(c *gin.Context) {
	c.Header("Content-Type", "application/fhir+json; charset=utf-8")
	c.AbortWithStatusJSON(e.status, gin.H{"resourceType": "OperationOutcome", "issue": []gin.H{
		{"severity": "error", "code": e.code, "details": gin.H{"text": e.text}, "diagnostics": e.text},
	}})
}

// pixSource finds the person who is asked for. The domains are looked at first:
// ITI-83 tells an authority that nobody knows from a number that nobody has.
func (h *Handlers) pixSource(c *gin.Context, q *pixQuery) (person fhir.Key, refused *pixError, err error) {
	ctx := c.Request.Context()
	for _, system := range append([]string{q.system}, q.targets...) {
		known := system == q.base
		if !known {
			if known, err = h.cfg.Index.KnowsDomain(ctx, system); err != nil {
				return person, nil, err
			}
		}
		if known {
			continue
		}
		if system == q.system {
			return person, &unknownAuthority, nil
		}
		return person, &unknownTarget, nil
	}
	var ok bool
	if q.system == q.base {
		k, valid := fhir.ParseKey(q.value)
		if valid && k.Type == "Patient" {
			person, ok, err = h.cfg.Index.PersonOf(ctx, k)
		}
	} else {
		person, ok, err = h.cfg.Index.ByIdentifier(ctx, q.system, q.value)
	}
	if err == nil && !ok {
		return person, &unknownSource, nil
	}
	return person, nil, err
}

// crossReferences makes the Parameters of the answer; the identifier asked by
// is left out.
func (h *Handlers) crossReferences(c *gin.Context, g *mpi.Golden, q *pixQuery) (gin.H, []fhir.Key, error) {
	var golden struct {
		Identifier []map[string]any `json:"identifier"`
	}
	if err := json.Unmarshal(g.JSON, &golden); err != nil {
		return nil, nil, fhir.Errorf(fhir.Internal, "golden record: %w", err)
	}
	live, subsumed, err := h.liveMembers(c, g)
	if err != nil {
		return nil, nil, err
	}
	params, about := []gin.H{}, []fhir.Key(nil)
	wanted := func(system string) bool { return len(q.targets) == 0 || slices.Contains(q.targets, system) }
	for _, id := range golden.Identifier {
		s, _ := id["system"].(string)
		v, _ := id["value"].(string)
		if v == "" || s == q.system && normal.Code(v) == normal.Code(q.value) || !wanted(s) || slices.Contains(subsumed, s+"|"+normal.Code(v)) {
			continue
		}
		params = append(params, gin.H{"name": "targetIdentifier", "valueIdentifier": id})
	}
	for _, m := range live {
		k := m.Patient
		about = append(about, k)
		if q.system == q.base && q.value == k.String() || !wanted(q.base) && !slices.ContainsFunc(m.Systems, wanted) {
			continue
		}
		params = append(params, gin.H{"name": "targetId", "valueReference": gin.H{"reference": k.String()}})
	}
	return gin.H{"resourceType": "Parameters", "parameter": params}, about, nil
}

// liveMembers leaves out the records that were merged away, and lists the
// numbers that only they carry.
func (h *Handlers) liveMembers(c *gin.Context, g *mpi.Golden) (live []mpi.Card, subsumed []string, err error) {
	var gone []mpi.Card
	for _, m := range g.Members {
		card, err := h.cfg.Index.Card(c.Request.Context(), m.Patient)
		if err != nil {
			return nil, nil, err
		}
		if card.Replaced {
			gone = append(gone, card)
		} else {
			live = append(live, card)
		}
	}
	for _, x := range gone {
		for _, n := range x.Numbers {
			if !slices.ContainsFunc(live, func(l mpi.Card) bool { return slices.Contains(l.Numbers, n) }) {
				subsumed = append(subsumed, n)
			}
		}
	}
	return live, subsumed, nil
}
