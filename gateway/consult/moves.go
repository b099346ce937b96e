package consult

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"hutong/fhir"
	"hutong/gateway/principal"
)

// Input is what comes with a move; which fields count follows from the move.
type Input struct {
	Reason    string     `json:"reason"`    // return, reject, cancel
	Signature *Signature `json:"signature"` // consent
	Role      string     `json:"role"`      // accept: PractitionerRole id of the consultant
	Start     time.Time  `json:"start"`     // schedule
	End       time.Time  `json:"end"`       // schedule
	Opinion   string     `json:"opinion"`   // opinion
	Decision  string     `json:"decision"`  // decide: adopted, partial, not-adopted
	Text      string     `json:"text"`      // decide: the written treatment decision
}

// Move takes one step. Errors: NotFound for who takes no part, Forbidden for a
// party who may not make this move, Conflict for a move that the state does
// not allow, Unprocessable for a guard that does not hold.
func (s *Service) Move(ctx context.Context, p *principal.Principal, id string, m Move, in Input) (*Consultation, error) {
	c, err := s.Get(ctx, p, id)
	if err != nil {
		return nil, err
	}
	row, err := plan(c.State, m)
	if err != nil {
		return nil, err
	}
	if !party(c, p, row.by) {
		return nil, fhir.Errorf(fhir.Forbidden, "this move is not yours to make")
	}
	if row.reason && strings.TrimSpace(in.Reason) == "" {
		return nil, fhir.Errorf(fhir.Invalid, "a reason is required").At("reason")
	}
	c.Reason, c.Modified = in.Reason, s.cfg.Now()
	return c, s.take(ctx, p, c, row, in)
}

// take runs the guard and the effect of one step and saves the result.
func (s *Service) take(ctx context.Context, p *principal.Principal, c *Consultation, row step, in Input) error {
	effect := map[Move]func(context.Context, *principal.Principal, *Consultation, Input) ([]obj, error){
		MoveConsent: s.consent, MoveRequest: s.request, MoveAccept: s.accept, MoveSchedule: s.schedule,
		MoveCheckIn: s.checkIn, MoveOpinion: s.opinion, MoveSign: s.sign, MoveDecide: s.decide, MoveArchive: s.archive,
	}[row.move]
	before := c.State
	c.reach(row.to)
	var made []obj
	if effect != nil {
		var err error
		if made, err = effect(ctx, p, c, in); err != nil {
			return err
		}
	}
	made = append(made, serviceRequest(c))
	if grants(before) && !grants(c.State) {
		made = append(made, grant(c, c.Modified)) // revoked with the move that ends it
	}
	if !c.Start.IsZero() && c.State == Cancelled {
		made = append(made, appointment(c))
	}
	return s.save(ctx, c, made...)
}

// reach enters a state and notes when it was first entered.
func (c *Consultation) reach(to State) {
	c.State = to
	if _, ok := c.Reached[to]; !ok {
		c.Reached[to] = c.Modified
	}
}

// consent: signed by the patient, or by a guardian for a child under 14.
func (s *Service) consent(ctx context.Context, _ *principal.Principal, c *Consultation, in Input) ([]obj, error) {
	sig := in.Signature
	if sig == nil || !sig.FeeTold {
		return nil, fhir.Errorf(fhir.Invalid, "a signature is required, and that the fee was told").At("signature")
	}
	k, _ := fhir.ParseKey(sig.By)
	if k.Type != "Patient" && k.Type != "RelatedPerson" {
		return nil, fhir.Errorf(fhir.Invalid, "the patient or a RelatedPerson signs").At("signature.by")
	}
	signer, err := s.system(ctx, "", k)
	if err != nil {
		return nil, fhir.Errorf(fhir.Invalid, "no such signer").At("signature.by")
	}
	_, members, err := s.person(ctx, c.Patient)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(signer.Facts.Patients, func(k fhir.Key) bool { return slices.Contains(members, k) }) {
		return nil, fhir.Errorf(fhir.Unprocessable, "the signer is neither this patient nor related to them").At("signature.by")
	}
	minor, err := s.minor(ctx, c)
	if err != nil {
		return nil, err
	}
	if minor && k.Type != "RelatedPerson" {
		return nil, fhir.Errorf(fhir.Unprocessable, "a guardian signs for a patient under 14").At("signature.by")
	}
	return []obj{informedConsent(c, *sig)}, nil
}

