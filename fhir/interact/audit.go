package interact

import (
	"context"
	"time"

	"hutong/fhir"
)

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
