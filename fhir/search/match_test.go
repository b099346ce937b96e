package search_test

import (
	"testing"

	"hutong/fhir/search"
)

const patient = `{"resourceType":"Patient","id":"p1","active":true,
 "meta":{"profile":["http://example.org/p|1.0"],"tag":[{"system":"http://t","code":"x"}],"security":[{"system":"http://s","code":"R"}],"source":"urn:his:1"},
 "identifier":[{"system":"urn:oid:1","value":"11010519491231002X","type":{"coding":[{"system":"http://v2","code":"NI"}],"text":"citizen id"}},{"value":"nosys"}],
 "name":[{"text":"欧阳秀英","family":"欧阳","given":["秀英"]},{"family":"Müller-Lüdenscheidt","given":["Anna","Bérénice"],"prefix":["Dr."]}],
 "telecom":[{"system":"phone","value":"13800138000"},{"system":"email","value":"a@b.cn"}],
 "gender":"female","birthDate":"1949-12-31",
 "deceasedDateTime":"2020-05",
 "address":[{"line":["Main St 1"],"city":"Beijing","postalCode":"100000","text":"北京市朝阳区"}],
 "generalPractitioner":[{"reference":"Practitioner/d1"},{"reference":"https://hutong.example/fhir/Organization/o1"}],
 "managingOrganization":{"identifier":{"system":"http://orgs","value":"H1"}},
 "link":[{"other":{"reference":"Patient/p2/_history/3"},"type":"seealso"}]}`

const observation = `{"resourceType":"Observation","id":"o1","status":"final",
 "category":[{"coding":[{"system":"http://cat","code":"laboratory"}]}],
 "code":{"coding":[{"system":"http://loinc.org","code":"718-7","display":"Haemoglobin in Blood"},{"system":"http://local","code":"HGB"}],"text":"血红蛋白"},
 "subject":{"reference":"Patient/p1"},"performer":[{"reference":"Practitioner/d1"},{"reference":"http://other.example/fhir/Organization/9"}],
 "effectivePeriod":{"start":"2024-03-01T08:00:00+08:00","end":"2024-03-01T08:30:00+08:00"},
 "issued":"2024-03-01T10:00:00.123+08:00",
 "valueQuantity":{"value":5.4,"unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL"},
 "component":[
  {"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},"valueQuantity":{"value":120,"unit":"mmHg","code":"mm[Hg]","system":"http://unitsofmeasure.org"}},
  {"code":{"coding":[{"system":"http://loinc.org","code":"8462-4"}]},"valueQuantity":{"value":80,"comparator":"<","unit":"mmHg"}}]}`

