package rest

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/rest"
	"hutong/mpi/merge"
)

// Merge serves POST /fhir/Patient/$merge: the operation of FHIR R5
// (https://hl7.org/fhir/R5/patient-operation-merge.html) on R4 Patients.
func (h *Handlers) Merge(c *gin.Context) {
	by, ok := h.merger(c)
	if !ok {
		return
	}
	r, input, err := h.mergeRequest(c, by)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	out, err := h.cfg.Merges.Merge(c.Request.Context(), r, by)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	answer, err := h.mergeAnswer(c, r, input, out)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	status := http.StatusOK
	if out.Proposal != nil {
		status = http.StatusAccepted
	}
	c.Header("Content-Type", "application/fhir+json; charset=utf-8")
	h.answerAs(c, status, ActionMerge, out.Patients, answer)
}

// merger asks who merges, and answers the refusal.
func (h *Handlers) merger(c *gin.Context) (by merge.By, ok bool) {
	actor, ok := h.allow(c, ActionMerge)
	if !ok {
		return by, false
	}
	err := error(fhir.Errorf(fhir.NotSupported, "this exchange does not merge"))
	if h.cfg.Merges != nil && h.cfg.Merger != nil {
		if by, err = h.cfg.Merger(c); err == nil {
			by.Actor = actor
			return by, true
		}
	}
	rest.WriteError(c, err)
	return by, false
}

type mergeParameters struct {
	ResourceType string `json:"resourceType"`
	Parameter    []struct {
		Name           string `json:"name"`
		ValueReference *struct {
			Reference string `json:"reference"`
		} `json:"valueReference"`
		ValueIdentifier *struct {
			System string `json:"system"`
			Value  string `json:"value"`
		} `json:"valueIdentifier"`
		ValueBoolean *bool           `json:"valueBoolean"`
		ValueString  string          `json:"valueString"`
		Resource     json.RawMessage `json:"resource"`
	} `json:"parameter"`
}

// mergeRequest reads the Parameters of R5's operation, and reason (a string),
// which a steward must give and R5 does not know.
func (h *Handlers) mergeRequest(c *gin.Context, by merge.By) (r merge.Request, input json.RawMessage, err error) {
	body, err := rest.Body(c, maxBody)
	if err != nil {
		return r, nil, err
	}
	var p mergeParameters
	if json.Unmarshal(body, &p) != nil || p.ResourceType != "Parameters" {
		return r, nil, fhir.Errorf(fhir.Invalid, "$merge takes Parameters").At("Parameters")
	}
	for _, in := range p.Parameter {
		at := "Parameters.parameter.where(name='" + safeName(in.Name) + "')"
		to := &r.Source
		if in.Name == "target-patient" || in.Name == "target-patient-identifier" {
			to = &r.Target
		}
		switch {
		case (in.Name == "source-patient" || in.Name == "target-patient") && in.ValueReference != nil:
			err = h.named(to, func() (fhir.Key, error) {
				k, ok := fhir.ParseKey(in.ValueReference.Reference)
				if !ok || k.Type != "Patient" {
					return k, fhir.Errorf(fhir.Invalid, "a reference to a Patient is required").At(at)
				}
				return k, nil
			}, at)
		case (in.Name == "source-patient-identifier" || in.Name == "target-patient-identifier") && in.ValueIdentifier != nil:
			err = h.named(to, func() (fhir.Key, error) {
				return h.byNumber(c, in.ValueIdentifier.System, in.ValueIdentifier.Value, by, at)
			}, at)
		case in.Name == "result-patient" && in.Resource != nil:
			r.Result = in.Resource
		case in.Name == "preview" && in.ValueBoolean != nil:
			r.Preview = *in.ValueBoolean
		case in.Name == "reason" && in.ValueString != "":
			r.Reason = in.ValueString
		default:
			err = fhir.Errorf(fhir.NotSupported, "$merge does not know this parameter, or not with this type of value").At(at)
		}
		if err != nil {
			return r, nil, err
		}
	}
	if r.Source.ID == "" || r.Target.ID == "" {
		return r, nil, fhir.Errorf(fhir.Invalid, "source-patient and target-patient are required").At("Parameters.parameter")
	}
	return r, body, nil
}

// named sets a record that may be named in several ways: they must agree.
func (h *Handlers) named(to *fhir.Key, find func() (fhir.Key, error), at string) error {
	k, err := find()
	if err != nil {
		return err
	}
	if to.ID != "" && *to != k {
		return fhir.Errorf(fhir.Unprocessable, "the record is named twice, and differently").At(at)
	}
	*to = k
	return nil
}