// minor reports whether the patient is under 14 (PIPL art. 31).
func (s *Service) minor(ctx context.Context, c *Consultation) (bool, error) {
	k, _ := fhir.ParseKey(c.Patient)
	r, err := s.system(ctx, "", k)
	if err != nil {
		return false, err
	}
	var born struct {
		BirthDate string `json:"birthDate"`
	}
	if err := json.Unmarshal(r.Body.Raw, &born); err != nil {
		return false, err
	}
	// A date of less than a day counts from its first moment: the older reading.
	for _, layout := range []string{"2006-01-02", "2006-01", "2006"} {
		if at, err := time.Parse(layout, born.BirthDate); err == nil {
			return at.AddDate(14, 0, 0).After(s.cfg.Now()), nil
		}
	}
	return false, nil
}

// request sends it to the invited organisation.
func (s *Service) request(ctx context.Context, _ *principal.Principal, c *Consultation, _ Input) ([]obj, error) {
	if s.cfg.Terms.NeedsTreaty {
		ok, err := s.treaty(ctx, c.InvitingOrg, c.InvitedOrg)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fhir.Errorf(fhir.Unprocessable, "no executed agreement between the two organisations is in force").At("invitedOrg")
		}
	}
	return []obj{summary(c)}, nil
}

// treaty looks for an executed Contract that names both organisations and
// applies now.
func (s *Service) treaty(ctx context.Context, a, b string) (bool, error) {
	found, err := s.search(ctx, "Contract", url.Values{"status": {"executed"}, "subject": {"Organization/" + a}})
	if err != nil {
		return false, err
	}
	for _, r := range found {
		var k struct {
			Subject []reference `json:"subject"`
			Applies period      `json:"applies"`
		}
		if err := json.Unmarshal(r.Body.Raw, &k); err != nil {
			return false, err
		}
		if slices.Contains(k.Subject, reference{"Organization/" + b}) && k.Applies.covers(s.cfg.Now()) {
			return true, nil
		}
	}
	return false, nil
}

// covers reports whether t lies in the period; an end given as a date or less
// includes all of it.
func (p period) covers(t time.Time) bool {
	start, startOK := moment(p.Start)
	end, endOK := moment(p.End)
	if endOK && len(p.End) == len("2006-01-02") {
		end = end.AddDate(0, 0, 1)
	}
	return (!startOK || !t.Before(start)) && (!endOK || t.Before(end))
}

