package mpi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
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

// source is a member as read now.
type source struct {
	key      fhir.Key
	p        *patient
	verified bool // carries a valid citizen id that agrees with its own fields
	active   bool
	trust    int
	updated  time.Time
	owner    string
}

// Golden makes the golden record of the person that k names or belongs to. It
// is a pure function of the members and the survivorship rules: an active
// record before an inactive one, then one whose citizen id is valid and agrees
// with its birth date and sex, then the more trusted source, then the newer.
// Each element comes whole from one member; identifiers are the union.
func (x *Index) Golden(ctx context.Context, k fhir.Key) (*Golden, error) {
	p, err := x.personFor(ctx, k)
	if err != nil {
		return nil, err
	}
	if p == nil || len(p.Members) == 0 {
		return nil, fhir.Errorf(fhir.NotFound, "the index knows no such person")
	}
	sources, err := x.sources(ctx, p.Members)
	if err != nil {
		return nil, err
	}
	g := &Golden{Person: keyOf(p.ID), Sources: map[string]string{}}
	g.JSON, err = json.Marshal(g.compose(sources, p.Members))
	return g, err
}

func (x *Index) sources(ctx context.Context, members []string) ([]source, error) {
	var out []source
	for _, id := range members {
		res, err := x.read(ctx, keyOf(id))
		if errors.Is(err, fhir.E(fhir.Gone)) || errors.Is(err, fhir.E(fhir.NotFound)) {
			continue // deleted a moment ago: its feed is on the way
		}
		if err != nil {
			return nil, err
		}
		p, err := readPatient(res.Body.Raw)
		if err != nil {
			return nil, err
		}
		rec := p.record(res.Facts.Custodian, x.now())
		out = append(out, source{
			key: keyOf(id), p: p, active: p.Active == nil || *p.Active,
			verified: rec.CitizenID() != "" && len(rec.CrossCheck(x.now())) == 0,
			trust:    x.trust(res.Facts.Custodian), updated: res.LastUpdated, owner: res.Facts.Custodian,
		})
	}
	slices.SortFunc(out, func(a, b source) int {
		return cmp.Or(flag(b.active, a.active), flag(b.verified, a.verified), cmp.Compare(b.trust, a.trust),
			b.updated.Compare(a.updated), cmp.Compare(a.key.ID, b.key.ID))
	})
	return out, nil
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

func (g *Golden) compose(sources []source, members []string) *goldenPatient {
	out := &goldenPatient{ResourceType: "Patient", ID: g.Person.ID, Active: true, Identifier: union(sources)}
	for i := range sources {
		s := &sources[i]
		p := s.p
		g.Members = append(g.Members, s.member())
		g.list(&out.Name, namesOf(p), "name", s)
		g.list(&out.Telecom, p.Telecom, "telecom", s)
		g.list(&out.Address, p.Address, "address", s)
		g.text(&out.Gender, p.Gender, "gender", s)
		g.text(&out.BirthDate, p.BirthDate, "birthDate", s)
		g.text(&out.DeceasedDateTime, p.DeceasedDateTime, "deceased", s)
		if p.DeceasedBoolean && !out.DeceasedBoolean {
			out.DeceasedBoolean, g.Sources["deceased"] = true, s.key.String()
		}
		if len(out.MaritalStatus) == 0 && len(p.MaritalStatus) > 0 {
			out.MaritalStatus, g.Sources["maritalStatus"] = p.MaritalStatus, s.key.String()
		}
		if out.MultipleBirth == 0 && p.MultipleBirthInteger > 0 {
			out.MultipleBirth, g.Sources["multipleBirth"] = p.MultipleBirthInteger, s.key.String()
		}
	}
	if out.DeceasedDateTime != "" {
		out.DeceasedBoolean = false // deceased[x] has one form
	}
	for _, m := range refs(members) {
		l := goldenLink{Type: "refer"}
		l.Other.Reference = m
		out.Link = append(out.Link, l)
	}
	return out
}

// namesOf leaves out names that stand for none (某某之子), unless there is nothing else.
func namesOf(p *patient) []json.RawMessage {
	var proper []json.RawMessage
	each(p.Name, func(raw json.RawMessage) {
		var n humanName
		if json.Unmarshal(raw, &n) == nil && n.Use != "temp" {
			proper = append(proper, raw)
		}
	})
	return proper
}

func (g *Golden) list(dst *[]json.RawMessage, have []json.RawMessage, element string, s *source) {
	if len(*dst) == 0 && len(have) > 0 {
		*dst, g.Sources[element] = have, s.key.String()
	}
}

func (g *Golden) text(dst *string, have, element string, s *source) {
	if *dst == "" && have != "" {
		*dst, g.Sources[element] = have, s.key.String()
	}
}

// union gathers the members' identifiers, each system and value once.
func union(sources []source) []json.RawMessage {
	var out []json.RawMessage
	seen := map[string]bool{}
	for i := range sources {
		each(sources[i].p.Identifier, func(raw json.RawMessage) {
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

func (s *source) member() Member {
	m := Member{Patient: s.key, Organization: s.owner, Gender: s.p.Gender, BirthDate: s.p.BirthDate, Active: s.active}
	each(s.p.Name, func(n humanName) {
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
