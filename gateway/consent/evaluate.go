package consent

import (
	"slices"

	"hutong/fhir"
)

// asker is the principal as consents name actors.
type asker struct {
	organization string
	self         []fhir.Key // Practitioner, PractitionerRole
	purpose      string
	emergency    bool
	exchange     string // the organisation that runs the exchange
	base         string
}

// verdict is how an actor of a denial concerns the asker.
type verdict uint8

const (
	others   verdict = iota // somebody else
	asking                  // the asker or their organisation
	everyone                // cannot be told: taken for everyone
)

// judge folds one consent, kept by custodian, into the person. What it cannot
// understand of a denial it reads as denying more; what it cannot understand
// of a permission it reads as permitting nothing.
func (p *Person) judge(d *document, custodian string, a *asker, c clock) {
	switch {
	case d.Status != "active":
	case d.glass():
		p.judgeGlass(d, custodian, a, c)
	case !d.privacy():
	case d.Provision == nil:
		if rule := d.PolicyRule.code(ActCodeSystem); rule == "OPTOUT" || rule == "OPTOUTE" {
			p.WithholdAll = true
		}
	default:
		p.deny(d.Provision, a, c)
		p.permit(d, custodian, a, c)
	}
}

// judgeGlass takes a broken glass only from the exchange itself.
func (p *Person) judgeGlass(d *document, custodian string, a *asker, c clock) {
	if !a.emergency || custodian != a.exchange || d.Provision == nil || d.Provision.Type != "permit" {
		return
	}
	in, ok := c.holds(d.Provision.Period)
	_, end, err := bounds(d.Provision.Period.End, c.zone)
	if !in || !ok || err != nil || d.Provision.Period.End == "" || !a.named(d.Provision.Actor) {
		return
	}
	if end.After(p.Glass) {
		p.Glass = end
	}
}

// deny takes the denials of a provision and of what is nested in it. An
// exception nested in a denial is not granted, and a condition on a denial
// (a class, a label, a purpose) is not read: it denies all the same.
func (p *Person) deny(v *provision, a *asker, c clock) {
	if v.Type == "deny" {
		if in, ok := c.holds(v.Period); in || !ok {
			p.denyActors(v.Actor, a)
		}
		return
	}
	for i := range v.Provision {
		p.deny(&v.Provision[i], a, c)
	}
}

func (p *Person) denyActors(actors []actor, a *asker) {
	if len(actors) == 0 {
		p.WithholdAll = true
	}
	for _, x := range actors {
		switch x.Role.code(ParticipationSystem) {
		case "CST":
			p.withhold(x, a)
		case "IRCP", "PRCP":
			p.bar(x, a)
		default:
			p.withhold(x, a)
			p.bar(x, a)
		}
	}
}

// withhold takes a denial on the side of who keeps the records.
func (p *Person) withhold(x actor, a *asker) {
	k, ok := x.Reference.key(a.base)
	if !ok || k.Type != "Organization" {
		p.WithholdAll = true
		return
	}
	if !slices.Contains(p.Withheld, k.ID) {
		p.Withheld = append(p.Withheld, k.ID)
	}
}

// bar takes a denial on the side of who asks.
func (p *Person) bar(x actor, a *asker) {
	if a.judge(x) != others {
		p.Barred = true
	}
}

// judge tells whether an actor is the asker.
func (a *asker) judge(x actor) verdict {
	k, ok := x.Reference.key(a.base)
	switch {
	case !ok:
		return everyone
	case k.Type == "Organization" && k.ID == a.organization, slices.Contains(a.self, k):
		return asking
	}
	switch k.Type {
	case "Organization", "Practitioner", "PractitionerRole", "Patient", "RelatedPerson", "Device":
		return others
	}
	return everyone // a Group or CareTeam whose members are not known here
}

// named reports whether some actor of a permission is the asker.
func (a *asker) named(actors []actor) bool {
	return slices.ContainsFunc(actors, func(x actor) bool { return a.judge(x) == asking })
}

// permit takes a grant: a plain permission with an end, to the asker, of
// resources named one by one. An organisation cannot grant to itself.
func (p *Person) permit(d *document, custodian string, a *asker, c clock) {
	v := d.Provision
	if !v.plainPermit(a.purpose) || len(d.Modifier) > 0 || !a.named(v.Actor) || custodian == a.organization {
		return
	}
	in, ok := c.holds(v.Period)
	_, end, err := bounds(v.Period.End, c.zone)
	if !in || !ok || err != nil {
		return
	}
	g := Grant{Until: end}
	for _, x := range v.Data {
		if k, ok := x.Reference.key(a.base); ok && x.Meaning == "instance" {
			g.Keys = append(g.Keys, k)
		}
	}
	if len(g.Keys) > 0 {
		p.Grants = append(p.Grants, g)
	}
}

// plainPermit reports whether the provision is a permission with an end and
// without conditions other than actors, data and purposes, of which the stated
// one must be among them.
func (v *provision) plainPermit(purpose string) bool {
	conditions := len(v.Provision) + len(v.Action) + len(v.Label) + len(v.Class) + len(v.Code)
	return v.Type == "permit" && v.Period.End != "" && v.DataTime == nil && conditions == 0 &&
		(len(v.Purpose) == 0 || slices.Contains(v.Purpose, coding{ReasonSystem, purpose}))
}
