package web_test

import (
	"encoding/json"
	"fmt"
	"time"
)

// The people and records of the browser tests. Nobody in them exists.

func coding(system, code, display string) obj {
	return obj{"system": system, "code": code, "display": display}
}

func ref(r string) obj { return obj{"reference": r} }

func of(org string) obj {
	return obj{"versionId": "1", "tag": []obj{{"system": "https://hutong.example/fhir/CodeSystem/custodian", "code": org}}}
}

const person = "Patient/person-1"

// withCast fills the stub with a resident, three hospitals and their records.
func (s *stub) withCast() *stub {
	s.me["resident"] = obj{"subject": "resident", "name": "陈静怡", "roles": []string{"resident"}, "patient": person}
	s.me["nobody"] = obj{"subject": "nobody", "name": "无", "roles": []string{"resident"}}
	s.add(
		organization("org-muni", "澄江市第一人民医院", "Chengjiang First People's Hospital"),
		organization("org-county", "云岭县人民医院", "Yunling County People's Hospital"),
		organization("org-clinic", "云岭县石桥镇卫生院", "Shiqiao Township Clinic, Yunling"),
		practitioner("prac-zhou", "周文", "Zhou Wen"), practitioner("prac-han", "韩立", "Han Li"),
		obj{"resourceType": "Patient", "id": "person-1", "meta": of("org-muni"), "gender": "female", "birthDate": "1972-05-16",
			"name":       []obj{{"text": "陈静怡", "family": "陈", "given": []string{"静怡"}}},
			"identifier": []obj{{"system": "urn:oid:2.16.156.10011.1.3", "value": "50023319720516002X"}}},
		obj{"resourceType": "AllergyIntolerance", "id": "al1", "meta": of("org-muni"), "criticality": "high", "code": obj{"text": "青霉素", "coding": []obj{coding("http://snomed.info/sct", "764146007", "Penicillin")}},
			"patient": ref(person), "recordedDate": "2019-03-02", "reaction": []obj{{"manifestation": []obj{{"text": "皮疹"}}}}},
	)
	s.addConditions()
	s.addVisits()
	s.addResults()
	s.addAccess()
	return s
}

func organization(id, name, alias string) obj {
	return obj{"resourceType": "Organization", "id": id, "name": name, "alias": []string{alias}}
}

func practitioner(id, name, pinyin string) obj {
	return obj{"resourceType": "Practitioner", "id": id, "name": []obj{{"text": name}, {"text": pinyin}}}
}

func (s *stub) addConditions() {
	for i, c := range []struct{ text, en, status, org string }{
		{"原发性高血压", "Essential hypertension", "active", "org-muni"},
		{"2型糖尿病", "Type 2 diabetes mellitus", "active", "org-county"},
		{"急性上呼吸道感染", "Acute upper respiratory infection", "resolved", "org-clinic"},
	} {
		s.add(obj{"resourceType": "Condition", "id": fmt.Sprint("co", i), "meta": of(c.org), "subject": ref(person), "encounter": ref("Encounter/en0"),
			"code":           obj{"text": c.text, "coding": []obj{coding("http://hl7.org/fhir/sid/icd-10", "I10", c.en)}},
			"clinicalStatus": obj{"coding": []obj{coding("http://terminology.hl7.org/CodeSystem/condition-clinical", c.status, "")}}, "onsetDateTime": "2018-06"})
	}
	s.add(obj{"resourceType": "MedicationRequest", "id": "me1", "meta": of("org-muni"), "status": "active", "intent": "order", "subject": ref(person), "encounter": ref("Encounter/en0"),
		"medicationCodeableConcept": obj{"text": "苯磺酸氨氯地平片 5mg", "coding": []obj{coding("", "C08CA01", "Amlodipine 5 mg")}}, "authoredOn": "2026-11-02T09:10:00+08:00",
		"dosageInstruction": []obj{{"text": "每日一次，每次一片，口服"}}})
}

// addVisits makes 45 visits, newest first: three pages of the timeline.
func (s *stub) addVisits() {
	orgs := []string{"org-muni", "org-county", "org-clinic"}
	day := time.Date(2026, 11, 19, 9, 0, 0, 0, time.UTC)
	for i := range 45 {
		class := "AMB"
		if i%9 == 4 {
			class = "IMP"
		}
		s.add(obj{"resourceType": "Encounter", "id": fmt.Sprint("en", i), "meta": of(orgs[i%3]), "status": "finished", "class": obj{"code": class},
			"subject": ref(person), "serviceProvider": ref("Organization/" + orgs[i%3]), "participant": []obj{{"individual": ref("Practitioner/prac-zhou")}},
			"period": obj{"start": day.Format(time.RFC3339), "end": day.Add(time.Hour).Format(time.RFC3339)}, "reasonCode": []obj{{"text": "高血压复诊", "coding": []obj{coding("", "I10", "Hypertension follow-up")}}}})
		day = day.AddDate(0, 0, -17)
	}
	s.add(obj{"resourceType": "DiagnosticReport", "id": "dr1", "meta": of("org-muni"), "status": "final", "encounter": ref("Encounter/en0"), "code": obj{"text": "生化全项"},
		"subject": ref(person), "effectiveDateTime": "2026-11-19T08:00:00+08:00", "conclusion": "血钾偏高，建议复查"})
}

