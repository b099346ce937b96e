package outcome_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"hutong/fhir"
	"hutong/fhir/interact/outcome"
)

// TestEveryKind: each kind has the status and issue code that fhir/error.go
// promises, and texts in both languages.
func TestEveryKind(t *testing.T) {
	t.Parallel()
	want := map[fhir.Kind]string{
		fhir.Internal: "500 exception", fhir.Invalid: "400 invalid", fhir.Structure: "400 structure", fhir.Unauthorized: "401 login",
		fhir.Forbidden: "403 forbidden", fhir.NotFound: "404 not-found", fhir.Gone: "410 deleted", fhir.MethodNotAllowed: "405 not-supported",
		fhir.NotAcceptable: "406 not-supported", fhir.Conflict: "409 conflict", fhir.PreconditionFailed: "412 conflict",
		fhir.MultipleMatches: "412 multiple-matches", fhir.TooLarge: "413 too-long", fhir.UnsupportedMedia: "415 not-supported",
		fhir.Unprocessable: "422 processing", fhir.NotSupported: "400 not-supported", fhir.TooCostly: "403 too-costly",
		fhir.Throttled: "429 throttled", fhir.Busy: "503 transient", fhir.Timeout: "504 timeout",
	}
	for k := fhir.Internal; k <= fhir.Timeout; k++ {
		err := &fhir.Error{Kind: k, Issues: []fhir.Issue{{Severity: fhir.ErrorLevel}}}
		en, zh := read(t, outcome.JSON(err, outcome.English)), read(t, outcome.JSON(err, outcome.Chinese))
		if got := fmt.Sprint(outcome.Status(err), " ", en.Code); got != want[k] {
			t.Errorf("kind %d: %s, want %s", k, got, want[k])
		}
		if en.Details.Text == "" || en.Details.Text == zh.Details.Text || zh.Details.Text == "" {
			t.Errorf("kind %d: texts %q and %q", k, en.Details.Text, zh.Details.Text)
		}
	}
}

type issue struct {
	Severity, Code, Diagnostics string
	Details                     struct{ Text string }
	Expression                  []string
}

func read(t *testing.T, b []byte) issue {
	t.Helper()
	var o struct {
		ResourceType string
		Issue        []issue
	}
	if err := json.Unmarshal(b, &o); err != nil || o.ResourceType != "OperationOutcome" || len(o.Issue) == 0 {
		t.Fatalf("%v: %s", err, b)
	}
	return o.Issue[0]
}

func TestWhatIsShown(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"foreign":  errors.New("secret detail"),
		"internal": fhir.Errorf(fhir.Internal, "secret detail"),
		"wrapped":  fmt.Errorf("reading: %w", fhir.Errorf(fhir.Internal, "secret detail")),
	} {
		if b := outcome.JSON(err, outcome.English); strings.Contains(string(b), "secret") || outcome.Status(err) != 500 {
			t.Errorf("%s: %d %s", name, outcome.Status(err), b)
		}
	}
	is := read(t, outcome.JSON(fhir.Errorf(fhir.Invalid, "a \"quoted\"\nfault").At("Patient.name[0]"), outcome.Chinese))
	if is.Diagnostics != "a \"quoted\"\nfault" || is.Expression[0] != "Patient.name[0]" || is.Details.Text == is.Diagnostics {
		t.Errorf("%+v", is)
	}
	for _, err := range []error{context.DeadlineExceeded, fmt.Errorf("x: %w", context.Canceled)} {
		if outcome.Status(err) != 504 {
			t.Errorf("%v: %d", err, outcome.Status(err))
		}
	}
	if is := read(t, outcome.Issues(nil, fhir.Internal, outcome.English)); is.Severity != "information" {
		t.Errorf("no issue: %+v", is)
	}
}
