// Package principal is who asks: the authenticated user or client of a
// request, with what the token says of them.
package principal

import (
	"context"
	"slices"
)

// Role is what a principal acts as. One account never holds two of Admin,
// Steward and Auditor (separation of duties, GB/T 22239).
type Role string

// The roles.
const (
	HIS         Role = "his"         // a hospital's system, client credentials
	Clinician   Role = "clinician"   // licensed practitioner
	Coordinator Role = "coordinator" // consultation coordinator of an organisation
	Emergency   Role = "emergency"   // may break the glass
	Resident    Role = "resident"    // reads their own record
	Steward     Role = "steward"     // data steward: identities only, no clinical data
	Auditor     Role = "auditor"     // reads the audit trail, writes nothing
	Admin       Role = "admin"       // system administrator, no PHI
)

// Principal is the caller as authenticated. Immutable.
type Principal struct {
	Subject      string // user login or client id
	Name         string // for display
	Client       string // OAuth2 client through which they come
	Roles        []Role
	Organization string // Organization id they act for
	Practitioner string // Practitioner id, "" if none
	// Identifier is a resident's verified card: the person is resolved from it.
	IdentifierSystem string
	IdentifierValue  string
	Scopes           []string // SMART scopes granted: user/*.rs, system/*.cruds ...
	Purpose          string   // v3 PurposeOfUse: TREAT, ETREAT, PATRQT, HOPERAT, PUBHLTH ...
	TokenID          string   // jti
	// Open marks the unauthenticated principal of --auth open: everything is
	// permitted; only loopback listeners allow it.
	Open bool
}

// Has reports whether the principal holds the role.
func (p *Principal) Has(r Role) bool { return slices.Contains(p.Roles, r) }

type key struct{}

// With puts the principal into a request's context.
func With(ctx context.Context, p *Principal) context.Context {
	return context.WithValue(ctx, key{}, p)
}

// From gets the principal of a request, or nil if it is not authenticated.
func From(ctx context.Context) *Principal {
	p, _ := ctx.Value(key{}).(*Principal)
	return p
}
