package audit

import (
	"time"

	"hutong/fhir"
	"hutong/gateway/principal"
)

// Type is the resource type of the records.
const Type fhir.Type = "AuditEvent"

// Action is what a security event is about, beside the FHIR interactions,
// which come by Record.
type Action string

// The actions.
const (
	Login         Action = "login"
	LoginFailed   Action = "login-failed"
	Logout        Action = "logout"
	TokenIssued   Action = "token-issued"
	TokenRefused  Action = "token-refused"
	TokenRevoked  Action = "token-revoked"
	Denied        Action = "denied" // a request refused before any interaction ran
	BreakGlass    Action = "break-glass"
	ConsentChange Action = "consent-change"
	AccountChange Action = "account-change"
	Workflow      Action = "workflow" // a step of a consultation, a recognition decision
	Identity      Action = "identity" // a link or unlink that a steward decided
)

// Event is one security event outside the FHIR interactions.
type Event struct {
	Action    Action
	Principal *principal.Principal // nil: taken from the context, or unknown
	// Subject names who acted or tried to when there is no principal: a login
	// or a client id as sent.
	Subject  string
	Patients []fhir.Key // whose record it touches
	Keys     []fhir.Key // other resources concerned
	Purpose  string     // "": the principal's
	Failed   bool
	Reason   string    // for auditors: a code or short text without PHI
	At       time.Time // zero: now
}
