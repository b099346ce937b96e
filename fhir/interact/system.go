package interact

import (
	"context"

	"hutong/fhir"
	"hutong/fhir/search"
)

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
