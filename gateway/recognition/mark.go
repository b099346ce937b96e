package recognition

import (
	"time"

	"hutong/fhir"
)

// MarkStatus is what the exchange thinks of a sender's mark: the sub-extension
// status of hr-mark.
type MarkStatus string

// The states of a mark.
const (
	Unmarked MarkStatus = ""
	Asserted MarkStatus = "asserted" // the sender says so; nothing on record proves it
	Verified MarkStatus = "verified" // an assessment opens the scope
	Refused  MarkStatus = "refused"  // the assessment failed, had expired, or opens less
)

// Verification is the result of checking a mark.
type Verification struct {
	Status     MarkStatus
	Scope      Scope
	ValidUntil time.Time    // end of the window
	Warnings   []fhir.Issue // for the sender; the mark stays as it was sent
}

// VerifyMark checks the mark that a result carries against its laboratory's
// assessments (HR-03). A mark that nothing proves stays asserted, with a
// warning; only a verified one may be mirrored as the tag hr-scope.
func (r *Rules) VerifyMark(res Result) Verification {
	if res.Claimed == (Scope{}) {
		return Verification{}
	}
	q := &question{Rules: r, res: &res, order: &Order{Codes: res.Codes}, now: res.Collected}
	q.item, q.known = r.itemOf(res.Codes)
	q.measured()
	v := Verification{Status: Asserted, Scope: res.Claimed}
	if start := q.start(&res, q.item); q.known && !start.IsZero() {
		v.ValidUntil = start.Add(q.item.Window)
	}
	if met, _, _ := q.inForce(); !met || len(q.parts) == 0 || !q.onRecord() {
		return v.warn("a recognition mark without external quality assessment on record stays unverified")
	}
	if met, _, why := q.assessed(); !met {
		v.Status = Refused
		return v.warn("the recognition mark is refused: " + why.EN)
	}
	v.Status = Verified
	return v
}

// onRecord reports whether every measured item has some round on record.
func (q *question) onRecord() bool {
	for i, p := range q.parts {
		if _, ok := newest(p.Assessments, q.items[i].Code, p.Collected); !ok {
			return false
		}
	}
	return true
}

func (v Verification) warn(text string) Verification {
	v.Warnings = append(v.Warnings, fhir.Issue{Severity: fhir.Warning, Code: "business-rule", Text: text, Expression: "extension", MessageID: "recognition.mark"})
	return v
}
