// Package validate holds the rules of FHIR R4: those that the published
// definitions state (names, cardinality, types, value sets, reference
// targets), the invariants that need code, and the regional profiles that a
// resource claims. It reads the tape of fhir/codec and never copies it.
package validate

import (
	"strconv"
	"strings"
	"sync"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/internal/schema"
)

// Options say what a Validator knows beyond the base specification.
type Options struct {
	// Profiles are StructureDefinitions in JSON, each with its differential.
	Profiles [][]byte
	// ValueSets gives the codes of the value sets that profiles bind with
	// strength required: canonical of the value set -> permitted codings. A
	// coding without system permits the code in any system.
	ValueSets map[string][]fhir.Coding
}

// Validator checks resources. It is safe for concurrent use.
type Validator struct {
	schema   *schema.Schema
	rules    [][]rule // invariants by Type.Index
	profiles map[string]*profile
	runs     sync.Pool // of *run
}

// MaxIssues is the most that one call reports.
const MaxIssues = 100

// New compiles the rules. It fails if a profile cannot be read or names what
// R4 does not have.
func New(o Options) (*Validator, error) {
	s := schema.R4()
	v := &Validator{schema: s}
	var err error
	if v.rules, err = compileInvariants(s); err != nil {
		return nil, err
	}
	if v.profiles, err = compileProfiles(s, o); err != nil {
		return nil, err
	}
	return v, nil
}

// Resource checks the resource i of d and gives what is wrong with it, at most
// MaxIssues; of each resource the base rules first, then its profiles. path is the expression of the resource
// ("Bundle.entry[0].resource"); "" takes the resource type. No issue of
// severity error means that the resource is valid.
func (v *Validator) Resource(d *codec.Doc, i uint32, path string) []fhir.Issue {
	r, _ := v.runs.Get().(*run)
	if r == nil {
		r = new(run)
	}
	*r = run{Validator: v, d: d, base: path, path: r.path[:0]}
	r.resource(i)
	issues := r.issues
	*r = run{path: r.path}
	v.runs.Put(r)
	return issues
}

// HasErrors reports whether any issue makes the resource invalid.
func HasErrors(issues []fhir.Issue) bool {
	for _, is := range issues {
		if is.Severity == fhir.ErrorLevel || is.Severity == fhir.Fatal {
			return true
		}
	}
	return false
}

// run is the state of one call of Resource.
type run struct {
	*Validator
	d        *codec.Doc
	base     string // expression of the resource, "" = its type
	path     []step // from the resource to the element at hand
	inner    inner  // the innermost resource
	claimed  string // name of the profile at hand
	warnings int
	node     node // the object whose rules are tested
	host     host // the resource that contains the element, not itself contained
	issues   []fhir.Issue
}

// inner is a resource on the path: its type, and where its elements begin.
type inner struct {
	typ string
	at  int
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

// Warnings have a quarter of the room, so that they never displace errors.
func (r *run) report(severity fhir.Severity, code, id, text string) {
	if severity != fhir.ErrorLevel {
		if r.warnings++; r.warnings > MaxIssues/4 {
			return
		}
	}
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
