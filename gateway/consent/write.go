package consent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/gateway/principal"
	"hutong/profiles"
)

// MayWrite implements interact.Caller. Nobody writes AuditEvents, nor touches
// a broken glass or a consultation's Task; scopes hold; a resident writes
// consents only, their own.
func (c *Caller) MayWrite(ctx context.Context, op interact.Op, key fhir.Key, existing *fhir.Facts) error {
	if key.Type == "AuditEvent" {
		return fhir.Errorf(fhir.Forbidden, "the audit trail is written by the exchange alone")
	}
	if existing != nil && isGlass(existing) {
		return fhir.Errorf(fhir.Forbidden, "a broken glass stays on record")
	}
	if existing != nil && isConsultation(key.Type, existing) {
		return consultationMoves()
	}
	switch c.role {
	case principal.HIS, principal.Clinician, principal.Emergency:
	case principal.Resident:
		if key.Type != "Consent" {
			return fhir.Errorf(fhir.Forbidden, "residents may write consents only")
		}
		if err := c.mine(ctx, existing); err != nil {
			return err
		}
	default:
		return fhir.Errorf(fhir.Forbidden, "role %s writes no resources", c.role)
	}
	return c.scoped(interact.Op{Interaction: op.Interaction, Type: key.Type})
}

// mine refuses a resident what is about somebody else. The custodian rule does
// not: the exchange keeps what any resident wrote. facts nil: there is nothing.
func (c *Caller) mine(ctx context.Context, facts *fhir.Facts) error {
	if facts == nil {
		return nil
	}
	own, err := c.policy.recordsOf(ctx, c.who)
	if err != nil {
		return err
	}
	if len(facts.Patients) == 0 || slices.ContainsFunc(facts.Patients, func(k fhir.Key) bool { return !slices.Contains(own, k) }) {
		return fhir.Errorf(fhir.Forbidden, "a resident's consent is about their own record")
	}
	return nil
}

func isGlass(f *fhir.Facts) bool {
	return slices.Contains(f.Categories, fhir.Coding{System: GlassSystem, Code: GlassCode})
}

// isConsultation: the workflow takes what such a Task says for what its own
// guards have checked, the documents that it shows included.
func isConsultation(t fhir.Type, f *fhir.Facts) bool {
	return t == "Task" && slices.Contains(f.Codes, fhir.Coding{System: profiles.ConsultationItem, Code: profiles.ConsultationTask})
}

func consultationMoves() error {
	return fhir.Errorf(fhir.Forbidden, "a consultation moves by /api/consultations").At("Task.code")
}

// Inspect implements interact.Inspector: what is about to be stored must be
// the caller's to say.
func (c *Caller) Inspect(ctx context.Context, _ interact.Op, key fhir.Key, body fhir.Body, facts *fhir.Facts) error {
	if key.Type == "Consent" && isGlass(facts) {
		return fhir.Errorf(fhir.Forbidden, "the glass is broken by POST /api/breakglass").At("Consent.category")
	}
	if isConsultation(key.Type, facts) {
		return consultationMoves()
	}
	if slices.Contains(registry, key.Type) {
		if err := c.inspectRegistry(key.Type, body); err != nil {
			return err
		}
	}
	switch c.role {
	case principal.Resident:
		return c.inspectConsent(ctx, body, facts)
	case principal.Clinician, principal.Emergency:
		return c.inspectClinical(ctx, facts)
	case principal.HIS:
		if key.Type == "Consent" {
			return c.inspectGrant(ctx, body)
		}
	}
	return nil
}

// inspectRegistry keeps patients out of what every principal reads: a contained
// resource is in nobody's compartment.
func (c *Caller) inspectRegistry(t fhir.Type, body fhir.Body) error {
	var holder struct {
		Contained []struct {
			ResourceType fhir.Type `json:"resourceType"`
		} `json:"contained"`
	}
	if err := json.Unmarshal(body.Raw, &holder); err != nil {
		return fhir.Errorf(fhir.Internal, "consent: a body cannot be read: %w", err)
	}
	for i, x := range holder.Contained {
		if x.ResourceType == "Patient" || len(c.policy.defs.Compartment("Patient", x.ResourceType)) > 0 {
			return fhir.Errorf(fhir.Unprocessable, "%s is read by everybody: it cannot contain what is about a patient", t).
				At(fmt.Sprintf("%s.contained[%d]", t, i))
		}
	}
	return nil
}

