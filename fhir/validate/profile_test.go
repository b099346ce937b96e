package validate_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"hutong/fhir"
	"hutong/fhir/validate"
	"hutong/testdata/sharedata"
)

const labProfile = `{"resourceType":"StructureDefinition","url":"http://x.example/lab","name":"Lab","type":"Observation","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Observation","differential":{"element":[
	{"id":"Observation","path":"Observation","constraint":[{"key":"x-1","severity":"error","human":"a final result has a value","expression":"status = 'final' implies value.exists()"}]},
	{"id":"Observation.identifier","path":"Observation.identifier","slicing":{"discriminator":[{"type":"value","path":"system"}],"rules":"open"},"min":1},
	{"id":"Observation.identifier:order","path":"Observation.identifier","sliceName":"order","min":1,"max":"1"},
	{"id":"Observation.identifier:order.system","path":"Observation.identifier.system","min":1,"fixedUri":"http://x.example/order"},
	{"id":"Observation.identifier:order.value","path":"Observation.identifier.value","min":1},
	{"id":"Observation.category","path":"Observation.category","slicing":{"discriminator":[{"type":"pattern","path":"$this"}],"rules":"closed"},"min":1},
	{"id":"Observation.category:lab","path":"Observation.category","sliceName":"lab","min":1,"max":"1","patternCodeableConcept":{"coding":[{"system":"s","code":"lab"}]}},
	{"id":"Observation.code","path":"Observation.code","binding":{"strength":"required","valueSet":"http://x.example/codes|1.0"}},
	{"id":"Observation.subject","path":"Observation.subject","min":1,"type":[{"code":"Reference","targetProfile":["http://hl7.org/fhir/StructureDefinition/Patient"]}]},
	{"id":"Observation.value[x]","path":"Observation.value[x]","min":1,"type":[{"code":"Quantity"},{"code":"string"}],"constraint":[{"key":"x-2","severity":"warning","human":"a quantity has a UCUM unit","expression":"$this is Quantity implies code.exists()"}]},
	{"id":"Observation.note","path":"Observation.note","max":"0"},
	{"id":"Observation.extension:mark","path":"Observation.extension","sliceName":"mark","max":"1","type":[{"code":"Extension","profile":["http://x.example/mark"]}]},
	{"id":"Observation.valueQuantity.system","path":"Observation.valueQuantity.system","fixedUri":"http://unitsofmeasure.org"}]}}`

const markProfile = `{"resourceType":"StructureDefinition","url":"http://x.example/mark","name":"Mark","type":"Extension","context":[{"type":"element","expression":"Observation"},{"type":"element","expression":"Observation.value[x]"}],"differential":{"element":[
	{"id":"Extension","path":"Extension"},{"id":"Extension.extension","path":"Extension.extension","max":"0"},
	{"id":"Extension.url","path":"Extension.url","fixedUri":"http://x.example/mark"},
	{"id":"Extension.value[x]","path":"Extension.value[x]","min":1,"type":[{"code":"code"}],"fixedCode":"ok"}]}}`

const labObservation = `{"resourceType":"Observation","meta":{"profile":["http://x.example/lab|1.0"]},"extension":[{"url":"http://x.example/mark","valueCode":"ok"}],
	"identifier":[{"system":"http://x.example/order","value":"1"},{"value":"2"}],"status":"final","category":[{"coding":[{"code":"other"},{"system":"s","code":"lab","display":"Lab"}]}],
	"code":{"coding":[{"system":"c","code":"1"}]},"subject":{"reference":"Patient/1"},"valueQuantity":{"value":1,"system":"http://unitsofmeasure.org","code":"mg"}}`