func TestMatches(t *testing.T) {
	t.Parallel()
	k := newKit(search.Options{})
	for _, c := range []struct {
		resource, query string
		want            bool
	}{
		// string
		{patient, "name=ouyang", true}, {patient, "name=OuYangXiuYing", true}, {patient, "name=ouyang xiuying", true}, {patient, "name=oyxy", true},
		{patient, "name=xiuying", true}, {patient, "name=欧阳", true}, {patient, "name=秀英", true}, {patient, "name=阳", false},
		{patient, "name:contains=阳", true}, {patient, "name:exact=ouyang", false}, {patient, "name:exact=欧阳秀英", true},
		{patient, "family=ouyang", true}, {patient, "given=xiuying", true}, {patient, "family=xiuying", false},
		{patient, "name=muller", true}, {patient, "name=MÜLLER", true}, {patient, "family:exact=müller-lüdenscheidt", false},
		{patient, "given=berenice", true}, {patient, "given:exact=Bérénice", true}, {patient, "name:contains=denscheidt", true},
		{patient, "name=nobody,anna", true}, {patient, "name=anna&name=nobody", false}, {patient, "address=beijing", true}, {patient, "address-city=bei", true},
		{patient, "address=北京", true}, {patient, "address-postalcode=1000", true}, {patient, "phonetic=ouyang", true},
		// token
		{patient, "gender=female", true}, {patient, "gender=FEMALE", true}, {patient, "gender=http://hl7.org/fhir/administrative-gender|female", true},
		{patient, "gender=male,female", true}, {patient, "gender:not=male", true}, {patient, "gender:not=male,female", false},
		{patient, "identifier=11010519491231002x", true}, {patient, "identifier=urn:oid:1|11010519491231002X", true}, {patient, "identifier=urn:oid:2|11010519491231002X", false},
		{patient, "identifier=|nosys", true}, {patient, "identifier=|11010519491231002X", false}, {patient, "identifier=urn:oid:1|", true},
		{patient, "identifier:of-type=http://v2|NI|11010519491231002X", true}, {patient, "identifier:of-type=http://v2|MR|11010519491231002X", false},
		{patient, "identifier:text=citizen", true}, {patient, "active=true", true}, {patient, "active=false", false},
		{patient, "deceased=true", true}, {patient, "deceased=false", false}, {patient, "telecom=13800138000", true}, {patient, "phone=13800138000", true},
		{patient, "email=13800138000", false}, {patient, "email=a@b.cn", true}, {patient, "language:missing=true", true}, {patient, "language:missing=false", false},
		{patient, "gender:missing=true", false}, {patient, "_tag=http://t|x", true}, {patient, "_security=R", true}, {patient, "_security:not=R", false},
		{observation, "code=718-7", true}, {observation, "code=http://loinc.org|718-7", true}, {observation, "code=http://local|718-7", false},
		{observation, "code:text=haemo", true}, {observation, "code:text=血红", true}, {observation, "code=http://loinc.org|", true},
		{observation, "combo-code=8480-6", true}, {observation, "component-code=718-7", false},
		// uri
		{patient, "_profile=http://example.org/p", true}, {patient, "_profile=http://example.org/p|1.0", true}, {patient, "_profile=http://example.org/p|2.0", false},
		{patient, "_profile:below=http://example.org/", true}, {patient, "_profile:above=http://example.org/p/longer", true}, {patient, "_profile=http://example.org/", false},
		{patient, "_source=urn:his:1", true},
		// reference
		{patient, "general-practitioner=d1", true}, {patient, "general-practitioner=Practitioner/d1", true}, {patient, "general-practitioner:Organization=d1", false},
		{patient, "general-practitioner=Organization/o1", true}, {patient, "general-practitioner=" + base + "/Organization/o1", true},
		{patient, "organization:identifier=http://orgs|H1", true}, {patient, "organization:identifier=H1", true}, {patient, "organization:identifier=http://x|H1", false},
		{patient, "organization:missing=false", true}, {patient, "link=p2", true}, {patient, "link=Patient/p2/_history/3", true}, {patient, "link=Patient/p2/_history/4", false},
		{observation, "subject=Patient/p1", true}, {observation, "patient=p1", true}, {observation, "subject:Patient=p1", true}, {observation, "subject:Group=p1", false},
		{observation, "performer=http://other.example/fhir/Organization/9", true}, {observation, "performer=Organization/9", false},
		// date
		{patient, "birthdate=1949", true}, {patient, "birthdate=1949-12", true}, {patient, "birthdate=1949-12-31", true}, {patient, "birthdate=1949-12-30", false},
		{patient, "birthdate=gt1949", false}, {patient, "birthdate=ge1949", true}, {patient, "birthdate=lt1950", true}, {patient, "birthdate=eb1950", true},
		{patient, "birthdate=sa1949-12-30", true}, {patient, "birthdate=ne1950", true}, {patient, "birthdate=ne1949", false},
		{patient, "death-date=2020", true}, {patient, "death-date=2020-05-10", false}, {patient, "death-date=le2020-05-10", true}, {patient, "death-date=gt2020-05-10", true},
		{observation, "date=2024-03-01", true}, {observation, "date=2024-03-01T08:00:00+08:00", false}, {observation, "date=ap2024-03-01T08:10:00%2B08:00", true},
		{observation, "date=ge2024-03-01T08:15:00+08:00", true}, {observation, "date=sa2024-03-01T08:15:00+08:00", false}, {observation, "date=lt2024-03-01T08:15:00%2B08:00", true},
		// quantity and composite
		{observation, "value-quantity=5.4", true}, {observation, "value-quantity=5.40", true}, {observation, "value-quantity=5", true}, {observation, "value-quantity=5.3", false},
		{observation, "value-quantity=gt5.3", true}, {observation, "value-quantity=gt5.4", false}, {observation, "value-quantity=le5.4", true},
		{observation, "value-quantity=5.4|http://unitsofmeasure.org|mg/dL", true}, {observation, "value-quantity=5.4||mg/dL", true}, {observation, "value-quantity=5.4||g/L", false},
		{observation, "value-quantity=ap5", true}, {observation, "value-quantity=ap4", false}, {observation, "value-quantity=ne5.4", false},
		{observation, "component-value-quantity=lt60", true}, {observation, "component-value-quantity=gt200", false},
		{observation, "component-code-value-quantity=http://loinc.org|8480-6$ge100", true}, {observation, "component-code-value-quantity=8480-6$lt100", false},
		{observation, "component-code-value-quantity=8462-4$120", false}, {observation, "combo-code-value-quantity=718-7$5.4", true}, {observation, "code-value-quantity=718-7$gt5", true},
	} {
		if got := k.matches(t, c.resource, c.query); got != c.want {
			t.Errorf("%s: %v, want %v", c.query, got, c.want)
		}
	}
}
