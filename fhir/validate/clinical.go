package validate

// Code systems that the invariants name.
const (
	allergyVerification = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
	conditionClinical   = "http://terminology.hl7.org/CodeSystem/condition-clinical"
	conditionVerified   = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
)

var (
	allergyInError   = coded("verificationStatus", allergyVerification, "entered-in-error")
	conditionInError = coded("verificationStatus", conditionVerified, "entered-in-error")
)

// clinical: the invariants of the clinical and workflow resources. ppc-2 to
// ppc-5 name the system 'something', which no resource has: they hold always.
var clinical = []invariant{
	{"ait-1", in("AllergyIntolerance"), "clinicalStatus must be given unless the record was entered in error", or(allergyInError, has("clinicalStatus"))},
	{"ait-2", in("AllergyIntolerance"), "clinicalStatus must not be given for a record entered in error", not(and(allergyInError, has("clinicalStatus")))},
	{"cpl-3", in("CarePlan.Activity"), "either detail or reference, not both", atMostOne("detail", "reference")},
	{"cmp-1", in("Composition.Section"), "a section must have text, entries or sections", has("text", "entry", "section")},
	{"cmp-2", in("Composition.Section"), "emptyReason stands only in a section without entries", atMostOne("emptyReason", "entry")},
	{"con-4", in("Condition"), "a condition that has abated must be inactive, resolved or in remission", implies(has("abatement"), coded("clinicalStatus", conditionClinical, "resolved", "remission", "inactive"))},
	{"con-5", in("Condition"), "clinicalStatus must not be given for a record entered in error", not(and(conditionInError, has("clinicalStatus")))},
	{"con-1", in("Condition.Stage"), "a stage must have a summary or an assessment", has("summary", "assessment")},
	{"con-2", in("Condition.Evidence"), "evidence must have a code or details", has("code", "detail")},
	{"ppc-1", in("Consent"), "a policy or a policyRule must be given", has("policy", "policyRule")},
	{"fhs-1", in("FamilyMemberHistory"), "either age or born, not both", atMostOne("age", "born")},
	{"fhs-2", in("FamilyMemberHistory"), "estimatedAge needs an age", needs("estimatedAge", "age")},
	{"gol-1", in("Goal.Target"), "a detail needs a measure", needs("detail", "measure")},
	{"imm-1", in("Immunization.Education"), "a documentType or a reference must be given", has("documentType", "reference")},
	{"imr-1", in("ImmunizationRecommendation.Recommendation"), "a vaccineCode or a targetDisease must be given", has("vaccineCode", "targetDisease")},
	{"lst-1", in("List"), "emptyReason stands only in a list without entries", atMostOne("emptyReason", "entry")},
	{"lst-2", in("List"), "entry.deleted stands only in a list of changes", or(is("mode", "changes"), each("entry", lacks("deleted")))},
	{"lst-3", in("List"), "entry.date stands only in a working list", or(is("mode", "working"), each("entry", lacks("date")))},
	{"mad-1", in("MedicationAdministration.Dosage"), "a dose or a rate must be given", has("dose", "rate")},
	{"mdd-1", in("MedicationDispense"), "the medication cannot be handed over before it is prepared", when(func(n *node) bool { return !after(n.text("whenPrepared"), n.text("whenHandedOver")) })},
	{"msq-3", in("MolecularSequence"), "coordinateSystem is 0 or 1", when(func(n *node) bool {
		c := n.d.Child(n.at, "coordinateSystem")
		return c != 0 && (string(n.d.Raw(c)) == "0" || string(n.d.Raw(c)) == "1")
	})},
	{"msq-5", in("MolecularSequence.ReferenceSeq"), "chromosome and genomeBuild stand together", and(needs("chromosome", "genomeBuild"), needs("genomeBuild", "chromosome"))},
	{"msq-6", in("MolecularSequence.ReferenceSeq"), "one and only one of genomeBuild and the referenceSeq elements must be given", one("genomeBuild", "referenceSeqId", "referenceSeqPointer", "referenceSeqString")},
	{"obs-6", in("Observation"), "dataAbsentReason stands only where there is no value", atMostOne("dataAbsentReason", "value")},
	{"obs-7", in("Observation"), "an observation with a value must not repeat its code in a component", implies(has("value"), when(codeNotRepeated))},
	{"obs-3", in("Observation.ReferenceRange"), "a range must have low, high or text", has("low", "high", "text")},
	{"rqg-1", in("RequestGroup.Action"), "either a resource or actions, not both", one("resource", "action")},
	{"ras-2", in("RiskAssessment.Prediction"), "a probability must not exceed 100", when(func(n *node) bool { return compareDecimals(n.raw("probabilityDecimal"), []byte("100")) <= 0 })},
	{"prr-1", in("ServiceRequest"), "orderDetail needs a code", needs("orderDetail", "code")},
}

