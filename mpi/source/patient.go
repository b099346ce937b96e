// Package source reads the FHIR side of identity: a source Patient into
// comparison form, and several of them into a golden record. It is pure.
package source

import (
	"encoding/json"
	"strings"
	"time"

	"hutong/fhir"
	"hutong/mpi/link"
	"hutong/mpi/normal"
)

// Patient is the part of a FHIR R4 Patient that identity is read from. The
// raw elements go into the golden record as their hospital wrote them.
type Patient struct {
	ID                   string            `json:"id"`
	Active               *bool             `json:"active"`
	Identifier           []json.RawMessage `json:"identifier"`
	Name                 []json.RawMessage `json:"name"`
	Telecom              []json.RawMessage `json:"telecom"`
	Gender               string            `json:"gender"`
	BirthDate            string            `json:"birthDate"`
	DeceasedBoolean      *bool             `json:"deceasedBoolean"`
	DeceasedDateTime     string            `json:"deceasedDateTime"`
	Address              []json.RawMessage `json:"address"`
	MaritalStatus        json.RawMessage   `json:"maritalStatus"`
	MultipleBirthInteger int               `json:"multipleBirthInteger"`
	MultipleBirthBoolean bool              `json:"multipleBirthBoolean"`
	Linked               []struct {
		Other struct {
			Reference  string     `json:"reference"`
			Identifier identifier `json:"identifier"`
		} `json:"other"`
		Type string `json:"type"`
	} `json:"link"`
}

// Link is a Patient.link that the hospital itself states.
type Link struct {
	Other string `json:"o,omitempty"` // Patient id
	Token string `json:"k,omitempty"` // or an identifier of the other record, as normal.Identifier.Token
	Type  string `json:"t"`           // replaced-by, replaces, refer, seealso
}

// IsActive is Patient.active, which is true unless said otherwise.
func (p *Patient) IsActive() bool { return p.Active == nil || *p.Active }

// IsDead reports that the record says its person died.
func (p *Patient) IsDead() bool {
	return p.DeceasedBoolean != nil && *p.DeceasedBoolean || p.DeceasedDateTime != ""
}

// Life is what the record says of its person's life.
func (p *Patient) Life() link.Life {
	l := link.Life{Dead: p.IsDead(), Alive: p.DeceasedBoolean != nil && !*p.DeceasedBoolean}
	l.Died, _ = normal.ParseDate(p.DeceasedDateTime)
	return l
}

type identifier struct {
	Use    string `json:"use"`
	System string `json:"system"`
	Value  string `json:"value"`
	Type   struct {
		Coding []struct {
			Code string `json:"code"`
		} `json:"coding"`
	} `json:"type"`
	Period struct {
		End string `json:"end"`
	} `json:"period"`
	Assigner struct {
		Reference string `json:"reference"`
		Display   string `json:"display"`
	} `json:"assigner"`
}

type humanName struct {
	Use    string   `json:"use"`
	Text   string   `json:"text"`
	Family string   `json:"family"`
	Given  []string `json:"given"`
}

type contactPoint struct {
	System string `json:"system"`
	Value  string `json:"value"`
	Use    string `json:"use"`
}

type address struct {
	Use        string   `json:"use"`
	Text       string   `json:"text"`
	Line       []string `json:"line"`
	City       string   `json:"city"`
	District   string   `json:"district"`
	State      string   `json:"state"`
	PostalCode string   `json:"postalCode"`
}

// Read parses a Patient's JSON.
func Read(data []byte) (*Patient, error) {
	var p Patient
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, fhir.Errorf(fhir.Structure, "not a Patient that can be read").At("Patient")
	}
	return &p, nil
}

// maxValues bounds how many names, identifiers, phones and addresses each of a
// record are compared: pairs cost their product. The first ones count.
const maxValues = 50

// Record brings the demographics into comparison form.
func (p *Patient) Record(custodian string, now time.Time) *normal.Record {
	r := &normal.Record{
		Sex: normal.ParseSex(p.Gender), Order: min(max(p.MultipleBirthInteger, 0), 99),
		Multiple: p.MultipleBirthBoolean || p.MultipleBirthInteger > 0,
		Deceased: p.IsDead(),
	}
	r.Birth, _ = normal.ParseDate(p.BirthDate)
	each(head(p.Name), func(n humanName) {
		name := normal.NewName(n.Text, n.Family, strings.Join(n.Given, " "), n.Use)
		if name.Text != "" {
			r.Names = append(r.Names, name)
		}
	})
	each(head(p.Identifier), func(i identifier) {
		if id, ok := normal.NewIdentifier(i.raw(now), custodian, now); ok {
			r.IDs = append(r.IDs, id)
		}
	})
	each(head(p.Telecom), func(c contactPoint) {
		if v := normal.Phone(c.Value); v != "" && c.System != "email" && c.System != "url" && c.Use != "old" {
			r.Phones = append(r.Phones, v)
		}
	})
	each(head(p.Address), func(a address) {
		n := normal.NewAddress(a.State, a.City, a.District, a.PostalCode, strings.Join(a.Line, " "), a.Text)
		if !n.IsZero() {
			r.Addresses = append(r.Addresses, n)
		}
	})
	return r
}

func (i *identifier) raw(now time.Time) normal.RawIdentifier {
	raw := normal.RawIdentifier{System: i.System, Value: i.Value, Use: i.Use, Assigner: i.Assigner.Reference}
	if raw.Assigner == "" {
		raw.Assigner = i.Assigner.Display
	}
	raw.Assigner = strings.TrimPrefix(raw.Assigner, "Organization/")
	for _, c := range i.Type.Coding {
		if raw.TypeCode == "" {
			raw.TypeCode = c.Code
		}
	}
	if d, ok := normal.ParseDate(i.Period.End); ok && d.Full() {
		raw.Ended = time.Date(d.Year, time.Month(d.Month), d.Day+1, 0, 0, 0, 0, time.UTC).Before(now)
	}
	return raw
}

func head(raw []json.RawMessage) []json.RawMessage { return raw[:min(len(raw), maxValues)] }

// each decodes elements one by one; one that has another shape is left out of
// matching (the validator has judged it before).
func each[T any](raw []json.RawMessage, do func(T)) {
	for _, m := range raw {
		var v T
		if json.Unmarshal(m, &v) == nil {
			do(v)
		}
	}
}

// Links are the links to other Patients of this server: by their id, or by an
// identifier of theirs, as ITI-104 resolves duplicates.
func (p *Patient) Links(custodian string, now time.Time) []Link {
	var out []Link
	for _, l := range p.Linked {
		if k, ok := fhir.ParseKey(l.Other.Reference); ok && k.Type == "Patient" && k.ID != p.ID {
			out = append(out, Link{Other: k.ID, Type: l.Type})
			continue
		}
		if id, ok := normal.NewIdentifier(l.Other.Identifier.raw(now), custodian, now); ok && l.Other.Reference == "" {
			out = append(out, Link{Token: id.Token(), Type: l.Type})
		}
	}
	return out
}
