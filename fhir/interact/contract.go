// Package interact is the one way in: every FHIR interaction, whatever the
// protocol that carried it, runs here, and nothing else writes to the store.
package interact

import (
	"context"
	"time"

	"hutong/fhir"
	"hutong/fhir/search"
)

// Caller is on whose behalf an interaction runs. fhir knows no users or
// consents: the gateway supplies this, one a request. Methods are called from
// one goroutine at a time.
type Caller interface {
	// Restrict compiles what the caller may see. about lists the patients that
	// the request names (already widened to all members of their persons); it
	// is empty for a request that names none. An error (usually Forbidden)
	// refuses the request. op says what is asked, for scopes.
	Restrict(ctx context.Context, op Op, about []fhir.Key) (search.Restriction, error)

	// MayWrite is asked before each create, update or delete. existing is nil
	// for a create. An error refuses it. The custodian rule (only the owner
	// changes a resource) is interact's own and holds beside it.
	MayWrite(ctx context.Context, op Op, key fhir.Key, existing *fhir.Facts) error

	// Stamp says how a write by this caller is labelled.
	Stamp() Stamp

	// ExpandPersons says whether a query for one patient means all records of
	// the person. Off for conformance tools and for an HIS reading its own.
	ExpandPersons() bool
}

// Blanket is a Caller that decides. When a Caller implements it and says so, its
// Restrict does not depend on about, and interact does not look for those whom
// a search describes.
type Blanket interface{ Blanket() bool }

// Inspector is a Caller that judges content too. When a Caller implements it,
// interact asks it for every create, update and patch, after MayWrite and with
// what is about to be stored; an error refuses the write.
type Inspector interface {
	Inspect(ctx context.Context, op Op, key fhir.Key, body fhir.Body, facts *fhir.Facts) error
}

// Curator has a say in what is stored of one resource type that means something
// to the server itself. interact asks it for every create, update and patch,
// whoever the caller is, with what is about to be stored; an error refuses the
// write. It gives the body to store: it may change only elements that no
// search parameter reads, and nothing before or in meta.
type Curator interface {
	// Curate is given the current body of the key too, empty if there is none.
	// It may be asked again for a write that others overtook, and its answer
	// does not mean that the write succeeds.
	Curate(ctx context.Context, c Caller, key fhir.Key, body, current fhir.Body) (fhir.Body, error)
}

// Op names an interaction: "read", "vread", "update", "patch", "delete",
// "history-instance", "history-type", "history-system", "create",
// "search-type", "search-system", "transaction", "batch", "capabilities", or
// an operation's name with its $.
type Op struct {
	Interaction string
	Type        fhir.Type // "" for system level
}

// Stamp is what the server adds to what a caller writes.
type Stamp struct {
	Custodian string        // Organization id: owner of what is created; "" = none
	Source    string        // meta.source, "" = leave the sender's
	Labels    []fhir.Coding // security labels to add
	// System lifts the custodian rule: the exchange's own bookkeeping.
	System bool
}

// Persons joins records of one person at read time. The MPI supplies it.
type Persons interface {
	// Members gives all source Patients of the person that k names: k may be a
	// source Patient or a person id ("Patient/<person id>"). It returns {k}
	// itself if nothing is known of it.
	Members(ctx context.Context, k fhir.Key) ([]fhir.Key, error)
}

// Follower hears of committed versions before the response is sent, so that a
// read that follows a write sees what was derived from it. It must be quick
// (it gets a deadline of a few milliseconds) and idempotent: what it misses
// reaches it again through the events.
type Follower interface {
	Committed(ctx context.Context, versions []fhir.Version)
}

// Auditor writes the record of who saw or changed what. It is asked after an
// interaction ran and before its answer leaves: Record returns when the record
// is durable, and an error refuses the answer. It is asked for refused
// interactions too.
type Auditor interface {
	Record(ctx context.Context, d Disclosure) error
}

// Disclosure is one interaction as the audit trail knows it. It holds keys,
// never content.
type Disclosure struct {
	Op       Op
	Keys     []fhir.Key // what was read, written or asked for
	Patients []fhir.Key // in whose compartments that lies, in order of mention
	Query    string     // the parameters of a search, as sent
	Total    int        // matches of a search or history; -1 if not counted
	Err      error      // why it was refused; nil if it was answered
	Caller   Caller
	At       time.Time
}

// SystemCaller is the exchange acting for itself: it sees everything, the
// custodian rule does not bind it, and what it creates belongs to custodian
// (an Organization id, "" for nobody).
func SystemCaller(custodian string) Caller { return systemCaller{custodian} }

type systemCaller struct{ custodian string }

func (systemCaller) Restrict(context.Context, Op, []fhir.Key) (search.Restriction, error) {
	return search.Unrestricted(), nil
}

func (systemCaller) MayWrite(context.Context, Op, fhir.Key, *fhir.Facts) error { return nil }

func (c systemCaller) Stamp() Stamp { return Stamp{Custodian: c.custodian, System: true} }

func (systemCaller) ExpandPersons() bool { return false }

func (systemCaller) Operator() bool { return true }

func (systemCaller) Blanket() bool { return true }
