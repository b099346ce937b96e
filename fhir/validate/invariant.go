package validate

import (
	"fmt"

	"hutong/fhir/internal/schema"
)

// invariant is one rule of the specification that spans elements. Types are
// the names of google/fhir's messages: "Patient.Contact".
type invariant struct {
	code  string
	types []string
	text  string
	holds condition
}

// compileInvariants gives the rules by Type.Index.
func compileInvariants(s *schema.Schema) ([][]rule, error) {
	rules := make([][]rule, len(s.Types))
	for _, table := range [][]invariant{dataTypes, bundles, clinical, administrative, questionnaires, definitions, artefacts} {
		for _, inv := range table {
			for _, name := range inv.types {
				t := s.Types[name]
				if t == nil {
					return nil, fmt.Errorf("invariant %s: R4 has no type %s", inv.code, name)
				}
				ok, err := inv.holds(t)
				if err != nil {
					return nil, fmt.Errorf("invariant %s: %w", inv.code, err)
				}
				rules[t.Index] = append(rules[t.Index], rule{inv.code, inv.text, invariantID, "", ok})
			}
		}
	}
	for _, b := range concepts {
		t := s.Types[b.typ]
		if t == nil || t.Fields[b.element] == nil {
			return nil, fmt.Errorf("binding: R4 has no %s.%s", b.typ, b.element)
		}
		ok, err := or(not(has(b.element)), coded(b.element, b.system, b.codes...))(t)
		if err != nil {
			return nil, fmt.Errorf("binding of %s.%s: %w", b.typ, b.element, err)
		}
		rules[t.Index] = append(rules[t.Index], rule{"code", "a coding must be from the required value set", codeInvalid, b.element, ok})
	}
	return rules, nil
}

// concept is a CodeableConcept with a required binding. The descriptors have
// the value sets of codes only, so that these stand here. Not listed are the
// four whose value set is UCUM or LOINC.
type concept struct {
	typ, element, system string
	codes                []string
}

var concepts = []concept{
	{"AdverseEvent", "severity", "http://terminology.hl7.org/CodeSystem/adverse-event-severity", in("mild", "moderate", "severe")},
	{"AdverseEvent", "outcome", "http://terminology.hl7.org/CodeSystem/adverse-event-outcome", in("resolved", "recovering", "ongoing", "resolvedWithSequelae", "fatal", "unknown")},
	{"AllergyIntolerance", "clinicalStatus", "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", in("active", "inactive", "resolved")},
	{"AllergyIntolerance", "verificationStatus", allergyVerification, in("unconfirmed", "confirmed", "refuted", "entered-in-error")},
	{"Condition", "clinicalStatus", conditionClinical, in("active", "recurrence", "relapse", "inactive", "remission", "resolved")},
	{"Condition", "verificationStatus", conditionVerified, in("unconfirmed", "provisional", "differential", "confirmed", "refuted", "entered-in-error")},
	{"InsurancePlan.Plan.SpecificCost.PlanBenefit.Cost", "applicability", "http://terminology.hl7.org/CodeSystem/applicability", in("in-network", "out-of-network", "other")},
	{"Measure", "improvementNotation", "http://terminology.hl7.org/CodeSystem/measure-improvement-notation", in("increase", "decrease")},
	{"MeasureReport", "improvementNotation", "http://terminology.hl7.org/CodeSystem/measure-improvement-notation", in("increase", "decrease")},
	{"SupplyDelivery", "type", "http://terminology.hl7.org/CodeSystem/supply-item-type", in("medication", "device")},
}

func in(types ...string) []string { return types }

const ucum = "http://unitsofmeasure.org"

// dataTypes: R4 datatypes.html, metadatatypes.html, extensibility.html. ele-1
// is the rule on empty objects, txt-1 and ref-1 have code of their own, and
// tim-9 is published with a fault (`in` on a repeating element): it is read
// as "none of the times is a meal".
var dataTypes = []invariant{
	{"ext-1", in("Extension"), "an extension has either a value or extensions, not both", one("extension", "value")},
	{"qty-3", in("Quantity", "SimpleQuantity", "Age", "Count", "Distance", "Duration"), "a coded unit needs its system", needs("code", "system")},
	{"age-1", in("Age"), "an age has a code and a UCUM unit, and is positive", and(ucumUnit, positive)},
	{"cnt-3", in("Count"), "a count has the UCUM unit 1", and(ucumUnit, or(not(has("code")), is("code", "1")))},
	{"dis-1", in("Distance"), "a distance has a UCUM unit", ucumUnit},
	{"drt-1", in("Duration"), "a duration has a UCUM unit of time", implies(has("code"), and(is("system", ucum), has("value")))},
	{"att-1", in("Attachment"), "data needs a contentType", needs("data", "contentType")},
	{"cpt-2", in("ContactPoint"), "a value needs its system", needs("value", "system")},
	{"per-1", in("Period"), "the start must not be after the end", when(func(n *node) bool { return !after(n.text("start"), n.text("end")) })},
	{"rng-2", in("Range"), "low must not be greater than high", when(rangeInOrder)},
	{"rat-1", in("Ratio"), "numerator and denominator stand together; without them an extension must", or(and(has("numerator"), has("denominator")), and(not(has("numerator", "denominator")), has("extension")))},
	{"exp-1", in("Expression"), "an expression or a reference must be given", has("expression", "reference")},
	{"drq-1", in("DataRequirement.CodeFilter"), "either path or searchParam, not both", one("path", "searchParam")},
	{"drq-2", in("DataRequirement.DateFilter"), "either path or searchParam, not both", one("path", "searchParam")},
	{"trd-1", in("TriggerDefinition"), "either timing or data, not both", atMostOne("timing", "data")},
	{"trd-2", in("TriggerDefinition"), "a condition needs data", needs("condition", "data")},
	{"trd-3", in("TriggerDefinition"), "a named event needs a name, a periodic one a timing, a data event data", triggerComplete},
	{"tim-1", in("Timing.Repeat"), "a duration needs its unit", needs("duration", "durationUnit")},
	{"tim-2", in("Timing.Repeat"), "a period needs its unit", needs("period", "periodUnit")},
	{"tim-4", in("Timing.Repeat"), "a duration must not be negative", notNegative("duration")},
	{"tim-5", in("Timing.Repeat"), "a period must not be negative", notNegative("period")},
	{"tim-6", in("Timing.Repeat"), "periodMax needs a period", needs("periodMax", "period")},
	{"tim-7", in("Timing.Repeat"), "durationMax needs a duration", needs("durationMax", "duration")},
	{"tim-8", in("Timing.Repeat"), "countMax needs a count", needs("countMax", "count")},
	{"tim-9", in("Timing.Repeat"), "an offset needs a when that is not a meal", implies(has("offset"), and(has("when"), noMeal))},
	{"tim-10", in("Timing.Repeat"), "either timeOfDay or when, not both", atMostOne("timeOfDay", "when")},
}

