package validate

import (
	"slices"
	"strings"

	"hutong/fhir/codec"
)

// questionnaires: R4 questionnaire.html and questionnaireresponse.html.
var questionnaires = []invariant{
	{"que-1", in("Questionnaire.Item"), "a group must have items, a display must have none", and(implies(is("type", "group"), has("item")), implies(is("type", "display"), not(has("item"))))},
	{"que-2", in("Questionnaire"), "a linkId must be unique within the questionnaire", when(uniqueLinkIDs)},
	{"que-3", in("Questionnaire.Item"), "a display has no code", implies(has("code"), not(display))},
	{"que-4", in("Questionnaire.Item"), "either answerOption or answerValueSet, not both", atMostOne("answerOption", "answerValueSet")},
	{"que-5", in("Questionnaire.Item"), "only some types of items have options to choose from", implies(has("answerValueSet", "answerOption"), is("type", "choice", "open-choice", "decimal", "integer", "date", "dateTime", "time", "string", "quantity"))},
	{"que-6", in("Questionnaire.Item"), "a display is neither required nor repeats", implies(display, not(has("required", "repeats")))},
	{"que-7", in("Questionnaire.Item.EnableWhen"), "the operator exists needs a boolean answer", implies(is("operator", "exists"), when(func(n *node) bool { return n.d.Child(n.at, "answerBoolean") != 0 }))},
	{"que-8", in("Questionnaire.Item"), "a group or display has no initial value", implies(has("initial"), not(is("type", "group", "display")))},
	{"que-9", in("Questionnaire.Item"), "a display has no readOnly", implies(has("readOnly"), not(display))},
	{"que-10", in("Questionnaire.Item"), "only simple items have a maxLength", implies(has("maxLength"), is("type", "boolean", "decimal", "integer", "string", "text", "url", "open-choice"))},
	{"que-11", in("Questionnaire.Item"), "an item with options marks the initial one among them", atMostOne("answerOption", "initial")},
	{"que-12", in("Questionnaire.Item"), "more than two conditions need an enableBehavior", implies(more("enableWhen", 2), has("enableBehavior"))},
	{"que-13", in("Questionnaire.Item"), "only a repeating item has several initial values", or(isTrue("repeats"), not(more("initial", 1)))},
	{"qrs-1", in("QuestionnaireResponse.Item"), "an item has answers or items, not both", atMostOne("answer", "item")},
}

var display = is("type", "display")

func uniqueLinkIDs(n *node) bool {
	seen := map[string]bool{}
	for i := n.at; i < n.d.Nodes[n.at].Next; i++ {
		if string(n.d.Key(i)) != "linkId" || !n.d.Nodes[i].Kind.IsString() {
			continue
		}
		id := n.d.Text(i)
		if seen[id] {
			return false
		}
		seen[id] = true
	}
	return true
}

