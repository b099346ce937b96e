package rest

import (
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/rest"
	"hutong/mpi"
	"hutong/mpi/normal"
	"hutong/mpi/score"
)

type taskJSON struct {
	ID          string           `json:"id"`
	Status      mpi.Status       `json:"status"`
	Kind        mpi.TaskKind     `json:"kind"`
	Risk        mpi.Risk         `json:"risk"`
	Probability float64          `json:"probability"`
	Created     string           `json:"created"`
	Reasons     []mpi.Phrase     `json:"reasons"`
	A           side             `json:"a"`
	B           side             `json:"b"`
	Decision    *decisionJSON    `json:"decision"`
	Proposal    string           `json:"proposal,omitempty"`
	Explanation *mpi.Explanation `json:"explanation,omitempty"`
	Persons     *persons         `json:"persons,omitempty"`
	Masked      *bool            `json:"masked,omitempty"`
}

type side struct {
	Patient      string `json:"patient"`
	Person       string `json:"person,omitempty"`
	Organization string `json:"organization"`
	Name         string `json:"name"`
	Gender       string `json:"gender"`
	BirthDate    string `json:"birthDate"`
	Active       bool   `json:"active"`
}

type decisionJSON struct {
	Decision string `json:"decision"`
	By       string `json:"by"`
	Reason   string `json:"reason"`
	At       string `json:"at"`
	Journal  string `json:"journal"`
	Second   string `json:"second,omitempty"`
}

type persons struct {
	A membership `json:"a"`
	B membership `json:"b"`
}

type membership struct {
	Person  string   `json:"person"`
	Members []string `json:"members"`
}

func stamp(t time.Time) string { return t.UTC().Format(fhir.InstantLayout) }

// maxPage bounds a page of the worklist.
const maxPage = 200

func (h *Handlers) queue(c *gin.Context) {
	if _, ok := h.allow(c, ActionQueue); !ok {
		return
	}
	limit, err := strconv.Atoi(c.DefaultQuery("limit", "50"))
	if err != nil || limit < 1 || limit > maxPage {
		rest.WriteError(c, fhir.Errorf(fhir.Invalid, "limit is 1 to %d", maxPage).At("limit"))
		return
	}
	page, err := h.cfg.Index.Queue(c.Request.Context(), mpi.Status(c.DefaultQuery("status", "open")), c.Query("after"), limit)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	items, about := make([]*taskJSON, 0, len(page.Tasks)), []fhir.Key(nil)
	v := h.view(c)
	for _, t := range page.Tasks {
		item, err := h.item(c, t, v)
		if err != nil {
			rest.WriteError(c, err)
			return
		}
		items = append(items, item)
		about = append(about, patientOf(t.A), patientOf(t.B))
	}
	out := gin.H{"items": items, "open": page.Open, "done": page.Done, "masked": v.masked}
	if page.Next != "" {
		out["next"] = page.Next
	}
	h.answer(c, ActionQueue, about, out)
}

func patientOf(id string) fhir.Key { return fhir.Key{Type: "Patient", ID: id} }

func (h *Handlers) item(c *gin.Context, t *mpi.Task, v view) (*taskJSON, error) {
	out := &taskJSON{
		ID: t.ID, Status: t.Status, Kind: t.Kind, Risk: t.Risk, Probability: t.Probability,
		Created: stamp(t.Created), Reasons: mpi.Phrases(t.Reasons), Proposal: t.Proposal,
	}
	if d := t.Decision; d != nil {
		out.Decision = &decisionJSON{d.Decision, d.By, d.Reason, stamp(d.At), d.Journal, d.Second}
	}
	var err error
	if out.A, err = h.side(c, t.A, v); err != nil {
		return nil, err
	}
	out.B, err = h.side(c, t.B, v)
	return out, err
}