var (
	ucumUnit = and(needs("value", "code"), implies(has("system"), is("system", ucum)))
	positive = when(func(n *node) bool { c := n.d.Child(n.at, "value"); return c == 0 || sign(n.d.Raw(c)) > 0 })
	noMeal   = each("when", func(n *node, c uint32) bool {
		switch n.d.Text(c) {
		case "C", "CM", "CD", "CV":
			return false
		}
		return true
	})
	triggerComplete = and(implies(is("type", "named-event"), has("name")), and(implies(is("type", "periodic"), has("timing")),
		implies(is("type", "data-changed", "data-added", "data-modified", "data-removed", "data-accessed", "data-access-ended"), has("data"))))
)

func notNegative(name string) condition {
	return when(func(n *node) bool { c := n.d.Child(n.at, name); return c == 0 || sign(n.d.Raw(c)) >= 0 })
}

// bundles: R4 bundle.html. bdl-8 as published also runs where there is no
// fullUrl; here it needs one.
var bundles = []invariant{
	{"bdl-1", in("Bundle"), "only a searchset or a history has a total", implies(has("total"), is("type", "searchset", "history"))},
	{"bdl-2", in("Bundle"), "only the entries of a searchset have search", implies(not(is("type", "searchset")), each("entry", lacks("search")))},
	{"bdl-3", in("Bundle"), "entry.request must stand in a batch, transaction or history, and nowhere else", entries("request", "batch", "transaction", "history")},
	{"bdl-4", in("Bundle"), "entry.response must stand in a batch-response, transaction-response or history, and nowhere else", entries("response", "batch-response", "transaction-response", "history")},
	{"bdl-7", in("Bundle"), "a fullUrl must be unique within the bundle, or else the versionIds differ", or(is("type", "history"), distinct("entry", versionedURL))},
	{"bdl-9", in("Bundle"), "a document must have an identifier with system and value", implies(is("type", "document"), when(fullIdentifier))},
	{"bdl-10", in("Bundle"), "a document must have a timestamp", implies(is("type", "document"), has("timestamp"))},
	{"bdl-11", in("Bundle"), "a document must begin with a Composition", implies(is("type", "document"), first("Composition"))},
	{"bdl-12", in("Bundle"), "a message must begin with a MessageHeader", implies(is("type", "message"), first("MessageHeader"))},
	{"bdl-5", in("Bundle.Entry"), "an entry must have a resource, a request or a response", has("resource", "request", "response")},
	{"bdl-8", in("Bundle.Entry"), "a fullUrl must not be specific to a version", when(versionlessURL)},
	{"inv-1", in("Parameters.Parameter"), "a parameter has a value, a resource or parts, one of them", one("part", "value", "resource")},
}

func lacks(name string) func(*node, uint32) bool {
	return func(n *node, item uint32) bool { return n.d.Child(item, name) == 0 }
}

// entries: each entry has the element in bundles of the types, no entry in others.
func entries(name string, types ...string) condition {
	has := func(n *node, item uint32) bool { return n.d.Child(item, name) != 0 }
	return or(and(is("type", types...), each("entry", has)), and(not(is("type", types...)), each("entry", lacks(name))))
}

func versionedURL(n *node, entry uint32) string {
	url := n.d.ChildText(entry, "fullUrl")
	if url == "" {
		return ""
	}
	if resource := n.d.Child(entry, "resource"); resource != 0 {
		if meta := n.d.Child(resource, "meta"); meta != 0 && n.d.Child(meta, "versionId") != 0 {
			url += " " + n.d.ChildText(meta, "versionId")
		}
	}
	return url
}

func first(typ string) condition {
	return when(func(n *node) bool {
		for entry := range n.items("entry") {
			resource := n.d.Child(entry, "resource")
			return resource != 0 && string(n.d.ResourceType(resource)) == typ
		}
		return false
	})
}

func fullIdentifier(n *node) bool {
	id := n.d.Child(n.at, "identifier")
	return id != 0 && n.d.Child(id, "system") != 0 && n.d.Child(id, "value") != 0
}