// definitions: the invariants of conformance and terminology resources that
// need no more than the presence and codes of elements.
var definitions = []invariant{
	{"cpb-1", in("CapabilityStatement"), "rest, messaging or document must be given", has("rest", "messaging", "document")},
	{"cpb-2", in("CapabilityStatement"), "a description, software or implementation must be given", has("description", "software", "implementation")},
	{"cpb-14", in("CapabilityStatement"), "an instance must have an implementation", implies(instance, has("implementation"))},
	{"cpb-15", in("CapabilityStatement"), "a capability must have software and no implementation", implies(is("kind", "capability"), and(has("software"), not(has("implementation"))))},
	{"cpb-16", in("CapabilityStatement"), "requirements have neither software nor implementation", implies(is("kind", "requirements"), not(has("software", "implementation")))},
	{"cpb-9", in("CapabilityStatement.Rest"), "a resource type must stand once", distinct("resource", keyOf("type"))},
	{"cpb-12", in("CapabilityStatement.Rest.Resource"), "a search parameter must stand once", distinct("searchParam", keyOf("name"))},
	{"cmd-1", in("ConceptMap.Group.SourceElement.TargetElement"), "a narrower or inexact map needs a comment", implies(is("equivalence", "narrower", "inexact"), has("comment"))},
	{"cmd-2", in("ConceptMap.Group.Unmapped"), "the mode fixed needs a code", implies(is("mode", "fixed"), has("code"))},
	{"cmd-3", in("ConceptMap.Group.Unmapped"), "the mode other-map needs a url", implies(is("mode", "other-map"), has("url"))},
	{"eld-6", in("ElementDefinition"), "a fixed value stands only with one type", implies(has("fixed"), not(more("type", 1)))},
	{"eld-7", in("ElementDefinition"), "a pattern stands only with one type", implies(has("pattern"), not(more("type", 1)))},
	{"eld-8", in("ElementDefinition"), "either a pattern or a fixed value, not both", atMostOne("pattern", "fixed")},
	{"eld-13", in("ElementDefinition"), "a type must stand once", distinct("type", keyOf("code"))},
	{"eld-14", in("ElementDefinition"), "a constraint must have a key of its own", distinct("constraint", keyOf("key"))},
	{"eld-15", in("ElementDefinition"), "either a defaultValue or a meaningWhenMissing, not both", atMostOne("defaultValue", "meaningWhenMissing")},
	{"eld-18", in("ElementDefinition"), "a modifier needs its reason", implies(isTrue("isModifier"), has("isModifierReason"))},
	{"eld-22", in("ElementDefinition"), "sliceIsConstraining needs a sliceName", needs("sliceIsConstraining", "sliceName")},
	{"eld-1", in("ElementDefinition.Slicing"), "a discriminator or a description must be given", has("discriminator", "description")},
	{"mrp-1", in("MeasureReport"), "a data collection has no groups", implies(is("type", "data-collection"), not(has("group")))},
	{"opd-1", in("OperationDefinition.Parameter"), "a type or parts must be given", has("type", "part")},
	{"opd-2", in("OperationDefinition.Parameter"), "only a string has a searchType", implies(has("searchType"), is("type", "string"))},
	{"opd-3", in("OperationDefinition.Parameter"), "only a reference or canonical has a targetProfile", implies(has("targetProfile"), is("type", "Reference", "canonical"))},
	{"spd-1", in("SearchParameter"), "an xpath needs its usage", needs("xpath", "xpathUsage")},
	{"spd-2", in("SearchParameter"), "only a reference has chains", implies(has("chain"), is("type", "reference"))},
	{"sdf-4", in("StructureDefinition"), "only an abstract type has no base", or(isTrue("abstract"), has("baseDefinition"))},
	{"sdf-5", in("StructureDefinition"), "an extension must have a context", or(not(is("type", "Extension")), or(is("derivation", "specialization"), has("context")))},
	{"sdf-6", in("StructureDefinition"), "a snapshot or a differential must be given", has("snapshot", "differential")},
	{"sdf-18", in("StructureDefinition"), "only an extension has a contextInvariant", implies(has("contextInvariant"), is("type", "Extension"))},
	{"sdf-2", in("StructureDefinition.Mapping"), "a name or a uri must be given", has("name", "uri")},
	{"smp-1", in("StructureMap.Group.Rule.Target"), "an element needs its context", needs("element", "context")},
	{"smp-2", in("StructureMap.Group.Rule.Target"), "a context needs its type", needs("context", "contextType")},
	{"tcp-2", in("TerminologyCapabilities"), "a description, software or implementation must be given", has("description", "software", "implementation")},
	{"tcp-3", in("TerminologyCapabilities"), "an instance must have an implementation", implies(instance, has("implementation"))},
	{"tcp-4", in("TerminologyCapabilities"), "a capability must have software and no implementation", implies(is("kind", "capability"), and(has("software"), not(has("implementation"))))},
	{"tcp-5", in("TerminologyCapabilities"), "requirements have neither software nor implementation", implies(is("kind", "requirements"), not(has("software", "implementation")))},
	{"tst-1", in("TestScript.Setup.SetupAction"), "either an operation or an assert, not both", one("operation", "assert")},
	{"tst-2", in("TestScript.Test.TestAction"), "either an operation or an assert, not both", one("operation", "assert")},
	{"tst-3", in("TestScript.Variable"), "only one of expression, headerField and path", or(not(has("expression")), or(not(has("headerField")), not(has("path"))))},
	{"vsd-1", in("ValueSet.Compose.ConceptSet"), "a system or a value set must be given", has("valueSet", "system")},
	{"vsd-2", in("ValueSet.Compose.ConceptSet"), "concepts and filters need a system", implies(has("concept", "filter"), has("system"))},
	{"vsd-3", in("ValueSet.Compose.ConceptSet"), "either concepts or filters, not both", atMostOne("concept", "filter")},
	{"vsd-6", in("ValueSet.Expansion.Contains"), "a code or a display must be given", has("code", "display")},
	{"vsd-9", in("ValueSet.Expansion.Contains"), "only an abstract entry has no code", or(has("code"), isTrue("abstract"))},
	{"vsd-10", in("ValueSet.Expansion.Contains"), "a code needs its system", needs("code", "system")},
	{"csd-1", in("CodeSystem"), "a code must be unique within the code system", when(uniqueConcepts)},
}

