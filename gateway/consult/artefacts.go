package consult

import (
	"html"
	"time"

	"hutong/fhir"
	"hutong/profiles"
)

// The resources that a consultation makes beside its Task carry its id with a
// suffix, so that each move writes to a known place and a repeat is harmless.
const (
	summarySuffix = "-summary"
	consentSuffix = "-consent"
	grantSuffix   = "-grant"
	visitSuffix   = "-visit"
	slotSuffix    = "-slot"
	opinionSuffix = "-opinion"
	proofSuffix   = "-proof"
	bundleSuffix  = "-bundle"
	filedSuffix   = "-filed"
)

const (
	documentSystem = "urn:oid:2.16.156.10011.2.4" // WS/T 500 document types
	loinc          = "http://loinc.org"
	scopeSystem    = "http://terminology.hl7.org/CodeSystem/consentscope"
	actReason      = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
	actCode        = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
	participation  = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
	consentTopic   = "http://terminology.hl7.org/CodeSystem/consentcategorycodes"
)

type obj = map[string]any
type list = []any

func ref(r string) obj { return obj{"reference": r} }
func codes(system, code, disp string) obj {
	return obj{"coding": list{obj{"system": system, "code": code, "display": disp}}}
}
func instant(t time.Time) string { return t.UTC().Format(fhir.InstantLayout) }

func refs(rs []string) list {
	var out list
	for _, r := range rs {
		out = append(out, ref(r))
	}
	return out
}

// serviceRequest is the order: what is asked of whom.
func serviceRequest(c *Consultation) obj {
	status := "active"
	switch c.State {
	case Drafted, Consented:
		status = "draft"
	case Cancelled, Rejected, Expired:
		status = "revoked"
	case Decided, Archived:
		status = "completed"
	}
	return obj{
		"resourceType": "ServiceRequest", "id": c.ID, "status": status, "intent": "order", "priority": c.Priority,
		"category":  list{codes(profiles.Canonical+"/CodeSystem/service-category", "telemedicine", "Telemedicine")},
		"code":      obj{"text": "远程会诊"},
		"subject":   ref(c.Patient),
		"requester": ref("Practitioner/" + c.Inviting),
		"performer": list{ref("Organization/" + c.InvitedOrg)}, "authoredOn": instant(c.Authored),
		"reasonCode": list{obj{"text": c.Question}}, "supportingInfo": refs(c.Documents),
	}
}

// summary is the Composition that goes with the request (病历概要 C0001): its
// one section lists the chosen documents.
func summary(c *Consultation) obj {
	return obj{
		"resourceType": "Composition", "id": c.ID + summarySuffix, "status": "final",
		"type":    codes(documentSystem, "C0001", "病历概要"),
		"subject": ref(c.Patient), "date": instant(c.Modified), "author": list{ref("Practitioner/" + c.Inviting)},
		"title": "远程会诊病历概要", "custodian": ref("Organization/" + c.InvitingOrg),
		"section": list{obj{"title": "会诊资料", "entry": refs(c.Documents)}},
	}
}

// Signature is how a patient or guardian agreed.
type Signature struct {
	By       string `json:"by"`       // "Patient/1" or "RelatedPerson/1"
	Method   string `json:"method"`   // paper, device, online
	FeeTold  bool   `json:"feeTold"`  // the fee was told beforehand
	Document string `json:"document"` // where the signed form is kept: a DocumentReference, may be ""
}

// informedConsent is the signed agreement (知情同意书 C0031). It records the
// agreement to the consultation; access is given by the grant.
func informedConsent(c *Consultation, s Signature) obj {
	out := obj{
		"resourceType": "Consent", "id": c.ID + consentSuffix, "status": "active",
		"scope":    codes(scopeSystem, "treatment", "Treatment"),
		"category": list{codes(documentSystem, "C0031", "知情同意书")},
		"patient":  ref(c.Patient), "dateTime": instant(c.Modified), "performer": list{ref(s.By)},
		"organization": list{ref("Organization/" + c.InvitingOrg)},
		"policyRule":   codes(actCode, "OPTIN", "opt-in"),
		"verification": list{obj{"verified": true, "verifiedWith": ref(s.By), "verificationDate": instant(c.Modified)}},
		"provision": obj{
			"type": "permit", "purpose": list{obj{"system": actReason, "code": "TREAT"}},
			"actor": list{obj{"role": codes(participation, "IRCP", "information recipient"), "reference": ref("Organization/" + c.InvitedOrg)}},
		},
	}
	if s.Document != "" {
		out["sourceReference"] = ref(s.Document)
	}
	return out
}

