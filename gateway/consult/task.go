package consult

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"hutong/fhir"
	"hutong/profiles"
)

// The code systems of the workflow.
const (
	stateSystem = profiles.Canonical + "/CodeSystem/consultation-state"
	inputSystem = profiles.ConsultationItem
	taskCode    = profiles.ConsultationTask
)

// Consultation is one remote consultation as the workflow sees it: the content
// of its Task.
type Consultation struct {
	ID        string // Task id
	VersionID uint64
	State     State
	Reason    string // of the last return, rejection or cancellation

	Patient      string // "Patient/1": the record from which it was asked
	Priority     string // routine | urgent | stat
	Question     string
	InvitingOrg  string // Organization id
	Inviting     string // Practitioner id
	InvitedOrg   string
	Role         string // PractitionerRole id of the consultant, "" before acceptance
	Consultant   string // Practitioner id
	Documents    []string
	Start, End   time.Time // of the appointment
	CheckedIn    []string  // Practitioner ids
	Decision     string    // adopted | partial | not-adopted
	DecisionText string

	Authored, Modified time.Time
	// When each state was first reached, for waiting times.
	Reached map[State]time.Time
}

// task is the R4 Task of a consultation, as far as the workflow uses it.
type task struct {
	ResourceType    string     `json:"resourceType"`
	ID              string     `json:"id"`
	Identifier      []any      `json:"identifier,omitempty"`
	Status          string     `json:"status"`
	StatusReason    *text      `json:"statusReason,omitempty"`
	BusinessStatus  concept    `json:"businessStatus"`
	Intent          string     `json:"intent"`
	Priority        string     `json:"priority"`
	Code            concept    `json:"code"`
	Description     string     `json:"description,omitempty"`
	Focus           reference  `json:"focus"`
	For             reference  `json:"for"`
	ExecutionPeriod *period    `json:"executionPeriod,omitempty"`
	AuthoredOn      string     `json:"authoredOn"`
	LastModified    string     `json:"lastModified"`
	Requester       reference  `json:"requester"`
	Owner           *reference `json:"owner,omitempty"`
	Input           []item     `json:"input,omitempty"`
	Output          []item     `json:"output,omitempty"`
}

type reference struct {
	Reference string `json:"reference"`
}
type text struct {
	Text string `json:"text"`
}
type coding struct {
	System  string `json:"system,omitempty"`
	Code    string `json:"code"`
	Display string `json:"display,omitempty"`
}
type concept struct {
	Coding []coding `json:"coding,omitempty"`
	Text   string   `json:"text,omitempty"`
}
type period struct {
	Start string `json:"start,omitempty"`
	End   string `json:"end,omitempty"`
}

// item is a Task.input or Task.output.
type item struct {
	Type      concept    `json:"type"`
	Reference *reference `json:"valueReference,omitempty"`
	String    string     `json:"valueString,omitempty"`
	Code      string     `json:"valueCode,omitempty"`
	DateTime  string     `json:"valueDateTime,omitempty"`
}

func itemType(code string) concept {
	return concept{Coding: []coding{{System: inputSystem, Code: code}}}
}

func refItem(code, ref string) item {
	return item{Type: itemType(code), Reference: &reference{ref}}
}