// artefacts: the definitional invariants that look into lists and texts.
// Those on the elements of a StructureDefinition are published on the
// StructureDefinition; here they stand on its snapshot and differential.
var artefacts = []invariant{
	{"cpb-3", in("CapabilityStatement"), "only an instance has messaging endpoints", or(instance, each("messaging", lacks("endpoint")))},
	{"cpb-7", in("CapabilityStatement"), "a document profile and mode must stand once", distinct("document", func(n *node, item uint32) string {
		return n.d.ChildText(item, "profile") + " " + n.d.ChildText(item, "mode")
	})},
	{"eld-2", in("ElementDefinition"), "min must not exceed max", when(func(n *node) bool {
		return n.text("max") == "*" || compareDecimals(n.raw("min"), []byte(n.text("max"))) <= 0
	})},
	{"eld-3", in("ElementDefinition"), "max is a number or *", or(not(has("max")), when(func(n *node) bool { return n.text("max") == "*" || isDigits([]byte(n.text("max"))) }))},
	{"eld-4", in("ElementDefinition.TypeRef"), "only a reference or canonical has an aggregation", implies(has("aggregation"), is("code", "Reference", "canonical"))},
	{"eld-5", in("ElementDefinition"), "an element with a contentReference has no rules on a value", implies(has("contentReference"), not(has("type", "defaultValue", "fixed", "pattern", "example", "minValue", "maxValue", "maxLength", "binding")))},
	{"eld-12", in("ElementDefinition.ElementDefinitionBinding"), "a value set is named by http, https or urn", or(not(has("valueSet")), prefixed("valueSet", "http:", "https", "urn:"))},
	{"eld-17", in("ElementDefinition.TypeRef"), "only a reference or canonical has a targetProfile", implies(has("targetProfile"), is("code", "Reference", "canonical"))},
	{"mea-1", in("Measure.Group.Stratifier"), "either a code, description or criteria, or components", and(has("code", "description", "criteria", "component"), not(and(has("code", "description", "criteria"), has("component"))))},
	{"mrp-2", in("MeasureReport.Group.Stratifier.StratifierGroup"), "either a value or components, not both", one("value", "component")},
	{"md-1", in("MessageDefinition.Focus"), "max is * or more than 0", when(func(n *node) bool {
		return n.text("max") == "*" || compareDecimals([]byte(n.text("max")), []byte("0")) > 0
	})},
	{"nsd-1", in("NamingSystem"), "a root has no uuids", or(not(is("kind", "root")), each("uniqueId", func(n *node, item uint32) bool { return n.d.ChildText(item, "type") != "uuid" }))},
	{"sdf-3", in("StructureDefinition.Snapshot"), "an element must have definition, min and max", each("element", func(n *node, item uint32) bool {
		return n.d.Child(item, "definition") != 0 && n.d.Child(item, "min") != 0 && n.d.Child(item, "max") != 0
	})},
	{"sdf-8b", in("StructureDefinition.Snapshot"), "an element must have a base", each("element", func(n *node, item uint32) bool { return n.d.Child(item, "base") != 0 })},
	{"sdf-14", in("StructureDefinition.Snapshot", "StructureDefinition.Differential"), "an element must have an id", each("element", func(n *node, item uint32) bool { return n.d.Child(item, "id") != 0 })},
	{"sdf-16", in("StructureDefinition.Snapshot"), "the id of an element must be unique", distinct("element", keyOf("id"))},
	{"sdf-17", in("StructureDefinition.Differential"), "the id of an element must be unique", distinct("element", keyOf("id"))},
	{"sdf-20", in("StructureDefinition.Differential"), "the root has no slicing", each("element", rootLacks("slicing"))},
	{"sdf-23", in("StructureDefinition.Snapshot", "StructureDefinition.Differential"), "the root has no sliceName", each("element", rootLacks("sliceName"))},
	{"tcp-1", in("TerminologyCapabilities.CodeSystem"), "of several versions each must have a code", or(not(more("version", 1)), each("version", func(n *node, item uint32) bool { return n.d.Child(item, "code") != 0 }))},
	{"inv-2", in("TestReport.Test.TestAction"), "either an operation or an assert, not both", one("operation", "assert")},
	{"tst-4", in("TestScript.Metadata"), "a capability must be required or validated", not(each("capability", func(n *node, item uint32) bool {
		return n.d.Child(item, "required") == 0 && n.d.Child(item, "validated") == 0
	}))},
	{"tst-5", in("TestScript.Setup.SetupAction.Assert"), "an assert tests one thing", or(has("extension"), atMostOne("contentType", "expression", "headerField", "minimumId", "navigationLinks", "path", "requestMethod", "resource", "responseCode", "response", "validateProfileId"))},
	{"tst-10", in("TestScript.Setup.SetupAction.Assert"), "compareToSourceId stands with an expression or path", or(and(has("compareToSourceId"), has("compareToSourceExpression", "compareToSourcePath")), not(has("compareToSourceId", "compareToSourceExpression", "compareToSourcePath")))},
	{"tst-12", in("TestScript.Setup.SetupAction.Assert"), "a request has no response to assert", or(not(is("direction", "request")), not(has("response", "responseCode")))},
}

