package recognition

import (
	"encoding/json"
	"time"

	"hutong/fhir"
	"hutong/gateway/principal"
	"hutong/profiles"
)

type (
	obj  = map[string]any
	list = []any
)

// cardSystem is the identifier system of cards, by which a Task names its own.
const cardSystem = profiles.Canonical + "/sid/recognition-card"

func code(system, code, display string) obj {
	c := obj{"system": system, "code": code}
	if display != "" {
		c["display"] = display
	}
	return obj{"coding": list{c}}
}

// orderOf is the draft order within a Task: the draft itself is deleted or
// changed by its HIS, so the Task keeps what it asked for.
func orderOf(raw json.RawMessage, patient string) (obj, error) {
	var d struct {
		Code       json.RawMessage `json:"code"`
		AuthoredOn string          `json:"authoredOn"`
		Identifier json.RawMessage `json:"identifier"`
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, fhir.Errorf(fhir.Internal, "a draft order cannot be read: %w", err)
	}
	out := obj{
		"resourceType": "ServiceRequest", "id": "order", "status": "draft", "intent": "order",
		"code": d.Code, "subject": obj{"reference": patient},
	}
	if d.AuthoredOn != "" {
		out["authoredOn"] = d.AuthoredOn
	}
	if d.Identifier != nil {
		out["identifier"] = d.Identifier
	}
	return out, nil
}

// task is the decision as a Task: focus the order, input the versions of the
// results, output the decision.
func task(m *shown, outcome string, at time.Time) (obj, error) {
	contained, err := orderOf(m.Order, m.Patient)
	if err != nil {
		return nil, err
	}
	var inputs list
	for _, r := range m.Results {
		inputs = append(inputs, obj{"type": code(profiles.HRTask, "result", ""), "valueReference": obj{"reference": r}})
	}
	t := obj{
		"resourceType": "Task", "contained": list{contained},
		"identifier": list{obj{"system": cardSystem, "value": m.Card}},
		"status":     "completed", "intent": "order",
		"code":  code(profiles.HRTask, "mutual-recognition-decision", "检查检验结果互认决定"),
		"focus": obj{"reference": "#order"}, "for": obj{"reference": m.Patient},
		"authoredOn": at.Format(time.RFC3339), "lastModified": at.Format(time.RFC3339),
		"input":  inputs,
		"output": list{obj{"type": code(profiles.HRTask, "decision", ""), "valueCodeableConcept": code(profiles.HRTask, outcome, "")}},
	}
	if m.Encounter != "" {
		t["encounter"] = obj{"reference": "Encounter/" + m.Encounter}
	}
	return t, nil
}

// suggested is the Task that a card's suggestion creates on the HIS's side.
func (s *Service) suggested(a *asking, o *draft, id string, best *match) obj {
	m := &shown{Card: id, Patient: a.patient.String(), Encounter: a.encounter, Order: o.raw, Results: []string{best.versioned()}}
	t, err := task(m, "adopt", a.now)
	if err != nil {
		return nil // the draft was read before
	}
	own(t, a.who)
	return t
}

// own makes the practitioner the owner of the decision.
func own(t obj, p *principal.Principal) {
	if p.Practitioner != "" {
		t["owner"] = obj{"reference": "Practitioner/" + p.Practitioner}
	}
	if p.Organization != "" {
		t["requester"] = obj{"reference": "Organization/" + p.Organization}
	}
}

// artefacts are the Task of a decision and its Provenance, as JSON.
func (s *Service) artefacts(p *principal.Principal, m *shown, d made) (taskJSON, provenanceJSON []byte, err error) {
	t, err := task(m, d.Outcome, d.At)
	if err != nil {
		return nil, nil, err
	}
	t["id"] = d.Task
	own(t, p)
	if d.Reason != "" {
		reason := code(profiles.HRDecline, d.Reason, s.display(d.Reason))
		if d.Comment != "" {
			reason["text"] = d.Comment
		}
		t["statusReason"] = reason
	}
	if d.Old != "" {
		t["input"] = append(t["input"].(list), obj{"type": code(profiles.HRTask, "supersedes", ""), "valueReference": obj{"reference": "Task/" + d.Old}})
	}
	if taskJSON, err = json.Marshal(t); err != nil {
		return nil, nil, fhir.Errorf(fhir.Internal, "a decision cannot be written: %w", err)
	}
	if provenanceJSON, err = json.Marshal(provenance(p, m, d)); err != nil {
		return nil, nil, fhir.Errorf(fhir.Internal, "a decision cannot be written: %w", err)
	}
	return taskJSON, provenanceJSON, nil
}

func (s *Service) display(reason string) string {
	for _, r := range s.reasons {
		if r.Code == reason {
			return r.Display
		}
	}
	return ""
}

// provenance says who decided, for whom, from which versions, and what the
// decision corrects.
func provenance(p *principal.Principal, m *shown, d made) obj {
	who := obj{"display": first(p.Name, p.Subject)}
	if p.Practitioner != "" {
		who["reference"] = "Practitioner/" + p.Practitioner
	}
	agent := obj{"type": code("http://terminology.hl7.org/CodeSystem/provenance-participant-type", "author", ""), "who": who}
	if p.Organization != "" {
		agent["onBehalfOf"] = obj{"reference": "Organization/" + p.Organization}
	}
	var entities list
	for _, r := range m.Results {
		entities = append(entities, obj{"role": "source", "what": obj{"reference": r}})
	}
	if d.Old != "" {
		entities = append(entities, obj{"role": "revision", "what": obj{"reference": "Task/" + d.Old}})
	}
	return obj{
		"resourceType": "Provenance", "id": d.Task + "-p", "target": list{obj{"reference": "Task/" + d.Task}},
		"recorded": d.At.UTC().Format(fhir.InstantLayout), "agent": list{agent}, "entity": entities,
		"activity": code("http://terminology.hl7.org/CodeSystem/v3-DataOperation", "CREATE", ""),
	}
}
