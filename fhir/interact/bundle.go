package interact

import (
	"time"

	"hutong/fhir"
)

// Bundle is an answer of several resources. It is written as it stands, from
// stored bytes, by WriteTo.
type Bundle struct {
	Type    string // searchset, history, transaction-response, batch-response
	Total   int    // -1: none
	Links   []Link
	Entries []Entry
	At      time.Time
}

// Link is one Bundle.link: relation self, first, next.
type Link struct{ Relation, URL string }

// Entry is one Bundle.entry.
type Entry struct {
	FullURL  string
	Resource fhir.Resource // no body: none
	JSON     []byte        // written in place of Resource if set (a subset, an outcome)
	Mode     string        // search.mode: match, include, outcome
	Method   string        // request.method of a history
	Request  string        // request.url of a history
	Status   string        // response.status: "201 Created"
	Location string        // response.location
	ETag     string
	Modified time.Time
	Outcome  []byte // response.outcome, a JSON OperationOutcome
}