// prefixed: the string element begins with one of the prefixes.
func prefixed(name string, prefixes ...string) condition {
	return when(func(n *node) bool {
		text := n.text(name)
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(text, p) })
	})
}

// rootLacks passes elements of a definition that are not the root or lack the
// member.
func rootLacks(name string) func(*node, uint32) bool {
	return func(n *node, item uint32) bool {
		return strings.Contains(n.d.ChildText(item, "path"), ".") || n.d.Child(item, name) == 0
	}
}

var instance = is("kind", "instance")

// keyOf gives a string member as the key of distinct.
func keyOf(name string) func(*node, uint32) string {
	return func(n *node, item uint32) string { return n.d.ChildText(item, name) }
}

// uniqueConcepts is csd-1 over the whole hierarchy of concepts.
func uniqueConcepts(n *node) bool {
	seen := map[string]bool{}
	var walk func(at uint32) bool
	walk = func(at uint32) bool {
		list := n.d.Child(at, "concept")
		if list == 0 || n.d.Nodes[list].Kind != codec.Array {
			return true
		}
		for c := range n.d.Children(list) {
			code := n.d.ChildText(c, "code")
			if seen[code] && code != "" {
				return false
			}
			seen[code] = true
			if !walk(c) {
				return false
			}
		}
		return true
	}
	return walk(n.at)
}
