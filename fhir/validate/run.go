package validate

import (
	"strconv"
	"strings"

	"hutong/fhir"
	"hutong/fhir/codec"
)

// run is the state of one call of Resource.
type run struct {
	*Validator
	d      *codec.Doc
	base   string // expression of the resource, "" = its type
	path   []step // from the resource to the element at hand
	host   host   // the resource that contains the element, not itself contained
	issues []fhir.Issue
}

// step is one element of the path; index is -1 where it does not repeat.
type step struct {
	name  string
	index int
}

func (r *run) push(name string) { r.path = append(r.path, step{name, -1}) }
func (r *run) pop()             { r.path = r.path[:len(r.path)-1] }
func (r *run) index(n int)      { r.path[len(r.path)-1].index = n }

// expression writes the path of the element at hand.
func (r *run) expression() string {
	var b strings.Builder
	b.WriteString(r.base)
	for _, s := range r.path {
		if s.name != "" && b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(s.name)
		if s.index >= 0 {
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
		}
	}
	return b.String()
}

// The issue codes of OperationOutcome that the rules use.
const (
	structure   = "structure"     // names, kinds of values, cardinality of 1
	value       = "value"         // the value is not one of its type
	required    = "required"      // a missing element
	codeInvalid = "code-invalid"  // not in the value set
	invariantID = "invariant"     // a rule that spans elements
	notFound    = "not-found"     // an unknown profile
	tooLong     = "too-long"      // a string beyond 1 MiB
	informative = "informational" // nothing wrong
)

// fail reports an error at the element at hand. id is the stable key of the
// text. Texts never repeat the sender's values: those may be personal.
func (r *run) fail(code, id, text string) { r.report(fhir.ErrorLevel, code, id, text) }

func (r *run) report(severity fhir.Severity, code, id, text string) {
	if len(r.issues) < MaxIssues {
		r.issues = append(r.issues, fhir.Issue{Severity: severity, Code: code, Text: text,
			Expression: r.expression(), MessageID: "validate." + id})
	}
}

// failAt is fail at a member of the element at hand.
func (r *run) failAt(name, code, id, text string) {
	r.push(name)
	r.fail(code, id, text)
	r.pop()
}
