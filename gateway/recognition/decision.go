package recognition

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/fhir/store"
	"hutong/gateway/principal"
	"hutong/profiles"
)

// shown is a card as it is remembered: what a decision on it is about.
type shown struct {
	Card         string          `json:"card"`
	Suggestion   string          `json:"suggestion"`
	Patient      string          `json:"patient"`
	Encounter    string          `json:"encounter,omitempty"`
	Order        json.RawMessage `json:"order"`
	Item         string          `json:"item"`
	Results      []string        `json:"results"` // versioned references, the adopted one first
	Organization string          `json:"organization,omitempty"`
	Subject      string          `json:"subject"`
	Instance     string          `json:"instance"`
	At           time.Time       `json:"at"`
}

// Feedback is what became of a card: the body of CDS Hooks feedback, and of
// the decision route, which alone can supersede.
type Feedback struct {
	Card           string `json:"card"`
	Outcome        string `json:"outcome"` // accepted or overridden
	OverrideReason *struct {
		Reason      coding `json:"reason"`
		UserComment string `json:"userComment"`
	} `json:"overrideReason,omitempty"`
	AcceptedSuggestions []struct {
		ID string `json:"id"`
	} `json:"acceptedSuggestions,omitempty"`
	OutcomeTimestamp string `json:"outcomeTimestamp,omitempty"`
	// Supersedes names the decision ("Task/...") that this one corrects. Both
	// are kept.
	Supersedes string `json:"supersedes,omitempty"`
}

// commentMax is the longest comment on a reason, in characters (HR-05).
const commentMax = 600