// grant is the time-limited permission of TC-01: this consultant, these
// documents, until end. It is inactive as soon as the state no longer grants.
func grant(c *Consultation, end time.Time) obj {
	status := "inactive"
	if grants(c.State) {
		status = "active"
	}
	// The order and the summary are part of what was shown to the consultant.
	docs := append([]string{"ServiceRequest/" + c.ID, "Composition/" + c.ID + summarySuffix}, c.Documents...)
	var data list
	for _, d := range docs {
		data = append(data, obj{"meaning": "instance", "reference": ref(d)})
	}
	return obj{
		"resourceType": "Consent", "id": c.ID + grantSuffix, "status": status,
		"scope":    codes(scopeSystem, "patient-privacy", "Privacy Consent"),
		"category": list{codes(consentTopic, "INFA", "Information Access")},
		"patient":  ref(c.Patient), "dateTime": instant(c.Reached[Accepted]),
		"organization":    list{ref("Organization/" + c.InvitingOrg)},
		"sourceReference": ref("Consent/" + c.ID + consentSuffix),
		"policyRule":      codes(actCode, "OPTIN", "opt-in"),
		"provision": obj{
			"type": "permit", "period": obj{"start": instant(c.Reached[Accepted]), "end": instant(end)},
			"purpose": list{obj{"system": actReason, "code": "TREAT"}},
			"actor": list{
				obj{"role": codes(participation, "IRCP", "information recipient"), "reference": ref("Practitioner/" + c.Consultant)},
				obj{"role": codes(participation, "IRCP", "information recipient"), "reference": ref("PractitionerRole/" + c.Role)},
			},
			"data": data,
		},
	}
}

// appointment books both physicians.
func appointment(c *Consultation) obj {
	status := "booked"
	if c.State == Cancelled || c.State == Expired {
		status = "cancelled"
	}
	actor := func(r string) obj { return obj{"actor": ref(r), "required": "required", "status": "accepted"} }
	return obj{
		"resourceType": "Appointment", "id": c.ID + slotSuffix, "status": status,
		"start": instant(c.Start), "end": instant(c.End), "basedOn": list{ref("ServiceRequest/" + c.ID)},
		"participant": list{actor("Practitioner/" + c.Inviting), actor("Practitioner/" + c.Consultant)},
	}
}

// visit is the virtual encounter.
func visit(c *Consultation) obj {
	out := obj{
		"resourceType": "Encounter", "id": c.ID + visitSuffix, "status": "in-progress",
		"class":   obj{"system": actCode, "code": "VR", "display": "virtual"},
		"subject": ref(c.Patient), "basedOn": list{ref("ServiceRequest/" + c.ID)},
		"appointment":     list{ref("Appointment/" + c.ID + slotSuffix)},
		"participant":     list{obj{"individual": ref("Practitioner/" + c.Inviting)}, obj{"individual": ref("Practitioner/" + c.Consultant)}},
		"period":          obj{"start": instant(c.Reached[InProgress])},
		"serviceProvider": ref("Organization/" + c.InvitingOrg),
	}
	if at, ok := c.Reached[Signed]; ok {
		out["status"], out["period"] = "finished", obj{"start": instant(c.Reached[InProgress]), "end": instant(at)}
	}
	return out
}

// opinion is the consultant's report (会诊记录 C0045, LOINC 11488-4).
func opinion(c *Consultation, status, said string) obj {
	return obj{
		"resourceType": "Composition", "id": c.ID + opinionSuffix, "status": status,
		"type": obj{"coding": list{
			obj{"system": loinc, "code": "11488-4", "display": "Consult note"},
			obj{"system": documentSystem, "code": "C0045", "display": "会诊记录"},
		}},
		"subject": ref(c.Patient), "encounter": ref("Encounter/" + c.ID + visitSuffix), "date": instant(c.Modified),
		"author": list{ref("Practitioner/" + c.Consultant)}, "title": "远程会诊意见",
		"custodian": ref("Organization/" + c.InvitedOrg),
		"section":   list{obj{"title": "会诊意见", "text": narrative(said)}},
	}
}

// filed is the copy that each organisation keeps of the signed report.
func filed(c *Consultation, org string) obj {
	return obj{
		"resourceType": "DocumentReference", "id": c.ID + filedSuffix + "-" + shortOrg(c, org), "status": "current", "docStatus": "final",
		"type": codes(documentSystem, "C0045", "会诊记录"), "subject": ref(c.Patient), "date": instant(c.Modified),
		"author": list{ref("Practitioner/" + c.Consultant)}, "custodian": ref("Organization/" + org),
		"content": list{obj{"attachment": obj{"contentType": "application/fhir+json", "url": "Bundle/" + c.ID + bundleSuffix}}},
		"context": obj{"encounter": list{ref("Encounter/" + c.ID + visitSuffix)}},
	}
}

func shortOrg(c *Consultation, org string) string {
	if org == c.InvitingOrg {
		return "inviting"
	}
	return "invited"
}

// narrative wraps plain text as XHTML.
func narrative(s string) obj {
	return obj{"status": "generated", "div": `<div xmlns="http://www.w3.org/1999/xhtml">` + html.EscapeString(s) + `</div>`}
}
