package principal

import (
	"context"
	"fmt"
)

// Origin is where a request came from, for the audit trail.
type Origin struct {
	Address string // network address of the client, without port
	Request string // id of the request in the logs
}

type originKey struct{}

// WithOrigin puts the origin into a request's context.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginOf gets the origin of a request; zero for work of the server's own.
func OriginOf(ctx context.Context) Origin {
	o, _ := ctx.Value(originKey{}).(Origin)
	return o
}

// exclusive are the roles of which one account holds at most one.
var exclusive = []Role{Admin, Steward, Auditor}

// CheckRoles refuses a set of roles that breaks the separation of duties, is
// empty, or names an unknown role.
func CheckRoles(roles []Role) error {
	held := Role("")
	for _, r := range roles {
		if !known(r) {
			return fmt.Errorf("unknown role %q", r)
		}
		for _, x := range exclusive {
			if r == x && held != "" && held != r {
				return fmt.Errorf("one account cannot be both %s and %s", held, r)
			}
			if r == x {
				held = r
			}
		}
	}
	if len(roles) == 0 {
		return fmt.Errorf("an account needs a role")
	}
	return nil
}

func known(r Role) bool {
	switch r {
	case HIS, Clinician, Coordinator, Emergency, Resident, Steward, Auditor, Admin:
		return true
	}
	return false
}
