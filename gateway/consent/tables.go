package consent

import (
	"slices"
	"strings"

	"hutong/fhir"
	"hutong/gateway/principal"
)

// Code systems that consents and purposes are written in.
const (
	ParticipationSystem = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
	ScopeSystem         = "http://terminology.hl7.org/CodeSystem/consentscope"
	ReasonSystem        = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
	ActCodeSystem       = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
)

// registry are the types that tell of the region's institutions and
// vocabularies: visible to every principal, if in no patient's compartment.
var registry = []fhir.Type{
	"ActivityDefinition", "CapabilityStatement", "CodeSystem", "CompartmentDefinition", "ConceptMap", "Endpoint",
	"HealthcareService", "ImplementationGuide", "Library", "Location", "Medication", "MedicationKnowledge",
	"Measure", "MessageDefinition", "NamingSystem", "ObservationDefinition", "OperationDefinition", "Organization",
	"OrganizationAffiliation", "PlanDefinition", "Practitioner", "PractitionerRole", "Questionnaire",
	"SearchParameter", "SpecimenDefinition", "StructureDefinition", "StructureMap", "Substance",
	"TerminologyCapabilities", "ValueSet",
}

// sensitive are the labels of level 5 (GB/T 39725): HIV, sexually transmitted
// disease, psychiatry, sexuality and abuse, substance use. Only the author and
// the custodian see them, whoever treats the patient.
var sensitive = []fhir.Coding{
	{System: ActCodeSystem, Code: "HIV"}, {System: ActCodeSystem, Code: "STD"}, {System: ActCodeSystem, Code: "PSY"},
	{System: ActCodeSystem, Code: "SEX"}, {System: ActCodeSystem, Code: "ETH"},
}

// purposes are the v3 PurposeOfUse codes that each role may state; the first
// is taken if a request states none.
var purposes = map[principal.Role][]string{
	principal.HIS:         {"TREAT", "HOPERAT", "HPAYMT", "CAREMGT", "PATADMIN", "PUBHLTH", "HDM"},
	principal.Clinician:   {"TREAT", "CAREMGT"},
	principal.Emergency:   {"ETREAT", "BTG", "TREAT"},
	principal.Coordinator: {"CAREMGT", "HOPERAT", "PATADMIN"},
	principal.Resident:    {"PATRQT"},
	principal.Steward:     {"HOPERAT", "HDM", "PATADMIN"},
	principal.Auditor:     {"HOPERAT", "HCOMPL", "HLEGAL"},
	principal.Admin:       {"HOPERAT", "HSYSADMIN"},
}

// precedence decides in which role a request runs whose principal holds
// several that suit its purpose.
var precedence = []principal.Role{
	principal.HIS, principal.Clinician, principal.Emergency, principal.Coordinator,
	principal.Resident, principal.Steward, principal.Auditor, principal.Admin,
}

// levels are the scope levels that each role's tokens carry; others are "user".
var levels = map[principal.Role]string{principal.HIS: "system", principal.Resident: "patient"}

// permissions say which letter of a scope an interaction needs. A transaction
// needs none of its own: its entries are asked one by one.
var permissions = map[string][]principal.Permission{
	"read":             {principal.MayRead},
	"vread":            {principal.MayRead},
	"history-instance": {principal.MayRead},
	"history-type":     {principal.MaySearch},
	"history-system":   {principal.MaySearch},
	"search-type":      {principal.MaySearch},
	"search-system":    {principal.MaySearch},
	"create":           {principal.MayCreate},
	"update":           {principal.MayUpdate},
	"patch":            {principal.MayUpdate},
	"delete":           {principal.MayDelete},
	"transaction":      {},
	"batch":            {},
	"capabilities":     {},
}

// needed gives the permissions of an interaction; operations that are not
// listed read and search.
func needed(interaction string) []principal.Permission {
	if p, ok := permissions[interaction]; ok {
		return p
	}
	return []principal.Permission{principal.MayRead, principal.MaySearch}
}

// Acting picks the role and the purpose of a request: purpose as the request
// states it ("" = not at all). Invalid for a code that is not a purpose of
// use, Forbidden for one that none of the principal's roles may state.
func Acting(p *principal.Principal, purpose string) (principal.Role, string, error) {
	if purpose == "" {
		purpose = p.Purpose
	}
	if purpose != "" && !isPurpose(purpose) {
		return "", "", fhir.Errorf(fhir.Invalid, "X-Purpose-Of-Use: unknown purpose of use; expected a v3-ActReason code such as TREAT, ETREAT, BTG, PATRQT or HOPERAT")
	}
	for _, r := range precedence {
		if !p.Has(r) {
			continue
		}
		if purpose == "" {
			return r, purposes[r][0], nil
		}
		if slices.Contains(purposes[r], purpose) {
			return r, purpose, nil
		}
	}
	if purpose == "" {
		return "", "", fhir.Errorf(fhir.Forbidden, "the account has no role")
	}
	return "", "", fhir.Errorf(fhir.Forbidden, "purpose of use %s is not one that this account may state", purpose)
}

// isPurpose reports whether some role may state the purpose, or v3 PurposeOfUse
// knows it otherwise.
func isPurpose(code string) bool {
	for _, list := range purposes {
		if slices.Contains(list, code) {
			return true
		}
	}
	return slices.Contains(otherPurposes, code)
}

// otherPurposes are codes of v3 PurposeOfUse that no role may state yet.
var otherPurposes = strings.Fields(`CLINTRCH COVERAGE DISASTER DONAT FAMRQT FRAUD GOV HMARKT HOUTCOMS HPRGRP HQUALIMP
 HRESCH HTEST HACCRED HDIRECT HSRVR HTRAIN INSUPRC MEDRSCH PATSFTY PERFMSR PWATRNY SUPNWK THREAT TREATDS CLINTRL`)
