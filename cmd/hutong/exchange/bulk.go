package exchange

import (
	"context"
	"encoding/json"
	"path/filepath"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/bulk"
	"hutong/fhir/interact"
	"hutong/gateway/consent"
	"hutong/gateway/principal"
)

// openBulk opens the bulk operations and lets their jobs run until Close.
func (e *Exchange) openBulk() (*bulk.Service, error) {
	b, err := bulk.New(bulk.Config{
		Service: e.fhir, Space: e.Store.Space("bulk"), Dir: filepath.Join(e.cfg.Data, "export"), Node: e.cfg.Node,
		Access: bulkAccess{e.policy}, URL: e.cfg.PublicURL + "/api/bulk", Log: e.log,
	})
	if err != nil {
		return nil, err
	}
	background, cancel := context.WithCancel(context.Background())
	others := e.stop
	e.stop = func() {
		cancel()
		if others != nil {
			others()
		}
	}
	e.idle.Go(func() { b.Run(background) })
	return b, nil
}

// bulkAccess admits hospitals' systems to the bulk operations of the whole
// system: what a person may see is about persons, never all at once.
type bulkAccess struct{ policy *consent.Policy }

// acting is a principal as a job keeps it, with the purpose that was stated.
type acting struct {
	Principal principal.Principal
	Purpose   string
}

// Admit implements bulk.Access.
func (a bulkAccess) Admit(c *gin.Context, operation string) (bulk.Requester, error) {
	p := principal.From(c.Request.Context())
	if p == nil {
		return bulk.Requester{}, fhir.Errorf(fhir.Unauthorized, "an access token is required")
	}
	purpose := c.GetHeader(consent.PurposeHeader)
	if !p.Open {
		if !p.Has(principal.HIS) {
			return bulk.Requester{}, fhir.Errorf(fhir.Forbidden, "%s is for the systems of hospitals", operation)
		}
		if role, _, err := consent.Acting(p, purpose); err != nil || role != principal.HIS {
			return bulk.Requester{}, fhir.Errorf(fhir.Forbidden, "%s is for the systems of hospitals", operation)
		}
	}
	raw, err := json.Marshal(acting{*p, purpose})
	if err != nil {
		return bulk.Requester{}, fhir.Errorf(fhir.Internal, "bulk: %w", err)
	}
	return bulk.Requester{Owner: p.Organization + "/" + p.Client + "/" + p.Subject, Acting: raw}, nil
}

// Resume implements bulk.Access.
func (a bulkAccess) Resume(ctx context.Context, raw []byte) (context.Context, interact.Caller, error) {
	var as acting
	if err := json.Unmarshal(raw, &as); err != nil {
		return nil, nil, fhir.Errorf(fhir.Internal, "bulk: who asked cannot be read: %w", err)
	}
	ctx = principal.With(ctx, &as.Principal)
	caller, err := a.policy.Caller(&as.Principal, as.Purpose)
	return ctx, caller, err
}