// encode writes the consultation as its Task.
func encode(c *Consultation) ([]byte, error) {
	t := task{
		ResourceType: "Task", ID: c.ID, Status: taskStatus[c.State],
		BusinessStatus: concept{Coding: []coding{{stateSystem, string(c.State), labels[c.State][1]}}, Text: labels[c.State][0]},
		Intent:         "order", Priority: c.Priority,
		Code:        concept{Coding: []coding{{inputSystem, taskCode, "Remote consultation"}}, Text: "远程会诊"},
		Description: c.Question,
		Focus:       reference{"ServiceRequest/" + c.ID}, For: reference{c.Patient},
		AuthoredOn: c.Authored.UTC().Format(fhir.InstantLayout), LastModified: c.Modified.UTC().Format(fhir.InstantLayout),
		Requester: reference{"Practitioner/" + c.Inviting},
		Owner:     &reference{"Organization/" + c.InvitedOrg},
	}
	if c.Reason != "" {
		t.StatusReason = &text{c.Reason}
	}
	if c.Role != "" {
		t.Owner = &reference{"PractitionerRole/" + c.Role}
	}
	if !c.Start.IsZero() {
		t.ExecutionPeriod = &period{c.Start.Format(time.RFC3339), c.End.Format(time.RFC3339)}
	}
	t.Input = append(t.Input, refItem("inviting-organization", "Organization/"+c.InvitingOrg),
		refItem("invited-organization", "Organization/"+c.InvitedOrg))
	for _, d := range c.Documents {
		t.Input = append(t.Input, refItem("document", d))
	}
	if c.Consultant != "" {
		t.Input = append(t.Input, refItem("consultant", "Practitioner/"+c.Consultant))
	}
	for _, p := range c.CheckedIn {
		t.Input = append(t.Input, refItem("checked-in", "Practitioner/"+p))
	}
	for _, s := range stateOrder {
		if at, ok := c.Reached[s]; ok {
			t.Output = append(t.Output, item{Type: itemType("reached-" + string(s)), DateTime: at.UTC().Format(fhir.InstantLayout)})
		}
	}
	if _, ok := c.Reached[OpinionDrafted]; ok {
		t.Output = append(t.Output, refItem("opinion", "Composition/"+c.ID+opinionSuffix))
	}
	if c.Decision != "" {
		t.Output = append(t.Output, item{Type: itemType("decision"), Code: c.Decision}, item{Type: itemType("decision-text"), String: c.DecisionText})
	}
	return json.Marshal(t)
}

// stateOrder fixes the order in which the Task lists the times of the states.
var stateOrder = []State{Drafted, Consented, Requested, Returned, Rejected, Accepted, Scheduled, InProgress, OpinionDrafted, Signed, Decided, Archived, Cancelled, Expired}

// decode reads a consultation back from its Task; ok is false for a Task of
// another kind.
func decode(r *fhir.Resource) (c *Consultation, ok bool, err error) {
	var t task
	if err := json.Unmarshal(r.Body.Raw, &t); err != nil {
		return nil, false, fmt.Errorf("consultation %s: %w", r.ID, err)
	}
	if len(t.Code.Coding) == 0 || t.Code.Coding[0] != (coding{inputSystem, taskCode, "Remote consultation"}) || len(t.BusinessStatus.Coding) == 0 {
		return nil, false, nil
	}
	c = &Consultation{
		ID: r.ID, VersionID: r.VersionID, State: State(t.BusinessStatus.Coding[0].Code), Patient: t.For.Reference,
		Priority: t.Priority, Question: t.Description, Inviting: id(t.Requester.Reference), Reached: map[State]time.Time{},
	}
	c.Authored, _ = time.Parse(time.RFC3339, t.AuthoredOn)
	c.Modified, _ = time.Parse(time.RFC3339, t.LastModified)
	if t.StatusReason != nil {
		c.Reason = t.StatusReason.Text
	}
	if t.Owner != nil && strings.HasPrefix(t.Owner.Reference, "PractitionerRole/") {
		c.Role = id(t.Owner.Reference)
	}
	if t.ExecutionPeriod != nil {
		c.Start, _ = time.Parse(time.RFC3339, t.ExecutionPeriod.Start)
		c.End, _ = time.Parse(time.RFC3339, t.ExecutionPeriod.End)
	}
	for _, in := range append(t.Input, t.Output...) {
		c.take(in)
	}
	return c, true, nil
}

// take reads one input or output into the field that it carries.
func (c *Consultation) take(in item) {
	if len(in.Type.Coding) == 0 {
		return
	}
	code, ref := in.Type.Coding[0].Code, ""
	if in.Reference != nil {
		ref = in.Reference.Reference
	}
	switch code {
	case "inviting-organization":
		c.InvitingOrg = id(ref)
	case "invited-organization":
		c.InvitedOrg = id(ref)
	case "document":
		c.Documents = append(c.Documents, ref)
	case "consultant":
		c.Consultant = id(ref)
	case "checked-in":
		c.CheckedIn = append(c.CheckedIn, id(ref))
	case "decision":
		c.Decision = in.Code
	case "decision-text":
		c.DecisionText = in.String
	}
	if s, found := strings.CutPrefix(code, "reached-"); found {
		c.Reached[State(s)], _ = time.Parse(time.RFC3339, in.DateTime)
	}
}

// id is the last segment of a relative reference.
func id(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }
