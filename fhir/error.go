package fhir

import (
	"errors"
	"fmt"
	"strings"
)

// Kind is the one list of ways in which a request can fail. fhir/rest maps
// each to an HTTP status and an OperationOutcome issue code; nothing else does.
type Kind uint8

// The kinds. The comment gives the HTTP status and the issue type.
const (
	Internal           Kind = iota // 500 exception: a defect or a broken dependency
	Invalid                        // 400 invalid: the request cannot be understood
	Structure                      // 400 structure: the body is not well-formed
	Unauthorized                   // 401 login
	Forbidden                      // 403 forbidden
	NotFound                       // 404 not-found; also for what the caller may not know of
	Gone                           // 410 deleted
	MethodNotAllowed               // 405 not-supported
	NotAcceptable                  // 406 not-supported
	Conflict                       // 409 conflict: version or state
	PreconditionFailed             // 412 conflict: If-Match, If-None-Exist
	MultipleMatches                // 412 multiple-matches
	TooLarge                       // 413 too-long
	UnsupportedMedia               // 415 not-supported
	Unprocessable                  // 422 processing: a business rule
	NotSupported                   // 400 not-supported: unknown parameter, modifier, operation
	TooCostly                      // 403 too-costly
	Throttled                      // 429 throttled
	Busy                           // 503 transient: queue full, disk full, shutting down
	Timeout                        // 504 timeout
)

// Severity of an issue.
type Severity string

// Severities of OperationOutcome.issue.
const (
	Fatal       Severity = "fatal"
	ErrorLevel  Severity = "error"
	Warning     Severity = "warning"
	Information Severity = "information"
)

// Issue is one OperationOutcome.issue.
type Issue struct {
	Severity   Severity
	Code       string // issue-type code; "" takes the code of the error's kind
	Text       string // details.text: for a person; holds no PHI
	Expression string // simple FHIRPath of the element: Bundle.entry[3].resource.birthDate
	MessageID  string // stable key of the text in the catalogues, "" if none
}

// Error is what every room of the repository returns for a request that fails.
type Error struct {
	Kind   Kind
	Issues []Issue // never empty
	Err    error   // the cause, for logs only
}

func (e *Error) Error() string {
	var b strings.Builder
	for i, is := range e.Issues {
		if i > 0 {
			b.WriteString("; ")
		}
		if is.Expression != "" {
			b.WriteString(is.Expression + ": ")
		}
		b.WriteString(is.Text)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, fhir.E(kind)) true for any error of that kind.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind && len(t.Issues) == 0
}

// E is the bare error of a kind, for errors.Is.
func E(k Kind) error { return &Error{Kind: k} }

// Errorf makes an error of one issue. A %w argument becomes the cause.
func Errorf(k Kind, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: k, Issues: []Issue{{Severity: ErrorLevel, Text: err.Error()}}, Err: errors.Unwrap(err)}
}

// At sets the expression of the error's only issue and returns the error.
func (e *Error) At(expression string) *Error {
	e.Issues[0].Expression = expression
	return e
}

// KindOf gives the kind of err: Internal if it is none of ours.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}