// inspectGrant lets an organisation grant what it keeps: what others keep is
// for the resident, or for a consultation, to show.
func (c *Caller) inspectGrant(ctx context.Context, body fhir.Body) error {
	d, err := parseDocument(body.Raw)
	if err != nil || d.Provision == nil || d.Provision.Type != "permit" {
		return err
	}
	for _, x := range d.Provision.Data {
		k, ok := x.Reference.key(c.policy.cfg.Base)
		r := fhir.Resource{}
		if ok {
			if r, err = c.policy.cfg.Reader.Get(ctx, k); err != nil && !errors.Is(err, fhir.E(fhir.NotFound)) && !errors.Is(err, fhir.E(fhir.Gone)) {
				return err
			}
		}
		if err != nil || r.Facts.Custodian == "" || r.Facts.Custodian != c.who.Organization {
			return fhir.Errorf(fhir.Forbidden, "an organisation grants access to its own stored records only").At("Consent.provision.data")
		}
	}
	return nil
}

// inspectClinical lets clinicians write about patients whom they treat.
func (c *Caller) inspectClinical(ctx context.Context, facts *fhir.Facts) error {
	for _, k := range facts.Patients {
		members, err := c.policy.cfg.Persons.Members(ctx, k)
		if err != nil {
			return err
		}
		treats, err := c.policy.treats(ctx, c.who.Organization, members)
		if err != nil {
			return err
		}
		if !treats {
			return noRelationship()
		}
	}
	return nil
}

// inspectConsent holds a resident's consent to the two shapes that decisions
// understand whole, about the resident's own record.
func (c *Caller) inspectConsent(ctx context.Context, body fhir.Body, facts *fhir.Facts) error {
	mine, err := c.policy.recordsOf(ctx, c.who)
	if err != nil {
		return err
	}
	d, err := parseDocument(body.Raw)
	if err != nil {
		return err
	}
	patient, ok := d.Patient.key(c.policy.cfg.Base)
	if !ok || !slices.Contains(mine, patient) || slices.ContainsFunc(facts.Patients, func(k fhir.Key) bool { return !slices.Contains(mine, k) }) {
		return fhir.Errorf(fhir.Forbidden, "a resident's consent is about their own record").At("Consent.patient")
	}
	return d.residentShape(c.policy.cfg.Base, c.policy.clock())
}

// residentShape accepts a denial of one source (CST) or one recipient (IRCP),
// and a permission with an end for one recipient to see listed resources.
func (d *document) residentShape(base string, c clock) error {
	v := d.Provision
	switch {
	case d.Status != "active" && d.Status != "inactive":
		return shapeError("Consent.status", "is active, or inactive to withdraw")
	case !d.Scope.has(ScopeSystem, "patient-privacy"):
		return shapeError("Consent.scope", "is patient-privacy")
	case len(d.Modifier) > 0:
		return shapeError("Consent.modifierExtension", "is not understood")
	case v == nil || len(v.Provision) > 0:
		return shapeError("Consent.provision", "is one provision without nested ones")
	case len(v.Actor) != 1:
		return shapeError("Consent.provision.actor", "names one actor")
	case len(v.Action)+len(v.Label)+len(v.Class)+len(v.Code) > 0 || v.DataTime != nil:
		return shapeError("Consent.provision", "has no conditions beside actor, period, purpose and data")
	}
	if _, ok := c.holds(v.Period); !ok {
		return shapeError("Consent.provision.period", "is a pair of dates")
	}
	if err := v.checkActor(base); err != nil {
		return err
	}
	return v.checkKind(base)
}

func (v *provision) checkActor(base string) error {
	k, ok := v.Actor[0].Reference.key(base)
	role := v.Actor[0].Role.code(ParticipationSystem)
	switch {
	case role == "CST" && ok && k.Type == "Organization" && v.Type == "deny":
	case role == "IRCP" && ok && slices.Contains([]fhir.Type{"Organization", "Practitioner", "PractitionerRole"}, k.Type):
	default:
		return shapeError("Consent.provision.actor", "is an Organization as CST (whose records are not shared), or an Organization, Practitioner or PractitionerRole as IRCP (who may or may not see)")
	}
	return nil
}

func (v *provision) checkKind(base string) error {
	switch v.Type {
	case "deny":
		if len(v.Data)+len(v.Purpose) > 0 {
			return shapeError("Consent.provision", "denies without data or purpose")
		}
	case "permit":
		if v.Period.End == "" {
			return shapeError("Consent.provision.period.end", "is required of a permission")
		}
		if len(v.Data) == 0 || slices.ContainsFunc(v.Data, func(x datum) bool { _, ok := x.Reference.key(base); return !ok || x.Meaning != "instance" }) {
			return shapeError("Consent.provision.data", "lists the permitted resources, each with meaning instance")
		}
	default:
		return shapeError("Consent.provision.type", "is deny or permit")
	}
	return nil
}

func shapeError(path, rule string) error {
	return fhir.Errorf(fhir.Unprocessable, "a resident's consent: %s %s", path, rule).At(path)
}
