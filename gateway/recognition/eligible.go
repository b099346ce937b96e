// Package recognition implements 检查检验结果互认: it finds, for an order that
// is being signed, results of other institutions that may stand in its place,
// says why by the clauses of the national rules, and keeps the clinician's
// decision.
//
// Rules.Eligible is a pure function; everything that asks the store is around
// it. Rule numbers (HR-xx) are those of the project's rule list.
package recognition

import (
	"time"

	"hutong/fhir"
	"hutong/profiles"
)

// Rules are what eligibility depends on beside its arguments.
type Rules struct {
	Catalogue *profiles.Catalogue
	Units     Units
}

// Units tells whether a value can be converted between two UCUM units.
// Arbitrary units (IU) convert to themselves only.
type Units interface {
	Convertible(from, to string) bool
}

// Result is what the predicate needs to know of one result.
type Result struct {
	Key       fhir.Key // Observation or DiagnosticReport
	VersionID uint64
	Custodian string // Organization id of the hospital that holds it

	Status       string // of the resource itself
	ReportStatus string // of the DiagnosticReport that holds the Observation; "" if there is none
	Signed       bool   // the report names who interpreted it, or carries a signature

	Codes    []fhir.Coding
	Specimen string // HL7 table 0487; "" if not said
	Modality string // DICOM, of imaging
	BodySite string // code, of imaging; "" if not said

	Collected time.Time // specimen taken, or examined
	Issued    time.Time // reported

	Numeric bool
	Unit    string // UCUM code of a numeric value
	Shown   Text   // the value for a reader
	Name    string // of the test, as the laboratory calls it

	Claimed     Scope        // of the sender's mark; zero if it carries none
	Assessments []Assessment // of the performing laboratory
	Performer   Text         // its name

	Series []bool // imaging: of each series, whether it can be retrieved

	Certain   bool // the MPI holds the record for the same person, not just possibly
	Permitted bool // consent, or the organisation's own right, lets the orderer see it

	Parts []Result // a panel's Observations
}

// Assessment is one round of external quality assessment (室间质评) of one item.
type Assessment struct {
	Item     string
	Scope    Scope // that a pass opens
	From, To time.Time
	Pass     bool
}

// Order is what the predicate needs to know of a draft order.
type Order struct {
	Codes    []fhir.Coding
	Specimen string
	Modality string
	BodySite string
	Area     string // GB/T 2260 code of the ordering organisation's county; "" if not known
	Purpose  string // v3 PurposeOfUse of the request
}

// ClauseCode names a clause: a code of the CodeSystem hr-clause.
type ClauseCode string

// The clauses, in the order in which an answer lists them.
const (
	StatusClause    ClauseCode = "status"
	ItemClause      ClauseCode = "item"
	CatalogueClause ClauseCode = "catalogue"
	EQAClause       ClauseCode = "eqa"
	ScopeClause     ClauseCode = "scope"
	WindowClause    ClauseCode = "window"
	IdentityClause  ClauseCode = "identity"
	PurposeClause   ClauseCode = "purpose"
	ImagingClause   ClauseCode = "imaging"
	UnitClause      ClauseCode = "unit"
)

// Clause is what one clause says of a result.
type Clause struct {
	Code    ClauseCode
	Met     bool
	Applies bool // false: the clause does not concern this kind of result, and is met
	Why     Text // the facts, for the clinician; holds no identity
}

// Text is a sentence in both languages.
type Text struct{ ZH, EN string }

// Decision is the answer of the predicate.
type Decision struct {
	Eligible   bool
	Item       profiles.Item // of the order; zero if it is none of the catalogue
	Clauses    []Clause      // all ten, in order
	Scope      Scope         // where the result is recognised
	ValidUntil time.Time     // the last moment of the window
}

// Failed lists the clauses that are not met.
func (d *Decision) Failed() []ClauseCode {
	var out []ClauseCode
	for _, c := range d.Clauses {
		if !c.Met {
			out = append(out, c.Code)
		}
	}
	return out
}

// question is one evaluation.
type question struct {
	*Rules
	res   *Result
	order *Order
	now   time.Time
	item  profiles.Item
	known bool      // the order is of an item
	parts []*Result // what was measured: the result, or a panel's members
	items []profiles.Item
	lacks string // first member of the panel without a result
}

// checks are the clauses. Each looks at one question and nothing else.
var checks = [...]struct {
	code  ClauseCode
	check func(*question) (met, applies bool, why Text)
}{
	{StatusClause, (*question).status},
	{ItemClause, (*question).sameItem},
	{CatalogueClause, (*question).inForce},
	{EQAClause, (*question).assessed},
	{ScopeClause, (*question).inScope},
	{WindowClause, (*question).inWindow},
	{IdentityClause, (*question).certain},
	{PurposeClause, (*question).permitted},
	{ImagingClause, (*question).retrievable},
	{UnitClause, (*question).convertible},
}

// Eligible decides whether a result may stand in the place of an order at now.
// Every clause is evaluated, so that an answer lists all that failed.
func (r *Rules) Eligible(res Result, order Order, now time.Time) Decision {
	q := &question{Rules: r, res: &res, order: &order, now: now}
	q.item, q.known = r.itemOf(order.Codes)
	q.measured()
	d := Decision{Eligible: true, Item: q.item, Clauses: make([]Clause, len(checks))}
	for i, c := range checks {
		met, applies, why := c.check(q)
		d.Clauses[i] = Clause{Code: c.code, Met: met, Applies: applies, Why: why}
		d.Eligible = d.Eligible && met
	}
	d.Scope = q.scope()
	if start := q.start(&res, q.item); q.known && !start.IsZero() {
		d.ValidUntil = start.Add(q.item.Window)
	}
	return d
}

// itemOf is the item of the first coding that has one.
func (r *Rules) itemOf(codes []fhir.Coding) (profiles.Item, bool) {
	for _, c := range codes {
		if it, ok := r.Catalogue.ByCoding(c.System, c.Code); ok {
			return it, true
		}
	}
	return profiles.Item{}, false
}

// measured lists the results that were measured, with their items: a panel is
// judged by its members, everything else by itself.
func (q *question) measured() {
	if len(q.item.Members) == 0 {
		q.parts, q.items = []*Result{q.res}, []profiles.Item{q.item}
		return
	}
	for _, code := range q.item.Members {
		part := q.member(code)
		if part == nil {
			q.lacks = code
			continue
		}
		it, _ := q.Catalogue.Item(code)
		q.parts, q.items = append(q.parts, part), append(q.items, it)
	}
}

func (q *question) member(code string) *Result {
	for i := range q.res.Parts {
		if it, ok := q.itemOf(q.res.Parts[i].Codes); ok && it.Code == code {
			return &q.res.Parts[i]
		}
	}
	return nil
}

// start is where the window of a result begins (HR-08): when the specimen was
// taken or the patient examined, unless the catalogue counts from the report.
func (q *question) start(res *Result, it profiles.Item) time.Time {
	if it.StartFrom == "report" {
		return res.Issued
	}
	return res.Collected
}
