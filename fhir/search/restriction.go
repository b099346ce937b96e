package search

import (
	"slices"
	"time"

	"hutong/fhir"
)

// Restriction is what a caller may see: a resource is visible if some Permit
// rule matches it and no Deny rule does. The zero value permits nothing and is
// refused by fhir/interact as "no decision was made"; a decision that permits
// nothing has Decided set.
//
// It is plain data so that an engine can plan with it: the rules name
// compartments, custodians, types and keys that are indexed.
type Restriction struct {
	Decided bool
	System  bool // everything is visible: explicit system work
	Permit  []Rule
	Deny    []Rule
	// Refuse is what a read of an invisible resource answers: NotFound (the
	// default, also for the zero value) or Forbidden, where the caller already
	// knows that the patient exists.
	Refuse fhir.Kind
}

// Unrestricted is the restriction of the system's own work.
func Unrestricted() Restriction { return Restriction{Decided: true, System: true} }

// Rule matches a resource if every condition that is set matches it.
// The zero Rule matches everything.
type Rule struct {
	Types      []fhir.Type   // of one of these types
	NotTypes   []fhir.Type   // of none of these
	Patients   []fhir.Key    // in the compartment of one of these (a Patient is in its own)
	NoPatient  bool          // in no patient's compartment
	Custodians []string      // owned by one of these organisations
	NotCustody []string      // owned by none of these
	Keys       []fhir.Key    // one of exactly these
	Labels     []fhir.Coding // carrying one of these security labels
	Categories []fhir.Coding
	Codes      []fhir.Coding
	Authors    []fhir.Key
	NotAuthors []fhir.Key // naming none of these as author
	From, To   time.Time  // clinical date in [From,To); zero is open; unknown dates match
	Until      time.Time  // the rule ends at this moment (the server's clock); zero never
}

// Sees reports whether the resource is visible at now.
func (r *Restriction) Sees(k fhir.Key, f *fhir.Facts, now time.Time) bool {
	if r.System {
		return true
	}
	if !r.Decided {
		return false
	}
	for i := range r.Deny {
		if r.Deny[i].Matches(k, f, now) {
			return false
		}
	}
	for i := range r.Permit {
		if r.Permit[i].Matches(k, f, now) {
			return true
		}
	}
	return false
}

// Matches reports whether the rule applies to the resource at now.
func (r *Rule) Matches(k fhir.Key, f *fhir.Facts, now time.Time) bool {
	return (r.Until.IsZero() || now.Before(r.Until)) &&
		(len(r.Types) == 0 || slices.Contains(r.Types, k.Type)) &&
		!slices.Contains(r.NotTypes, k.Type) &&
		(!r.NoPatient || len(f.Patients) == 0) &&
		(len(r.Patients) == 0 || overlaps(r.Patients, f.Patients)) &&
		(len(r.Custodians) == 0 || slices.Contains(r.Custodians, f.Custodian)) &&
		!slices.Contains(r.NotCustody, f.Custodian) &&
		(len(r.Keys) == 0 || slices.Contains(r.Keys, k)) &&
		(len(r.Labels) == 0 || overlaps(r.Labels, f.Labels)) &&
		(len(r.Categories) == 0 || overlaps(r.Categories, f.Categories)) &&
		(len(r.Codes) == 0 || overlaps(r.Codes, f.Codes)) &&
		(len(r.Authors) == 0 || overlaps(r.Authors, f.Authors)) &&
		!overlaps(r.NotAuthors, f.Authors) &&
		(r.From.IsZero() || f.Clinical.IsZero() || !f.Clinical.Before(r.From)) &&
		(r.To.IsZero() || f.Clinical.IsZero() || f.Clinical.Before(r.To))
}

func overlaps[T comparable](a, b []T) bool {
	for _, x := range b {
		if slices.Contains(a, x) {
			return true
		}
	}
	return false
}