// addResults makes potassium (two units), haemoglobin and a qualitative item.
func (s *stub) addResults() {
	lab := func(id, org, when, code, text, en string, more obj) {
		o := obj{"resourceType": "Observation", "id": id, "meta": of(org), "status": "final", "subject": ref(person), "effectiveDateTime": when,
			"category": []obj{{"coding": []obj{coding("http://terminology.hl7.org/CodeSystem/observation-category", "laboratory", "")}}},
			"code":     obj{"text": text, "coding": []obj{coding("http://loinc.org", code, en)}}}
		for k, v := range more {
			o[k] = v
		}
		s.add(o)
	}
	flag := func(code string) []obj {
		return []obj{{"coding": []obj{coding("http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", code, "")}}}
	}
	k := func(value, unit string) obj {
		return obj{"valueQuantity": obj{"value": exact(value), "unit": unit}, "referenceRange": []obj{{"low": obj{"value": exact("3.50")}, "high": obj{"value": exact("5.30")}}}}
	}
	with := func(o obj, key string, v any) obj { o[key] = v; return o }
	lab("k1", "org-muni", "2026-11-19T08:00:00+08:00", "2823-3", "钾", "Potassium", with(k("5.60", "mmol/L"), "interpretation", flag("H")))
	lab("h1", "org-county", "2026-10-07T08:00:00+08:00", "718-7", "血红蛋白", "Haemoglobin", obj{"valueQuantity": obj{"value": exact("131"), "unit": "g/L"}, "referenceRange": []obj{{"low": obj{"value": exact("115")}, "high": obj{"value": exact("150")}}}})
	lab("q1", "org-clinic", "2026-06-01T08:00:00+08:00", "5196-1", "乙肝病毒表面抗原", "HBsAg", obj{"valueCodeableConcept": obj{"text": "阴性"}, "interpretation": flag("NEG")})
	for i, v := range []string{"4.10", "4.90", "5.00", "4.40", "3.30", "4.00"} {
		when := time.Date(2026, time.Month(9-i), 3, 8, 0, 0, 0, time.UTC).Format(time.RFC3339)
		lab(fmt.Sprint("k", i+2), []string{"org-county", "org-clinic"}[i%2], when, "2823-3", "血清钾", "Potassium", k(v, "mmol/L"))
	}
	lab("kx", "org-clinic", "2025-12-03T08:00:00+08:00", "2823-3", "血清钾", "Potassium", k("16.4", "mg/dL"))
}

// addAccess makes 32 accesses, the second of them a break-glass, the third the
// exchange's own.
func (s *stub) addAccess() {
	for i := range 32 {
		e := obj{"resourceType": "AuditEvent", "id": fmt.Sprint("c-", i), "recorded": time.Date(2026, 11, 22, 1, 30, 0, 0, time.UTC).Add(-time.Duration(i) * 7 * time.Hour).Format(time.RFC3339),
			"type": coding("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest", "RESTful Operation"), "subtype": []obj{coding("http://hl7.org/fhir/restful-interaction", "search-type", "")}, "action": "E", "outcome": "0",
			"purposeOfEvent": []obj{{"coding": []obj{coding("http://terminology.hl7.org/CodeSystem/v3-ActReason", "TREAT", "")}}},
			"agent":          []obj{{"requestor": true, "who": ref("Practitioner/prac-zhou"), "name": "周文"}, {"requestor": false, "who": ref("Organization/org-clinic")}},
			"source":         obj{"observer": obj{"display": "hutong"}}, "entity": []obj{{"what": ref(person)}, {"what": ref("Observation/k1")}}}
		if i == 2 { // the exchange's own work, which the page leaves out at first
			e["agent"] = []obj{{"requestor": true, "altId": "system"}}
		}
		if i == 1 {
			e["agent"] = []obj{{"requestor": true, "who": ref("Practitioner/prac-han")}, {"requestor": false, "who": ref("Organization/org-muni")}}
			e["subtype"] = []obj{coding("https://hutong.example/fhir/CodeSystem/audit-action", "break-glass", "")}
			e["purposeOfEvent"] = []obj{{"coding": []obj{coding("http://terminology.hl7.org/CodeSystem/v3-ActReason", "BTG", "")}}}
		}
		s.add(e)
	}
	s.add(obj{"resourceType": "Consent", "id": "btg-1", "status": "active", "category": []obj{{"coding": []obj{coding("https://hutong.example/fhir/CodeSystem/consent-kind", "break-glass", "")}}},
		"extension": []obj{{"url": "https://hutong.example/fhir/StructureDefinition/break-glass-reason", "valueCodeableConcept": obj{"text": "患者昏迷，需了解用药与过敏史", "coding": []obj{coding("", "unconscious", "患者意识不清")}}}},
		"patient":   ref("Patient/person-1"), "provision": obj{"type": "permit", "period": obj{"start": "2026-11-21T18:30:01Z", "end": "2026-11-21T22:30:01Z"}, "actor": []obj{{"reference": ref("Practitioner/prac-han")}}}})
}

// exact is a JSON number with the digits that the sender wrote.
func exact(digits string) json.Number { return json.Number(digits) }
