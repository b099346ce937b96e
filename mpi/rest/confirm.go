package rest

import (
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/rest"
	"hutong/mpi"
)

type proposalJSON struct {
	ID          string             `json:"id"`
	Status      mpi.ProposalStatus `json:"status"`
	Action      string             `json:"action"` // decide-link, link or undo
	Task        string             `json:"task,omitempty"`
	Undoes      string             `json:"undoes,omitempty"` // journal entry
	Risk        mpi.Risk           `json:"risk"`
	Rules       []mpi.Phrase       `json:"rules"`
	A           *side              `json:"a,omitempty"`
	B           *side              `json:"b,omitempty"`
	By          string             `json:"by"`
	Reason      string             `json:"reason"`
	At          string             `json:"at"`
	Second      string             `json:"second,omitempty"`
	Because     string             `json:"because,omitempty"`
	Ended       string             `json:"ended,omitempty"`
	Journal     string             `json:"journal,omitempty"`
	Own         bool               `json:"own"` // proposed by who asks: somebody else must confirm it
	Explanation *mpi.Explanation   `json:"explanation,omitempty"`
	Undone      *entryJSON         `json:"entry,omitempty"` // that an undo would take back
	Masked      *bool              `json:"masked,omitempty"`
}

// waits answers a request that waits for a second person: 202 and the proposal.
func (h *Handlers) waits(c *gin.Context, p *mpi.Proposal, about []fhir.Key, err error) {
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	out, more, err := h.proposalJSON(c, p, p.By, h.view(c))
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	h.answerAs(c, http.StatusAccepted, ActionDecide, append(about, more...), gin.H{"proposal": out})
}

// proposalJSON shows a proposal with its two records, if it is about two.
func (h *Handlers) proposalJSON(c *gin.Context, p *mpi.Proposal, actor string, v view) (*proposalJSON, []fhir.Key, error) {
	r := p.Request
	out := &proposalJSON{
		ID: p.ID, Status: p.Status, Action: "link", Task: r.Task, Undoes: r.Journal, Risk: p.Risk, Rules: mpi.Phrases(p.Rules),
		By: p.By, Reason: p.Reason, At: stamp(p.At), Second: p.Second, Because: p.Because, Journal: p.Entry, Own: p.By == actor,
	}
	if !p.Ended.IsZero() {
		out.Ended = stamp(p.Ended)
	}
	a, b := r.A, r.B
	switch {
	case r.Journal != "":
		out.Action = "undo"
		return out, nil, nil
	case r.Task != "":
		out.Action = "decide-link"
		t, err := h.cfg.Index.Task(c.Request.Context(), r.Task)
		if err != nil {
			return nil, nil, err
		}
		a, b = t.A, t.B
	}
	for _, x := range []struct {
		id string
		to **side
	}{{a, &out.A}, {b, &out.B}} {
		s, err := h.side(c, x.id, v)
		if err != nil {
			return nil, nil, err
		}
		*x.to = &s
	}
	return out, []fhir.Key{patientOf(a), patientOf(b)}, nil
}

func (h *Handlers) proposals(c *gin.Context) {
	actor, ok := h.allow(c, ActionQueue)
	if !ok {
		return
	}
	limit, err := pageSize(c)
	status := c.DefaultQuery("status", "pending")
	if err == nil && status != "pending" && status != "done" {
		err = fhir.Errorf(fhir.Invalid, "status is pending or done").At("status")
	}
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	list, next, err := h.cfg.Index.Proposals(c.Request.Context(), status == "done", c.Query("after"), limit)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	items, about := make([]*proposalJSON, 0, len(list)), []fhir.Key(nil)
	v := h.view(c)
	for _, p := range list {
		item, more, err := h.proposalJSON(c, p, actor, v)
		if err != nil {
			rest.WriteError(c, err)
			return
		}
		items, about = append(items, item), append(about, more...)
	}
	out := gin.H{"items": items, "masked": v.masked}
	if next != "" {
		out["next"] = next
	}
	h.answer(c, ActionQueue, about, out)
}

// pageSize reads limit.
func pageSize(c *gin.Context) (int, error) {
	limit, err := strconv.Atoi(c.DefaultQuery("limit", "50"))
	if err != nil || limit < 1 || limit > maxPage {
		return 0, fhir.Errorf(fhir.Invalid, "limit is 1 to %d", maxPage).At("limit")
	}
	return limit, nil
}

func (h *Handlers) proposal(c *gin.Context) {
	if actor, ok := h.allow(c, ActionQueue); ok {
		h.showProposal(c, ActionQueue, actor)
	}
}

// showProposal answers one proposal with what the second person needs to judge
// it: the comparison of the two records, or the entry that would be undone.
func (h *Handlers) showProposal(c *gin.Context, action, actor string) {
	ctx, v := c.Request.Context(), h.view(c)
	p, err := h.cfg.Index.Proposal(ctx, c.Param("id"))
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	out, about, err := h.proposalJSON(c, p, actor, v)
	if err == nil && len(about) == 2 {
		if out.Explanation, err = h.cfg.Index.Explain(ctx, about[0], about[1]); err == nil {
			v.fields(out.Explanation)
		}
	}
	if err == nil && p.Request.Journal != "" {
		var e *mpi.Entry
		if e, err = h.cfg.Index.Entry(ctx, p.Request.Journal); err == nil {
			shown := entryOf(e)
			out.Undone = &shown
			about, err = memberRefs(e.Patients)
		}
	}
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	out.Masked = &v.masked
	h.answer(c, action, about, out)
}

// second confirms or declines a proposal.
func (h *Handlers) second(c *gin.Context) {
	actor, ok := h.allow(c, ActionDecide)
	if !ok {
		return
	}
	var in struct {
		Decision string `json:"decision"`
		Reason   string `json:"reason"`
	}
	if !bind(c, &in) {
		return
	}
	var err error
	switch in.Decision {
	case "confirm":
		_, err = h.cfg.Index.Confirm(c.Request.Context(), c.Param("id"), actor, in.Reason)
	case "decline":
		_, err = h.cfg.Index.Decline(c.Request.Context(), c.Param("id"), actor, in.Reason)
	default:
		err = fhir.Errorf(fhir.Invalid, "decision is confirm or decline").At("decision")
	}
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	h.showProposal(c, ActionDecide, actor)
}