func (h *Handlers) side(c *gin.Context, id string, v view) (side, error) {
	k := patientOf(id)
	m, err := h.cfg.Index.Member(c.Request.Context(), k)
	if err != nil {
		return side{Patient: k.String()}, err
	}
	p, _, err := h.cfg.Index.PersonOf(c.Request.Context(), k)
	s := sideOf(m, v)
	if p.ID != "" {
		s.Person = p.String()
	}
	return s, err
}

func sideOf(m mpi.Member, v view) side {
	return side{
		Patient: m.Patient.String(), Organization: m.Organization, Name: v.mask(m.Name, normal.MaskName),
		Gender: m.Gender, BirthDate: m.BirthDate, Active: m.Active,
	}
}

func (h *Handlers) task(c *gin.Context) {
	if _, ok := h.allow(c, ActionQueue); !ok {
		return
	}
	h.showTask(c, http.StatusOK, ActionQueue)
}

// showTask answers one task with its comparison.
func (h *Handlers) showTask(c *gin.Context, status int, action string) {
	t, err := h.cfg.Index.Task(c.Request.Context(), c.Param("id"))
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	v := h.view(c)
	out, err := h.item(c, t, v)
	if err == nil {
		err = h.detail(c, t, out, v)
	}
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	h.answerAs(c, status, action, []fhir.Key{patientOf(t.A), patientOf(t.B)}, out)
}

func (h *Handlers) detail(c *gin.Context, t *mpi.Task, out *taskJSON, v view) error {
	e, err := h.cfg.Index.Explain(c.Request.Context(), patientOf(t.A), patientOf(t.B))
	if err != nil {
		return err
	}
	v.fields(e)
	out.Explanation, out.Masked = e, &v.masked
	out.Persons = &persons{}
	if out.Persons.A, err = h.membership(c, t.A, out.A.Person); err != nil {
		return err
	}
	out.Persons.B, err = h.membership(c, t.B, out.B.Person)
	return err
}

func (h *Handlers) membership(c *gin.Context, id, person string) (membership, error) {
	ms, err := h.cfg.Index.Members(c.Request.Context(), patientOf(id))
	m := membership{Person: person, Members: []string{}}
	for _, k := range ms {
		m.Members = append(m.Members, k.String())
	}
	return m, err
}

func (h *Handlers) decide(c *gin.Context) {
	actor, ok := h.allow(c, ActionDecide)
	if !ok {
		return
	}
	var in struct {
		Decision mpi.Answer `json:"decision"`
		Reason   string     `json:"reason"`
	}
	if !bind(c, &in) {
		return
	}
	_, waits, err := h.cfg.Index.Ask(c.Request.Context(), mpi.Request{Task: c.Param("id"), Answer: in.Decision}, actor, in.Reason)
	switch {
	case err != nil:
		rest.WriteError(c, err)
	case waits != nil:
		h.showTask(c, http.StatusAccepted, ActionDecide)
	default:
		h.showTask(c, http.StatusOK, ActionDecide)
	}
}

func (h *Handlers) explain(c *gin.Context) {
	if _, ok := h.allow(c, ActionQueue); !ok {
		return
	}
	a, errA := patientKey(c.Query("a"))
	b, errB := patientKey(c.Query("b"))
	if errA != nil || errB != nil {
		rest.WriteError(c, fhir.Errorf(fhir.Invalid, "a and b are references to Patients"))
		return
	}
	e, err := h.cfg.Index.Explain(c.Request.Context(), a, b)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	h.view(c).fields(e)
	h.answer(c, ActionQueue, []fhir.Key{a, b}, e)
}

func (h *Handlers) stats(c *gin.Context) {
	if _, ok := h.allow(c, ActionQueue); ok {
		m := h.cfg.Index.Model()
		c.JSON(200, struct {
			mpi.Stats
			Model      string                       `json:"model"`
			Thresholds score.Thresholds             `json:"thresholds"`
			Expected   map[string]score.Expectation `json:"expected,omitempty"`
		}{h.cfg.Index.Stats(), m.Version, m.Thresholds, m.Expected})
	}
}