// byNumber finds the one record that carries an identifier; a hospital looks
// among its own.
func (h *Handlers) byNumber(c *gin.Context, system, value string, by merge.By, at string) (fhir.Key, error) {
	found, err := h.cfg.Index.Carriers(c.Request.Context(), system, value, by.Organization)
	if err != nil {
		return fhir.Key{}, err
	}
	switch len(found) {
	case 0:
		return fhir.Key{}, fhir.Errorf(fhir.NotFound, "no record carries this identifier").At(at)
	case 1:
		return found[0], nil
	}
	return fhir.Key{}, fhir.Errorf(fhir.MultipleMatches, "several records carry this identifier").At(at)
}

// mergeAnswer is the Parameters of R5: input, outcome, result; and merge or
// proposal, by which it is undone or confirmed.
func (h *Handlers) mergeAnswer(c *gin.Context, r merge.Request, input json.RawMessage, out *merge.Outcome) (gin.H, error) {
	result, err := h.view(c).patient(out.Result)
	if err != nil {
		return nil, err
	}
	params := []gin.H{{"name": "input", "resource": input}}
	text, severity := "merged", fhir.Information
	switch {
	case r.Preview:
		text = "nothing was changed: this is a preview"
	case out.Proposal != nil:
		text, severity = "the merge waits for a second data steward; the result is what it would give", fhir.Warning
	}
	issues := []gin.H{issueOf(fhir.Issue{Severity: severity, Code: "informational", Text: text})}
	for _, is := range out.Issues {
		issues = append(issues, issueOf(is))
	}
	params = append(params, gin.H{"name": "outcome", "resource": gin.H{"resourceType": "OperationOutcome", "issue": issues}},
		gin.H{"name": "result", "resource": result})
	if out.Merge != nil {
		params = append(params, gin.H{"name": "merge", "valueString": out.Merge.ID})
	}
	if out.Proposal != nil {
		params = append(params, gin.H{"name": "proposal", "valueString": out.Proposal.ID})
	}
	return gin.H{"resourceType": "Parameters", "parameter": params}, nil
}

func issueOf(is fhir.Issue) gin.H {
	return gin.H{"severity": is.Severity, "code": is.Code, "details": gin.H{"text": is.Text}}
}

type mergeJSON struct {
	ID           string      `json:"id"`
	Kind         merge.Kind  `json:"kind"`
	State        merge.State `json:"state"`
	Source       string      `json:"source"`
	Target       string      `json:"target"`
	Organization string      `json:"organization,omitempty"`
	By           string      `json:"by"`
	Reason       string      `json:"reason"`
	At           string      `json:"at"`
	Journal      string      `json:"journal,omitempty"`
	UndoneBy     string      `json:"undoneBy,omitempty"`
	UndoneAt     string      `json:"undoneAt,omitempty"`
	UndoReason   string      `json:"undoReason,omitempty"`
}

func mergeOf(m *merge.Merge) mergeJSON {
	out := mergeJSON{
		ID: m.ID, Kind: m.Kind, State: m.State, Source: patientOf(m.Source).String(), Target: patientOf(m.Target).String(),
		Organization: m.Organization, By: m.By, Reason: m.Reason, At: stamp(m.At), Journal: m.Journal, UndoneBy: m.UndoneBy, UndoReason: m.UndoReason,
	}
	if !m.UndoneAt.IsZero() {
		out.UndoneAt = stamp(m.UndoneAt)
	}
	return out
}

// merges lists them, the newest first: a hospital's own, or all to a steward.
func (h *Handlers) merges(c *gin.Context) {
	by, ok := h.merger(c)
	if !ok {
		return
	}
	limit, err := strconv.Atoi(c.DefaultQuery("limit", "50"))
	if err != nil || limit < 1 || limit > maxPage {
		rest.WriteError(c, fhir.Errorf(fhir.Invalid, "limit is 1 to %d", maxPage).At("limit"))
		return
	}
	list, err := h.cfg.Merges.List(c.Request.Context(), by, limit)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	items, about := make([]mergeJSON, 0, len(list)), []fhir.Key(nil)
	for _, m := range list {
		items, about = append(items, mergeOf(m)), append(about, patientOf(m.Source), patientOf(m.Target))
	}
	h.answer(c, ActionMerge, about, gin.H{"items": items})
}

func (h *Handlers) undoMerge(c *gin.Context) {
	by, ok := h.merger(c)
	if !ok {
		return
	}
	var in struct {
		Reason string `json:"reason"`
	}
	if !bind(c, &in) {
		return
	}
	m, waits, err := h.cfg.Merges.Undo(c.Request.Context(), c.Param("id"), by, in.Reason)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	about := []fhir.Key{patientOf(m.Source), patientOf(m.Target)}
	if waits != nil {
		h.waits(c, waits, about, nil)
		return
	}
	h.answer(c, ActionMerge, about, mergeOf(m))
}