// made is a decision as it is reserved, before its Task is written.
type made struct {
	Task    string    `json:"task"` // id
	Outcome string    `json:"outcome"`
	Reason  string    `json:"reason,omitempty"`
	Comment string    `json:"comment,omitempty"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Old     string    `json:"supersedes,omitempty"`
}

// equals says whether two decisions say the same: then the second one is the
// first one sent again.
func (m made) equals(o made) bool {
	return m.Outcome == o.Outcome && m.Reason == o.Reason && m.Comment == o.Comment && m.By == o.By && m.Old == o.Old
}

func cardKey(id string) []byte { return []byte("card/" + id) }

// decisionKey orders the decisions on a card: the first, then corrections.
func decisionKey(id string, n int) []byte {
	return []byte("decision/" + id + "/" + strconv.Itoa(1000+n))
}

// remember keeps a card before it is shown.
func (s *Service) remember(ctx context.Context, a *asking, o *draft, c *card, results []match) error {
	m := shown{
		Card: c.UUID, Suggestion: c.Suggestions[0].UUID, Patient: a.patient.String(), Encounter: a.encounter, Order: o.raw,
		Item: results[0].Item.Code, Organization: a.who.Organization, Subject: a.who.Subject, Instance: a.instance, At: a.now,
	}
	for i := range results {
		m.Results = append(m.Results, results[i].versioned())
	}
	value, err := json.Marshal(m)
	if err != nil {
		return fhir.Errorf(fhir.Internal, "a card cannot be kept: %w", err)
	}
	return s.cfg.Space.Apply(ctx, []store.Write{{Key: cardKey(c.UUID), Value: value, If: store.IfAbsent}})
}

func (r *Result) versioned() string {
	return r.Key.String() + "/_history/" + strconv.FormatUint(r.VersionID, 10)
}

// recall finds a card. One of another organisation answers like none.
func (s *Service) recall(ctx context.Context, p *principal.Principal, id string) (*shown, error) {
	value, err := s.cfg.Space.Get(ctx, cardKey(id))
	if err != nil {
		return nil, err
	}
	var m shown
	if value != nil {
		if err := json.Unmarshal(value, &m); err != nil {
			return nil, fhir.Errorf(fhir.Internal, "a card cannot be read: %w", err)
		}
	}
	if value == nil || !p.Open && m.Organization != p.Organization {
		return nil, fhir.Errorf(fhir.NotFound, "no such card").At("card")
	}
	return &m, nil
}

// Decide records what a clinician decided on a card: a Task and its
// Provenance, written once. Errors: NotFound for a card that was not shown to
// this organisation; Unprocessable for a reason that is missing or out of
// place; Conflict for a card that is decided, unless the decision is a
// correction of the newest one.
func (s *Service) Decide(ctx context.Context, p *principal.Principal, purpose string, f Feedback) (fhir.Version, error) {
	if !p.Open && (!p.Has(principal.Clinician) && !p.Has(principal.Emergency) || p.Practitioner == "") {
		return fhir.Version{}, fhir.Errorf(fhir.Forbidden, "only a clinician with a practitioner record decides")
	}
	m, err := s.recall(ctx, p, f.Card)
	if err != nil {
		return fhir.Version{}, err
	}
	d, err := s.made(p, m, f)
	if err != nil {
		return fhir.Version{}, err
	}
	if _, err := s.cfg.Callers.Caller(p, purpose); err != nil {
		return fhir.Version{}, err
	}
	again, err := s.reserve(ctx, m, &d)
	if err != nil {
		return fhir.Version{}, err
	}
	return s.write(ctx, p, m, d, again)
}

// made checks a feedback and turns it into a decision.
func (s *Service) made(p *principal.Principal, m *shown, f Feedback) (made, error) {
	d := made{By: p.Practitioner, At: s.cfg.Now(), Old: strings.TrimPrefix(f.Supersedes, "Task/")}
	switch f.Outcome {
	case "accepted":
		if f.OverrideReason != nil {
			return d, fhir.Errorf(fhir.Unprocessable, "a reason is for a decline only").At("overrideReason")
		}
		if len(f.AcceptedSuggestions) > 0 && f.AcceptedSuggestions[0].ID != m.Suggestion {
			return d, fhir.Errorf(fhir.Unprocessable, "the card has no such suggestion").At("acceptedSuggestions[0].id")
		}
		d.Outcome = "adopt"
		return d, nil
	case "overridden":
		d.Outcome = "decline"
		return d, s.reason(&d, f)
	}
	return d, fhir.Errorf(fhir.Unprocessable, "outcome is accepted or overridden").At("outcome")
}

func (s *Service) reason(d *made, f Feedback) error {
	if f.OverrideReason == nil || f.OverrideReason.Reason.Code == "" {
		return fhir.Errorf(fhir.Unprocessable, "a decline needs a coded reason").At("overrideReason.reason")
	}
	given := f.OverrideReason.Reason
	i := slices.IndexFunc(s.reasons, func(r profiles.Reason) bool { return r.Code == given.Code && r.Set != "system" })
	if i < 0 || given.System != "" && given.System != profiles.HRDecline {
		return fhir.Errorf(fhir.Unprocessable, "the reason is none of the list").At("overrideReason.reason.code")
	}
	d.Reason, d.Comment = given.Code, strings.TrimSpace(f.OverrideReason.UserComment)
	if s.reasons[i].TextRequired && d.Comment == "" {
		return fhir.Errorf(fhir.Unprocessable, "this reason needs words").At("overrideReason.userComment")
	}
	if len([]rune(d.Comment)) > commentMax {
		return fhir.Errorf(fhir.Unprocessable, "a comment has at most %d characters", commentMax).At("overrideReason.userComment")
	}
	return nil
}

// reserve takes the place of the decision, so that of two at once one is made.
// It is the durable word: a decision whose Task was not written because the
// server stopped is completed when it is sent again, and then no other.
func (s *Service) reserve(ctx context.Context, m *shown, d *made) (again bool, err error) {
	before, err := s.decisions(ctx, m.Card)
	if err != nil {
		return false, err
	}
	n := len(before)
	if n > 0 {
		last := before[n-1]
		if last.equals(*d) {
			*d = last
			return true, nil
		}
		if d.Old == "" || d.Old != last.Task {
			return false, decided()
		}
	} else if d.Old != "" {
		return false, fhir.Errorf(fhir.Unprocessable, "there is no such decision on this card").At("supersedes")
	}
	d.Task = "hr-" + m.Card
	if n > 0 {
		d.Task += "-" + strconv.Itoa(n)
	}
	value, err := json.Marshal(d)
	if err != nil {
		return false, fhir.Errorf(fhir.Internal, "a decision cannot be kept: %w", err)
	}
	err = s.cfg.Space.Apply(ctx, []store.Write{{Key: decisionKey(m.Card, n), Value: value, If: store.IfAbsent}})
	if fhir.KindOf(err) == fhir.Conflict && err != nil {
		return false, decided()
	}
	return false, err
}

func decided() error {
	return fhir.Errorf(fhir.Conflict, "this card is decided; a correction names the decision that it supersedes").At("card")
}

// decisions lists what was decided on a card, oldest first.
func (s *Service) decisions(ctx context.Context, id string) ([]made, error) {
	pairs, err := s.cfg.Space.Scan(ctx, decisionKey(id, 0), []byte("decision/"+id+"0"), 0)
	if err != nil {
		return nil, err
	}
	out := make([]made, len(pairs))
	for i, kv := range pairs {
		if err := json.Unmarshal(kv.Value, &out[i]); err != nil {
			return nil, fhir.Errorf(fhir.Internal, "a decision cannot be read: %w", err)
		}
	}
	return out, nil
}

// write makes the Task and its Provenance. again: the decision was reserved
// before; if its Task is there, it is a second decision.
func (s *Service) write(ctx context.Context, p *principal.Principal, m *shown, d made, again bool) (fhir.Version, error) {
	custodian := first(s.cfg.Custodian, m.Organization)
	system := interact.SystemCaller(custodian)
	if again {
		_, err := s.cfg.Records.Read(ctx, system, fhir.Key{Type: "Task", ID: d.Task})
		if err == nil {
			return fhir.Version{}, decided()
		}
		if fhir.KindOf(err) != fhir.NotFound {
			return fhir.Version{}, err
		}
	}
	task, provenance, err := s.artefacts(p, m, d)
	if err != nil {
		return fhir.Version{}, err
	}
	versions, err := s.cfg.Records.Put(ctx, system, task, provenance)
	if err != nil {
		return fhir.Version{}, err
	}
	return versions[0], nil
}