func moment(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02", "2006-01", "2006"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// accept assigns the consultant and opens the grant.
func (s *Service) accept(ctx context.Context, _ *principal.Principal, c *Consultation, in Input) ([]obj, error) {
	who, err := s.licensed(ctx, c, in.Role)
	if err != nil {
		return nil, err
	}
	c.Role, c.Consultant = in.Role, who
	return []obj{grant(c, s.grantEnd(c))}, nil
}

// licensed is the guard of state 4: the role is active, of the invited
// organisation, in force, and its holder has practised long enough.
func (s *Service) licensed(ctx context.Context, c *Consultation, role string) (practitioner string, err error) {
	bad := func(why string) error { return fhir.Errorf(fhir.Unprocessable, "%s", why).At("role") }
	if !fhir.ValidID(role) {
		return "", fhir.Errorf(fhir.Invalid, "the PractitionerRole of the consultant is required").At("role")
	}
	r, err := s.system(ctx, "", fhir.Key{Type: "PractitionerRole", ID: role})
	if err != nil {
		return "", bad("no such practitioner role")
	}
	var pr struct {
		Active       *bool     `json:"active"`
		Period       period    `json:"period"`
		Practitioner reference `json:"practitioner"`
		Organization reference `json:"organization"`
	}
	if err := json.Unmarshal(r.Body.Raw, &pr); err != nil {
		return "", err
	}
	now := s.cfg.Now()
	since, known := moment(pr.Period.Start)
	switch {
	case pr.Organization.Reference != "Organization/"+c.InvitedOrg:
		return "", bad("the role is not of the invited organisation")
	case pr.Active != nil && !*pr.Active, !pr.Period.covers(now):
		return "", bad("the role is not in force")
	case !known || since.AddDate(s.cfg.Terms.Practice, 0, 0).After(now):
		return "", bad("the consultant has not practised independently for long enough")
	case pr.Practitioner.Reference == "":
		return "", bad("the role names no practitioner")
	}
	return id(pr.Practitioner.Reference), nil
}

// grantEnd is when access ends: some days after the appointment, or after the
// acceptance while there is none, and never later than the longest grant.
func (s *Service) grantEnd(c *Consultation) time.Time {
	from := c.Reached[Accepted]
	last := from.Add(s.cfg.Terms.GrantMax)
	end := from.Add(s.cfg.Terms.Abandon)
	if !c.End.IsZero() {
		end = c.End.Add(s.cfg.Terms.GrantAfter)
	}
	if end.After(last) {
		return last
	}
	return end
}

// schedule books both physicians; nobody is in two appointments at once.
func (s *Service) schedule(ctx context.Context, _ *principal.Principal, c *Consultation, in Input) ([]obj, error) {
	if !in.Start.Before(in.End) || in.End.Sub(in.Start) > 24*time.Hour || in.End.Before(s.cfg.Now()) {
		return nil, fhir.Errorf(fhir.Invalid, "start and end of a coming appointment of at most a day are required").At("start")
	}
	r := reservation{Consultation: c.ID, Start: in.Start, End: in.End}
	if err := s.calendar.reserve(ctx, r, c.Inviting, c.Consultant); err != nil {
		return nil, err
	}
	for _, who := range []string{c.Inviting, c.Consultant} {
		busy, err := s.busy(ctx, c, who, in.Start, in.End)
		if err == nil && busy {
			err = fhir.Errorf(fhir.Conflict, "a physician has another appointment at this time").At("start")
		}
		if err != nil {
			return nil, errors.Join(err, s.calendar.release(ctx, r, c.Inviting, c.Consultant))
		}
	}
	c.Start, c.End, c.CheckedIn = in.Start, in.End, nil
	return []obj{appointment(c), grant(c, s.grantEnd(c))}, nil
}

func (s *Service) busy(ctx context.Context, c *Consultation, practitioner string, start, end time.Time) (bool, error) {
	found, err := s.search(ctx, "Appointment", url.Values{
		"actor": {"Practitioner/" + practitioner}, "status": {"booked,arrived,pending"}, "_count": {"200"},
		// No appointment is longer than a day.
		"date": {"ge" + instant(start.Add(-24*time.Hour)), "lt" + instant(end)},
	})
	if err != nil {
		return false, err
	}
	for _, r := range found {
		var a struct{ Start, End time.Time }
		if err := json.Unmarshal(r.Body.Raw, &a); err != nil {
			return false, err
		}
		if r.ID != c.ID+slotSuffix && a.Start.Before(end) && start.Before(a.End) {
			return true, nil
		}
	}
	return false, nil
}

// checkIn notes one physician; the consultation begins when both are there.
func (s *Service) checkIn(_ context.Context, p *principal.Principal, c *Consultation, _ Input) ([]obj, error) {
	if !slices.Contains(c.CheckedIn, p.Practitioner) {
		c.CheckedIn = append(c.CheckedIn, p.Practitioner)
	}
	if !slices.Contains(c.CheckedIn, c.Inviting) || !slices.Contains(c.CheckedIn, c.Consultant) {
		c.State = Scheduled
		delete(c.Reached, InProgress)
		return nil, nil
	}
	return []obj{visit(c)}, nil
}

// opinion drafts or redrafts the report; until it is signed it may change.
func (s *Service) opinion(_ context.Context, _ *principal.Principal, c *Consultation, in Input) ([]obj, error) {
	if err := checkOpinion(in.Opinion); err != nil {
		return nil, err
	}
	return []obj{opinion(c, "preliminary", in.Opinion)}, nil
}

func checkOpinion(s string) error {
	if strings.TrimSpace(s) == "" || len([]rune(s)) > 20000 {
		return fhir.Errorf(fhir.Invalid, "an opinion of 1 to 20,000 characters is required").At("opinion")
	}
	return nil
}

// decide records what the inviting physician does with the opinion; the
// responsibility for the treatment stays with them.
func (s *Service) decide(_ context.Context, _ *principal.Principal, c *Consultation, in Input) ([]obj, error) {
	if !slices.Contains([]string{"adopted", "partial", "not-adopted"}, in.Decision) {
		return nil, fhir.Errorf(fhir.Invalid, "decision is adopted, partial or not-adopted").At("decision")
	}
	if strings.TrimSpace(in.Text) == "" {
		return nil, fhir.Errorf(fhir.Invalid, "the treatment decision is required in writing").At("text")
	}
	c.Decision, c.DecisionText = in.Decision, in.Text
	return nil, nil
}

// archive files the signed report with both organisations; the grant ends.
func (s *Service) archive(_ context.Context, _ *principal.Principal, c *Consultation, _ Input) ([]obj, error) {
	return []obj{filed(c, c.InvitingOrg), filed(c, c.InvitedOrg)}, nil
}