// codeNotRepeated is the second half of obs-7: no coding of the observation
// is a coding of a component. Codings are the same if system and code are.
func codeNotRepeated(n *node) bool {
	if n.d.Child(n.at, "component") == 0 {
		return true
	}
	own := map[[2]string]bool{}
	for coding := range n.codings(n.at) {
		own[[2]string{n.d.ChildText(coding, "system"), n.d.ChildText(coding, "code")}] = true
	}
	for component := range n.items("component") {
		for coding := range n.codings(component) {
			if own[[2]string{n.d.ChildText(coding, "system"), n.d.ChildText(coding, "code")}] {
				return false
			}
		}
	}
	return true
}

// codings gives the codings of the member code of an object.
func (n *node) codings(at uint32) func(func(uint32) bool) {
	if code := n.d.Child(at, "code"); code != 0 {
		if list := n.d.Child(code, "coding"); list != 0 {
			return n.d.Children(list)
		}
	}
	return func(func(uint32) bool) {}
}

// administrative: the invariants of people, places, schedules and money.
// app-4 is published with the code 'no-show'; the value set has 'noshow'.
var administrative = []invariant{
	{"app-1", in("Appointment.Participant"), "a type or an actor must be given", has("type", "actor")},
	{"app-2", in("Appointment"), "start and end stand together", and(needs("start", "end"), needs("end", "start"))},
	{"app-3", in("Appointment"), "only proposed, cancelled and waitlisted appointments lack start and end", or(and(has("start"), has("end")), is("status", "proposed", "cancelled", "waitlist"))},
	{"app-4", in("Appointment"), "a cancelationReason stands only where the appointment was cancelled or missed", implies(has("cancelationReason"), is("status", "noshow", "cancelled"))},
	{"apr-1", in("AppointmentResponse"), "a participantType or an actor must be given", has("participantType", "actor")},
	{"sev-1", in("AuditEvent.Entity"), "either name or query, not both", atMostOne("name", "query")},
	{"ces-1", in("CoverageEligibilityResponse.Insurance.Items"), "either category or productOrService, not both", one("category", "productOrService")},
	{"grp-1", in("Group"), "only an actual group has members", implies(has("member"), isTrue("actual"))},
	{"ipn-1", in("InsurancePlan"), "a name or an identifier must be given", has("identifier", "name")},
	{"lnk-1", in("Linkage"), "a linkage must have at least two items", more("item", 1)},
	{"org-1", in("Organization"), "a name or an identifier must be given", has("identifier", "name")},
	{"org-2", in("Organization"), "an address of an organization cannot be of use home", each("address", notHome)},
	{"org-3", in("Organization"), "a telecom of an organization cannot be of use home", each("telecom", notHome)},
	{"pat-1", in("Patient.Contact"), "a contact must have a name, telecom, address or organization", has("name", "telecom", "address", "organization")},
}

func notHome(n *node, item uint32) bool { return n.d.ChildText(item, "use") != "home" }
