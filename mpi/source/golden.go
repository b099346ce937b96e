package source

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"hutong/fhir"
	"hutong/mpi/normal"
	"hutong/mpi/policy"
)

// Golden is a person's golden record: the best of what the members say.
type Golden struct {
	Person  fhir.Key
	JSON    []byte            // a FHIR Patient; id is the person's, link refers to the members
	Sources map[string]string // element, or identifier[n] -> Patient/... that it was taken from
	Members []Member
	Policy  string // version of the rules that chose
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
// function of the members and the survivorship rules of the policy: each element
// comes whole from the member that ranks first by that element's criteria among
// those that have it; identifiers are the union, in the default order.
func Compose(person fhir.Key, members []Version, rules *policy.Policy, now time.Time) (*Golden, error) {
	members = slices.Clone(members)
	for i := range members {
		m := &members[i]
		rec := m.Patient.Record(m.Owner, now)
		m.verified = rec.CitizenID() != "" && len(rec.CrossCheck(now)) == 0
	}
	g := &Golden{Person: person, Sources: map[string]string{}, Policy: rules.Version}
	var err error
	g.JSON, err = json.Marshal(g.compose(members, rules))
	return g, err
}

// ranked sorts members by criteria; what they leave open the newer decides,
// and then the id.
func ranked(members []Version, criteria []policy.Criterion) []*Version {
	out := make([]*Version, len(members))
	for i := range members {
		out[i] = &members[i]
	}
	slices.SortFunc(out, func(a, b *Version) int {
		for _, c := range criteria {
			if o := order(a, b, c); o != 0 {
				return o
			}
		}
		return cmp.Or(b.Updated.Compare(a.Updated), cmp.Compare(a.Key.ID, b.Key.ID))
	})
	return out
}

// order is negative if a goes before b by the criterion.
func order(a, b *Version, c policy.Criterion) int {
	switch c {
	case policy.Active:
		return flag(b.Patient.IsActive(), a.Patient.IsActive())
	case policy.Verified:
		return flag(b.verified, a.verified)
	case policy.Trust:
		return cmp.Compare(b.Trust, a.Trust)
	case policy.Recency:
		return b.Updated.Compare(a.Updated)
	}
	return 0
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

func (g *Golden) compose(members []Version, rules *policy.Policy) *goldenPatient {
	sources := ranked(members, rules.Criteria("default"))
	out := &goldenPatient{ResourceType: "Patient", ID: g.Person.ID, Active: true}
	out.Identifier = g.union(sources)
	first(g, members, rules, "name", &out.Name, func(p *Patient) ([]json.RawMessage, bool) { n := namesOf(p); return n, len(n) > 0 })
	first(g, members, rules, "telecom", &out.Telecom, func(p *Patient) ([]json.RawMessage, bool) { return p.Telecom, len(p.Telecom) > 0 })
	first(g, members, rules, "address", &out.Address, func(p *Patient) ([]json.RawMessage, bool) { return p.Address, len(p.Address) > 0 })
	first(g, members, rules, "gender", &out.Gender, func(p *Patient) (string, bool) { return p.Gender, p.Gender != "" })
	first(g, members, rules, "birthDate", &out.BirthDate, func(p *Patient) (string, bool) { return p.BirthDate, p.BirthDate != "" })
	first(g, members, rules, "maritalStatus", &out.MaritalStatus, func(p *Patient) (json.RawMessage, bool) { return p.MaritalStatus, len(p.MaritalStatus) > 0 })
	first(g, members, rules, "multipleBirth", &out.MultipleBirth, func(p *Patient) (int, bool) { return p.MultipleBirthInteger, p.MultipleBirthInteger > 0 })
	// Who knows the day of a death knows more than who only knows of it.
	if first(g, members, rules, "deceased", &out.DeceasedDateTime, func(p *Patient) (string, bool) { return p.DeceasedDateTime, p.DeceasedDateTime != "" }); out.DeceasedDateTime == "" {
		first(g, members, rules, "deceased", &out.DeceasedBoolean, func(p *Patient) (bool, bool) { return true, p.IsDead() })
	}
	for _, s := range sources {
		g.Members = append(g.Members, MemberOf(s))
		l := goldenLink{Type: "refer"}
		l.Other.Reference = s.Key.String()
		out.Link = append(out.Link, l)
	}
	return out
}

// first takes an element from the member that ranks first among those that
// have it, and notes which one that was.
func first[T any](g *Golden, members []Version, rules *policy.Policy, element string, dst *T, have func(*Patient) (T, bool)) {
	for _, m := range ranked(members, rules.Criteria(element)) {
		if v, ok := have(m.Patient); ok {
			*dst, g.Sources[element] = v, m.Key.String()
			return
		}
	}
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

// union gathers the members' identifiers, each system and value once, and notes
// under identifier[0], identifier[1] ... where each was taken from.
func (g *Golden) union(sources []*Version) []json.RawMessage {
	var out []json.RawMessage
	seen := map[string]bool{}
	for _, s := range sources {
		each(s.Patient.Identifier, func(raw json.RawMessage) {
			var id identifier
			if json.Unmarshal(raw, &id) != nil || id.Value == "" {
				return
			}
			k := id.System + "|" + normal.Code(id.Value)
			if !seen[k] {
				seen[k] = true
				g.Sources["identifier["+strconv.Itoa(len(out))+"]"] = s.Key.String()
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
