package exchange

import (
	"slices"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/rest"
	"hutong/gateway/audit"
	"hutong/gateway/principal"
	mpirest "hutong/mpi/rest"
)

// identityRights says which roles may take which action of the index's
// interface. A resident's person is held against their own beside it.
var identityRights = map[string][]principal.Role{
	"identity.match":    {principal.HIS, principal.Clinician, principal.Emergency, principal.Coordinator, principal.Steward},
	"identity.crossref": {principal.HIS, principal.Clinician, principal.Emergency, principal.Steward},
	"identity.person":   {principal.Clinician, principal.Emergency, principal.Steward, principal.Resident},
	"identity.queue":    {principal.Steward},
	"identity.decide":   {principal.Steward},
	"identity.full":     {principal.Steward, principal.Resident},
}

// authorizeIdentity answers the index's question whether the caller may take
// an action, and who they are.
func (e *Exchange) authorizeIdentity(c *gin.Context, action string) (actor string, err error) {
	ctx := c.Request.Context()
	p := principal.From(ctx)
	if p == nil {
		return "", fhir.Errorf(fhir.Unauthorized, "an access token is required")
	}
	if p.Open {
		return p.Subject, nil
	}
	if !slices.ContainsFunc(identityRights[action], p.Has) {
		return "", fhir.Errorf(fhir.Forbidden, "your role does not allow this")
	}
	if p.Has(principal.Resident) && len(p.Roles) == 1 {
		return p.Subject, e.ownPerson(c, p)
	}
	return p.Subject, nil
}

// identityDisclosed records that an answer is about to name these patients.
func (e *Exchange) identityDisclosed(c *gin.Context, action string, patients []fhir.Key) error {
	if e.trail == nil {
		return nil
	}
	return e.trail.Event(c.Request.Context(), audit.Event{Action: audit.Identity, Patients: patients, Reason: action})
}

// identityOperations are the index's operations beside the FHIR interactions.
func identityOperations(h *mpirest.Handlers) []rest.Operation {
	return []rest.Operation{
		{Type: "Patient", Name: "$match", Handler: h.Match, Definition: "http://hl7.org/fhir/OperationDefinition/Patient-match"},
		{Type: "Patient", Name: "$ihe-pix", Reads: true, Handler: h.CrossReference, Definition: "https://profiles.ihe.net/ITI/PIXm/OperationDefinition/IHE.PIXm.pix"},
		{Type: "Patient", Name: "$person", Level: rest.InstanceLevel, Reads: true, Handler: h.Person},
	}
}

// ownPerson refuses a resident any person but their own, as if it were not
// there.
func (e *Exchange) ownPerson(c *gin.Context, p *principal.Principal) error {
	ctx := c.Request.Context()
	own, ok, err := e.index.ByIdentifier(ctx, p.IdentifierSystem, p.IdentifierValue)
	if err != nil {
		return err
	}
	asked, known, err := e.index.PersonOf(ctx, fhir.Key{Type: "Patient", ID: c.Param("id")})
	if err != nil {
		return err
	}
	if !ok || !known || asked != own {
		return fhir.Errorf(fhir.NotFound, "no such person")
	}
	return nil
}