func TestProfile(t *testing.T) {
	t.Parallel()
	v := newValidator(t, validate.Options{Profiles: [][]byte{[]byte(labProfile), []byte(markProfile)},
		ValueSets: map[string][]fhir.Coding{"http://x.example/codes": {{System: "c", Code: "1"}}}})
	bundled := `{"resourceType":"Bundle","type":"collection","entry":[{"resource":` + strings.Replace(labObservation, `"valueQuantity":{`, `"valueQuantity":{"extension":[{"url":"http://x.example/mark","valueCode":"ok"}],`, 1) + `}]}`
	for _, good := range []string{labObservation, bundled} {
		if issues := v.Resource(parse(t, []byte(good)), 0, ""); len(issues) != 0 {
			t.Fatalf("the good one: %+v", issues)
		}
	}
	for _, c := range []struct{ old, new, path, id string }{
		{`"system":"http://x.example/order",`, ``, "Observation.identifier", "profile-min"},
		{`{"value":"2"}`, `{"system":"http://x.example/order","value":"2"}`, "Observation.identifier", "profile-max"},
		{`,"value":"1"`, ``, "Observation.identifier[0].value", "profile-min"},
		{`"category":[`, `"category":[{"text":"t"},`, "Observation.category[0]", "profile-slice"},
		{`"code":"1"`, `"code":"2"`, "Observation.code", "profile-binding"},
		{`Patient/1`, `Group/1`, "Observation.subject", "profile-target"},
		{`"subject":{"reference":"Patient/1"},`, ``, "Observation.subject", "profile-min"},
		{`"valueQuantity":{"value":1,"system":"http://unitsofmeasure.org","code":"mg"}`, `"valueBoolean":true`, "Observation.value", "profile-type"},
		{`"system":"http://unitsofmeasure.org"`, `"system":"http://other"`, "Observation.value.system", "profile-fixed"},
		{`,"code":"mg"`, ``, "Observation.value", "x-2"},
		{`,"valueQuantity":{"value":1,"system":"http://unitsofmeasure.org","code":"mg"}`, `,"dataAbsentReason":{"text":"t"}`, "Observation", "x-1"},
		{`"status"`, `"note":[{"text":"n"}],"status"`, "Observation.note", "profile-max"},
		{`"valueCode":"ok"`, `"valueCode":"no"`, "Observation.extension[0].value", "profile-fixed"},
		{`"valueCode":"ok"`, `"valueString":"ok"`, "Observation.extension[0].value", "profile-type"},
		{`"extension":[`, `"extension":[{"url":"http://x.example/mark","valueCode":"ok"},`, "Observation.extension", "profile-max"},
		{`"code":{`, `"code":{"extension":[{"url":"http://x.example/mark","valueCode":"ok"}],`, "Observation.code.extension[0]", "profile-context"},
		{`http://x.example/lab|1.0`, `http://x.example/unknown`, "Observation.meta.profile[0]", "profile-unknown"},
		{`http://x.example/lab|1.0`, `http://x.example/mark`, "Observation.meta.profile[0]", "profile-type"},
	} {
		src := strings.Replace(labObservation, c.old, c.new, 1)
		if src == labObservation {
			t.Fatalf("%s does not occur", c.old)
		}
		found := false
		issues := v.Resource(parse(t, []byte(src)), 0, "")
		for _, is := range issues {
			found = found || is.Expression == c.path && is.MessageID == "validate."+c.id
		}
		if !found {
			t.Errorf("%s -> %s: %+v, want %s at %s", c.old, c.new, issues, c.id, c.path)
		}
	}
}

func TestProfileErrors(t *testing.T) {
	t.Parallel()
	for name, src := range map[string]string{
		"not JSON":        `{`,
		"no definition":   `{"resourceType":"Patient"}`,
		"unknown type":    `{"resourceType":"StructureDefinition","url":"u","type":"X"}`,
		"unknown element": `{"resourceType":"StructureDefinition","url":"u","type":"Patient","differential":{"element":[{"id":"Patient.x","path":"Patient.x"}]}}`,
		"bad constraint":  `{"resourceType":"StructureDefinition","url":"u","type":"Patient","differential":{"element":[{"id":"Patient","path":"Patient","constraint":[{"key":"k","expression":"a("}]}]}}`,
		"trace":           `{"resourceType":"StructureDefinition","url":"u","type":"Patient","differential":{"element":[{"id":"Patient","path":"Patient","constraint":[{"key":"k","expression":"name.trace('n').exists()"}]}]}}`,
		"own base":        `{"resourceType":"StructureDefinition","url":"u","type":"Patient","baseDefinition":"u"}`,
	} {
		if _, err := validate.New(validate.Options{Profiles: [][]byte{[]byte(src)}}); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// TestUSCore: profiles that nobody here wrote compile, but for the one whose
// constraint is published with a FHIRPath fault, and they are applied to the
// examples that claim them.
func TestUSCore(t *testing.T) {
	t.Parallel()
	var profiles [][]byte
	for line := range bytes.Lines(sharedata.Read(t, "us-core-3.1.0/StructureDefinition.ndjson")) {
		if _, err := validate.New(validate.Options{Profiles: [][]byte{line}}); err == nil {
			profiles = append(profiles, line)
		} else if !strings.Contains(err.Error(), "us-core-provenance") {
			t.Error(err)
		}
	}
	v := newValidator(t, validate.Options{Profiles: profiles})
	lacking := `{"resourceType":"Patient","meta":{"profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"]},"gender":"male",
		"extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","extension":[{"url":"ombCategory","valueCoding":{"code":"x"}}]}]}`
	var got []string
	for _, is := range v.Resource(parse(t, []byte(lacking)), 0, "") {
		got = append(got, is.Expression)
	}
	for _, path := range []string{"Patient.identifier", "Patient.name", "Patient.extension[0].extension"} {
		if !slices.Contains(got, path) {
			t.Errorf("no issue at %s, only at %v", path, got)
		}
	}
}
