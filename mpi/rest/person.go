package rest

import (
	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/rest"
	"hutong/mpi"
)

type entryJSON struct {
	ID          string           `json:"id"`
	At          string           `json:"at"`
	Actor       string           `json:"actor"`
	Action      string           `json:"action"`
	Reason      string           `json:"reason"`
	Rules       []mpi.Phrase     `json:"rules"`
	Model       string           `json:"model"`
	Probability float64          `json:"probability,omitempty"`
	Patients    []string         `json:"patients"`
	Before      []mpi.Membership `json:"before"`
	After       []mpi.Membership `json:"after"`
	Task        string           `json:"task,omitempty"`
	UndoOf      string           `json:"undoOf"`
	UndoneBy    string           `json:"undoneBy"`
	CanUndo     bool             `json:"canUndo"`
	Second      string           `json:"second,omitempty"`
	Because     string           `json:"secondReason,omitempty"`
}

func entryOf(e *mpi.Entry) entryJSON {
	return entryJSON{
		ID: e.ID, At: stamp(e.At), Actor: e.Actor, Action: e.Action, Reason: e.Reason, Rules: mpi.Phrases(e.Reasons),
		Model: e.Model, Probability: e.Score, Patients: e.Patients, Before: orEmpty(e.Before), After: orEmpty(e.After),
		Task: e.Task, UndoOf: e.UndoOf, UndoneBy: e.UndoneBy, CanUndo: e.CanUndo(),
		Second: e.Second, Because: e.Because,
	}
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

type linkJSON struct {
	A           string       `json:"a"`
	B           string       `json:"b"`
	Reasons     []mpi.Phrase `json:"reasons"`
	Probability float64      `json:"probability"`
	By          string       `json:"by"`
}

func (h *Handlers) person(c *gin.Context) {
	if _, ok := h.allow(c, ActionPerson); !ok {
		return
	}
	k, err := patientKey(c.Param("id"))
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	v := h.view(c)
	out, about, err := h.personJSON(c, k, v)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	h.answer(c, ActionPerson, about, out)
}

func (h *Handlers) personJSON(c *gin.Context, k fhir.Key, v view) (gin.H, []fhir.Key, error) {
	ctx := c.Request.Context()
	g, err := h.cfg.Index.Golden(ctx, k)
	if err != nil {
		return nil, nil, err
	}
	golden, err := v.patient(g.JSON)
	if err != nil {
		return nil, nil, err
	}
	entries, err := h.cfg.Index.Journal(ctx, g.Person)
	if err != nil {
		return nil, nil, err
	}
	links, err := h.cfg.Index.Links(ctx, g.Person)
	if err != nil {
		return nil, nil, err
	}
	return gin.H{
		"person": g.Person.String(), "members": sides(g, v), "golden": golden, "sources": g.Sources,
		"policy": g.Policy, "links": linksOf(links), "journal": journalOf(entries), "masked": v.masked,
	}, memberKeys(g), nil
}

func sides(g *mpi.Golden, v view) []side {
	out := make([]side, 0, len(g.Members))
	for _, m := range g.Members {
		out = append(out, sideOf(m, v))
	}
	return out
}

func linksOf(links []mpi.Link) []linkJSON {
	out := make([]linkJSON, 0, len(links))
	for _, l := range links {
		out = append(out, linkJSON{l.A.String(), l.B.String(), mpi.Phrases(l.Reasons), l.Probability, l.By})
	}
	return out
}

func journalOf(entries []*mpi.Entry) []entryJSON {
	out := make([]entryJSON, 0, len(entries))
	for _, e := range entries {
		out = append(out, entryOf(e))
	}
	return out
}

func (h *Handlers) split(c *gin.Context) {
	actor, ok := h.allow(c, ActionDecide)
	if !ok {
		return
	}
	var in struct {
		Members []string `json:"members"`
		Reason  string   `json:"reason"`
	}
	if !bind(c, &in) {
		return
	}
	k, err := patientKey(c.Param("id"))
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	members, err := memberRefs(in.Members)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	ctx := c.Request.Context()
	e, err := h.cfg.Index.Split(ctx, k, members, actor, in.Reason)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	parted, _, err := h.cfg.Index.PersonOf(ctx, members[0])
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	h.answer(c, ActionDecide, members, gin.H{"journal": entryOf(e), "person": parted.String()})
}

func memberRefs(refs []string) ([]fhir.Key, error) {
	var out []fhir.Key
	for _, r := range refs {
		k, ok := fhir.ParseKey(r)
		if !ok || k.Type != "Patient" {
			return nil, fhir.Errorf(fhir.Invalid, "members are references to Patients").At("members")
		}
		out = append(out, k)
	}
	return out, nil
}

func (h *Handlers) undo(c *gin.Context) {
	actor, ok := h.allow(c, ActionDecide)
	if !ok {
		return
	}
	var in struct {
		Reason string `json:"reason"`
	}
	if !bind(c, &in) {
		return
	}
	e, waits, err := h.cfg.Index.Ask(c.Request.Context(), mpi.Request{Journal: c.Param("id")}, actor, in.Reason)
	if err != nil || waits != nil {
		h.waits(c, waits, nil, err)
		return
	}
	about, err := memberRefs(e.Patients)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	h.answer(c, ActionDecide, about, entryOf(e))
}

// join links a record with another on a steward's word.
func (h *Handlers) join(c *gin.Context) {
	actor, ok := h.allow(c, ActionDecide)
	if !ok {
		return
	}
	var in struct {
		Patient string `json:"patient"`
		Reason  string `json:"reason"`
	}
	if !bind(c, &in) {
		return
	}
	ctx := c.Request.Context()
	a, err := patientKey(c.Param("id"))
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	b, err := memberRefs([]string{in.Patient})
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	// A person stands for its first member: all members go with it.
	members, err := h.cfg.Index.Members(ctx, a)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	about := append(members, b[0])
	e, waits, err := h.cfg.Index.Ask(ctx, mpi.Request{A: members[0].ID, B: b[0].ID}, actor, in.Reason)
	if err != nil || waits != nil {
		h.waits(c, waits, about, err)
		return
	}
	person, _, err := h.cfg.Index.PersonOf(ctx, b[0])
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	h.answer(c, ActionDecide, about, gin.H{"journal": entryOf(e), "person": person.String()})
}
