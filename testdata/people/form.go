package people

import (
	"encoding/json"
	"strconv"

	"hutong/profiles"
)

// Patient is the record as a FHIR Patient without an id.
func (r *Record) Patient() []byte {
	name := map[string]any{"text": r.Name}
	if r.Temp {
		name["use"] = "temp"
	}
	p := map[string]any{"resourceType": "Patient", "active": true, "name": []any{name}}
	var ids []any
	add := func(system, value, code string) {
		if value == "" {
			return
		}
		id := map[string]any{"system": system, "value": value}
		if code != "" {
			id["type"] = map[string]any{"coding": []any{map[string]any{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": code}}}
		}
		ids = append(ids, id)
	}
	add(profiles.MRN(hospitals[r.Hospital%len(hospitals)]), r.MRN, "")
	add(profiles.CitizenID, r.Citizen, "")
	add(profiles.SocialCard, r.Card, "")
	add(profiles.NewbornTemp, r.Newborn, "")
	add("https://hutong.example/sid/passport", r.Permit, "PPN")
	p["identifier"] = ids
	set := func(k, v string) {
		if v != "" {
			p[k] = v
		}
	}
	set("gender", r.Gender)
	set("birthDate", r.Birth)
	if r.Phone != "" {
		p["telecom"] = []any{map[string]any{"system": "phone", "value": r.Phone}}
	}
	if r.Line != "" {
		a := map[string]any{"state": r.Province, "city": r.City, "district": r.District, "line": []any{r.Line}}
		if r.Postal != "" {
			a["postalCode"] = r.Postal
		}
		p["address"] = []any{a}
	}
	if r.Order > 0 {
		p["multipleBirthInteger"] = r.Order
	}
	b, err := json.Marshal(p)
	if err != nil {
		panic("people: maps of strings marshal: " + err.Error())
	}
	return b
}

// hospitals are the codes in the systems of record numbers.
var hospitals = []string{"12500000450400001A", "12500000450400002B", "12500000450400003C", "12500000450400004D", "12500000450400005E", "12500000450400006F", "12500000450400007G", "12500000450400008H"}

// Columns are those of Row.
var Columns = []string{"id", "person", "name", "gender", "birth", "citizen", "card", "permit", "phone", "province", "city", "district", "postal", "line"}

// Row is the record as cells of a table.
func (r *Record) Row() []string {
	return []string{"r" + r.MRN, strconv.Itoa(r.Person), r.Name, r.Gender, r.Birth, r.Citizen, r.Card, r.Permit, r.Phone, r.Province, r.City, r.District, r.Postal, r.Line}
}
