package consent

import (
	"context"
	"slices"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/fhir/search"
	"hutong/gateway/principal"
)

// Caller is one request's principal as fhir/interact sees it. It belongs to
// one request and one goroutine.
type Caller struct {
	policy  *Policy
	who     *principal.Principal
	role    principal.Role
	purpose string
	broken  bool // a decision of this request leaned on a broken glass
}

// Principal is who asks.
func (c *Caller) Principal() *principal.Principal { return c.who }

// Role is what they ask as.
func (c *Caller) Role() principal.Role { return c.role }

// Purpose is the purpose of use to record: BTG once a decision leaned on a
// broken glass.
func (c *Caller) Purpose() string {
	if c.broken {
		return "BTG"
	}
	return c.purpose
}

// Restrict implements interact.Caller.
func (c *Caller) Restrict(ctx context.Context, op interact.Op, about []fhir.Key) (search.Restriction, error) {
	if err := c.scoped(op); err != nil {
		return search.Restriction{}, err
	}
	q, err := c.policy.question(ctx, c, op, about)
	if err != nil {
		return search.Restriction{}, err
	}
	c.broken = c.broken || slices.ContainsFunc(q.Persons, func(p Person) bool { return !p.Glass.IsZero() })
	return Compile(q)
}

// scoped holds the interaction to the scopes of the token.
func (c *Caller) scoped(op interact.Op) error {
	for _, perm := range needed(op.Interaction) {
		if !c.who.Allows(c.level(), perm, string(op.Type)) {
			return fhir.Errorf(fhir.Forbidden, "the token has no scope %s/%s.%c", c.level(), orAll(op.Type), perm)
		}
	}
	return nil
}

func (c *Caller) level() string {
	if l, ok := levels[c.role]; ok {
		return l
	}
	return "user"
}

func orAll(t fhir.Type) string {
	if t == "" {
		return "*"
	}
	return string(t)
}

// Stamp implements interact.Caller. What residents write is in the exchange's
// keeping.
func (c *Caller) Stamp() interact.Stamp {
	if c.role == principal.Resident {
		return interact.Stamp{Custodian: c.policy.cfg.Custodian}
	}
	return interact.Stamp{Custodian: c.who.Organization}
}

// ExpandPersons implements interact.Caller: a hospital's system reads its own
// records as it wrote them; people ask about people.
func (c *Caller) ExpandPersons() bool { return c.role != principal.HIS }

// Operator implements interact.Operator.
func (c *Caller) Operator() bool { return c.role == principal.Admin }

// openCaller is the principal of the open mode: everything, as for a plain
// FHIR server.
type openCaller struct{}

func (openCaller) Restrict(context.Context, interact.Op, []fhir.Key) (search.Restriction, error) {
	return search.Unrestricted(), nil
}
func (openCaller) MayWrite(context.Context, interact.Op, fhir.Key, *fhir.Facts) error { return nil }
func (openCaller) Stamp() interact.Stamp                                              { return interact.Stamp{System: true} }
func (openCaller) ExpandPersons() bool                                                { return false }
func (openCaller) Purpose() string                                                    { return "HTEST" }
func (openCaller) Operator() bool                                                     { return true }
func (openCaller) Blanket() bool                                                      { return true }
