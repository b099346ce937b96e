// Package policy is what a region decides about identity and no program should:
// whose data to believe, which of several values survives in a golden record,
// and which joins need two people. It is data: a JSON document with a version.
package policy

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"

	"hutong/mpi/link"
)

// Policy is a region's choice. Immutable after Load.
type Policy struct {
	// Version names the document; it stands in the log and in golden records'
	// sources, so that an answer can be traced to the rules that made it.
	Version string `json:"version"`
	// Trust ranks custodians (Organization ids): a higher number wins.
	Trust map[string]int `json:"trust"`
	// DefaultTrust is the rank of custodians that Trust does not name.
	DefaultTrust int `json:"defaultTrust"`
	// Survivorship gives, for an element of Patient ("default" for the rest),
	// the criteria by which members are ranked, the weightiest first.
	Survivorship map[string][]Criterion `json:"survivorship"`
	// SecondPerson says which joins a second steward must confirm (四眼).
	SecondPerson SecondPerson `json:"secondPerson"`
}

// Criterion ranks the members of a person.
type Criterion string

// The criteria. Ties that they leave are broken by recency, then by id, so that
// a golden record never depends on the order of its members.
const (
	Active   Criterion = "active"   // an active record before an inactive one
	Verified Criterion = "verified" // a valid citizen id that agrees with birth date and sex
	Trust    Criterion = "trust"    // the more trusted custodian
	Recency  Criterion = "recency"  // the one written last
)

// SecondPerson lists what makes a join one for two people; any one suffices.
type SecondPerson struct {
	Risks   []string      `json:"risks"`   // of the task: high, medium, low
	Reasons []link.Reason `json:"reasons"` // rules that speak against it
	Records int           `json:"records"` // it makes a person of this many records or more; 0 = any number may
}

// Needed reports whether a join of this risk, for and against which these rules
// speak, making a person of so many records, needs a second person.
func (s *SecondPerson) Needed(risk string, reasons []link.Reason, records int) bool {
	return slices.Contains(s.Risks, risk) || s.Records > 0 && records >= s.Records ||
		slices.ContainsFunc(reasons, func(r link.Reason) bool { return slices.Contains(s.Reasons, r) })
}

//go:embed data/hutong-policy-1.json
var defaultPolicy []byte

// Default trusts all custodians alike and asks for two people where a join is
// of high risk.
func Default() (*Policy, error) { return Load(defaultPolicy) }

// Load reads a policy. Unknown members, criteria, risks and rules are errors: a
// policy that is not understood must not be half applied.
func Load(data []byte) (*Policy, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var p Policy
	if err := d.Decode(&p); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	if d.More() {
		return nil, fmt.Errorf("policy: there is more than one document")
	}
	return &p, p.check()
}

func (p *Policy) check() error {
	if p.Version == "" {
		return fmt.Errorf("policy: a version is required")
	}
	if len(p.Survivorship["default"]) == 0 {
		return fmt.Errorf("policy %s: survivorship.default is required", p.Version)
	}
	for element, criteria := range p.Survivorship {
		if element != "default" && !slices.Contains(Elements, element) {
			return fmt.Errorf("policy %s: survivorship.%s is no element of a golden record", p.Version, element)
		}
		for _, c := range criteria {
			if !slices.Contains([]Criterion{Active, Verified, Trust, Recency}, c) {
				return fmt.Errorf("policy %s: survivorship.%s: %q is no criterion", p.Version, element, c)
			}
		}
	}
	for _, r := range p.SecondPerson.Risks {
		if !slices.Contains([]string{"high", "medium", "low"}, r) {
			return fmt.Errorf("policy %s: secondPerson.risks: %q is no risk", p.Version, r)
		}
	}
	for _, r := range p.SecondPerson.Reasons {
		if r.Words().EN == "" {
			return fmt.Errorf("policy %s: secondPerson.reasons: %q is no rule", p.Version, r)
		}
	}
	if p.SecondPerson.Records < 0 {
		return fmt.Errorf("policy %s: secondPerson.records is not negative", p.Version)
	}
	return nil
}

// Elements are those of a golden record that come whole from one member.
var Elements = []string{"name", "telecom", "gender", "birthDate", "deceased", "address", "maritalStatus", "multipleBirth"}

// Criteria are those of an element, the default's where it has none.
func (p *Policy) Criteria(element string) []Criterion {
	if c, ok := p.Survivorship[element]; ok {
		return c
	}
	return p.Survivorship["default"]
}

// TrustOf ranks a custodian.
func (p *Policy) TrustOf(custodian string) int {
	if t, ok := p.Trust[custodian]; ok {
		return t
	}
	return p.DefaultTrust
}
