package source

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"hutong/fhir"
	"hutong/mpi/normal"
)

// Golden is a person's golden record: the best of what the members say.
type Golden struct {
	Person  fhir.Key
	JSON    []byte            // a FHIR Patient; id is the person's, link refers to the members
	Sources map[string]string // element -> Patient/... that it was taken from
	Members []Member
}

// Member is one source record of a person, for a list.
type Member struct {
	Patient      fhir.Key
	Organization string
	Name         string
	Gender       string
	BirthDate    string
	Active       bool
}

// Version is a member as its hospital last wrote it.
type Version struct {
	Key     fhir.Key
	Patient *Patient
	Owner   string // custodian
	Trust   int    // of the owner: higher wins
	Updated time.Time

	verified bool
}

// Compose makes the golden record of a person of the given id. It is a pure
// function of the members and the survivorship rules: an active record before
// an inactive one, then one whose citizen id is valid and agrees with its birth
// date and sex, then the more trusted source, then the newer. Each element
// comes whole from one member; identifiers are the union.
func Compose(person fhir.Key, members []Version, now time.Time) (*Golden, error) {
	members = slices.Clone(members)
	for i := range members {
		m := &members[i]
		rec := m.Patient.Record(m.Owner, now)
		m.verified = rec.CitizenID() != "" && len(rec.CrossCheck(now)) == 0
	}
	slices.SortFunc(members, func(a, b Version) int {
		return cmp.Or(flag(b.Patient.IsActive(), a.Patient.IsActive()), flag(b.verified, a.verified), cmp.Compare(b.Trust, a.Trust),
			b.Updated.Compare(a.Updated), cmp.Compare(a.Key.ID, b.Key.ID))
	})
	g := &Golden{Person: person, Sources: map[string]string{}}
	var err error
	g.JSON, err = json.Marshal(g.compose(members))
	return g, err
}

func flag(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// goldenPatient is the golden record's JSON in the order of the specification.
type goldenPatient struct {
	ResourceType     string            `json:"resourceType"`
	ID               string            `json:"id"`
	Active           bool              `json:"active"`
	Identifier       []json.RawMessage `json:"identifier,omitempty"`
	Name             []json.RawMessage `json:"name,omitempty"`
	Telecom          []json.RawMessage `json:"telecom,omitempty"`
	Gender           string            `json:"gender,omitempty"`
	BirthDate        string            `json:"birthDate,omitempty"`
	DeceasedBoolean  bool              `json:"deceasedBoolean,omitempty"`
	DeceasedDateTime string            `json:"deceasedDateTime,omitempty"`
	Address          []json.RawMessage `json:"address,omitempty"`
	MaritalStatus    json.RawMessage   `json:"maritalStatus,omitempty"`
	MultipleBirth    int               `json:"multipleBirthInteger,omitempty"`
	Link             []goldenLink      `json:"link"`
}

type goldenLink struct {
	Other struct {
		Reference string `json:"reference"`
	} `json:"other"`
	Type string `json:"type"`
}

func (g *Golden) compose(sources []Version) *goldenPatient {
	out := &goldenPatient{ResourceType: "Patient", ID: g.Person.ID, Active: true, Identifier: union(sources)}
	for i := range sources {
		s := &sources[i]
		p := s.Patient
		g.Members = append(g.Members, MemberOf(s))
		g.list(&out.Name, namesOf(p), "name", s)
		g.list(&out.Telecom, p.Telecom, "telecom", s)
		g.list(&out.Address, p.Address, "address", s)
		g.text(&out.Gender, p.Gender, "gender", s)
		g.text(&out.BirthDate, p.BirthDate, "birthDate", s)
		g.text(&out.DeceasedDateTime, p.DeceasedDateTime, "deceased", s)
		if p.IsDead() && p.DeceasedDateTime == "" && !out.DeceasedBoolean {
			out.DeceasedBoolean, g.Sources["deceased"] = true, s.Key.String()
		}
		if len(out.MaritalStatus) == 0 && len(p.MaritalStatus) > 0 {
			out.MaritalStatus, g.Sources["maritalStatus"] = p.MaritalStatus, s.Key.String()
		}
		if out.MultipleBirth == 0 && p.MultipleBirthInteger > 0 {
			out.MultipleBirth, g.Sources["multipleBirth"] = p.MultipleBirthInteger, s.Key.String()
		}
	}
	if out.DeceasedDateTime != "" {
		out.DeceasedBoolean = false // deceased[x] has one form
	}
	for i := range sources {
		l := goldenLink{Type: "refer"}
		l.Other.Reference = sources[i].Key.String()
		out.Link = append(out.Link, l)
	}
	return out
}

// namesOf leaves out names that stand for none (某某之子), unless there is nothing else.
func namesOf(p *Patient) []json.RawMessage {
	var proper []json.RawMessage
	each(p.Name, func(raw json.RawMessage) {
		var n humanName
		if json.Unmarshal(raw, &n) == nil && n.Use != "temp" {
			proper = append(proper, raw)
		}
	})
	return proper
}

func (g *Golden) list(dst *[]json.RawMessage, have []json.RawMessage, element string, s *Version) {
	if len(*dst) == 0 && len(have) > 0 {
		*dst, g.Sources[element] = have, s.Key.String()
	}
}

func (g *Golden) text(dst *string, have, element string, s *Version) {
	if *dst == "" && have != "" {
		*dst, g.Sources[element] = have, s.Key.String()
	}
}

// union gathers the members' identifiers, each system and value once.
func union(sources []Version) []json.RawMessage {
	var out []json.RawMessage
	seen := map[string]bool{}
	for i := range sources {
		each(sources[i].Patient.Identifier, func(raw json.RawMessage) {
			var id identifier
			if json.Unmarshal(raw, &id) != nil || id.Value == "" {
				return
			}
			k := id.System + "|" + normal.Code(id.Value)
			if !seen[k] {
				seen[k] = true
				out = append(out, bytes.Clone(raw))
			}
		})
	}
	return out
}

// MemberOf is the list form of a source record.
func MemberOf(s *Version) Member {
	m := Member{Patient: s.Key, Organization: s.Owner, Gender: s.Patient.Gender, BirthDate: s.Patient.BirthDate, Active: s.Patient.IsActive()}
	each(s.Patient.Name, func(n humanName) {
		if m.Name == "" {
			m.Name = n.display()
		}
	})
	return m
}

// display is a name as a person writes it: family first for han names.
func (n *humanName) display() string {
	switch {
	case n.Text != "":
		return n.Text
	case len(n.Given) == 0:
		return n.Family
	}
	given := n.Given[0]
	for _, r := range n.Family {
		if normal.IsHan(r) {
			return n.Family + given
		}
	}
	return given + " " + n.Family
}
