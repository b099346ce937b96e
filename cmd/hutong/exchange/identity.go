package exchange

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/rest"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/gateway/audit"
	"hutong/gateway/principal"
	"hutong/mpi"
	"hutong/mpi/announce"
	"hutong/mpi/merge"
	"hutong/mpi/model"
	"hutong/mpi/policy"
	"hutong/mpi/report"
	mpirest "hutong/mpi/rest"
)

// openIndex opens the index with the region's policy and models. own is where
// the server remembers which content a model's version has.
func (e *Exchange) openIndex(ctx context.Context, own store.Space) (err error) {
	if e.rules, err = loadPolicy(e.cfg.Identity); err != nil {
		return err
	}
	e.known = announce.New(e.log)
	cfg := mpi.Config{Space: e.Store.Space("mpi"), Read: e.read, Policy: e.rules, Changed: e.known.Wake, Scratch: e.cfg.Data, Log: e.log}
	if e.cfg.clustered() {
		cfg.CacheFor = cacheFor
	}
	force, err := e.loadModel(ctx, own, e.cfg.Model, "in force")
	if err != nil {
		return err
	}
	shadow, err := e.loadModel(ctx, own, e.cfg.Shadow, "shadow")
	if err != nil {
		return err
	}
	if force != nil {
		cfg.Model = force.Model
	}
	if shadow != nil {
		cfg.Shadow = shadow.Model
	}
	e.index, err = mpi.Open(ctx, cfg)
	return err
}

func loadPolicy(path string) (*policy.Policy, error) {
	if path == "" {
		return policy.Default()
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--mpi-policy: %w", err)
	}
	return policy.Load(data)
}

// loadModel loads a model file and says in the log which it is; nil for "".
func (e *Exchange) loadModel(ctx context.Context, own store.Space, path, use string) (*model.Loaded, error) {
	if path == "" {
		return nil, nil
	}
	m, err := model.Load(path)
	if err != nil {
		return nil, err
	}
	e.log.Info().Str("model", m.Version).Str("sha256", m.Checksum).Str("use", use).Msg("mpi: model loaded")
	return m, model.Pin(ctx, own, m)
}

// identityHandlers are the index's interface.
func (e *Exchange) identityHandlers() (*mpirest.Handlers, error) {
	merges, err := merge.New(merge.Config{Index: e.index, Space: e.Store.Space("merge"), Records: e.fhir, Read: e.read})
	if err != nil {
		return nil, err
	}
	return mpirest.New(mpirest.Config{
		Index: e.index, BaseURL: e.fhir.BaseURL(), Reports: report.Reader{Space: e.Store.Space("mpi")}, Policy: e.rules, Merges: merges, Merger: e.merger,
		Authorize: e.authorizeIdentity, Disclosed: e.identityDisclosed,
	})
}

// merger says who merges: a hospital's system what its hospital owns, a steward
// persons.
func (e *Exchange) merger(c *gin.Context) (by merge.By, err error) {
	p := principal.From(c.Request.Context())
	if p.Open || p.Has(principal.Steward) {
		by.Steward = true
		return by, nil
	}
	by.Organization = p.Organization
	by.Caller, err = e.policy.FromRequest(c)
	return by, err
}

// identityRights says which roles may take which action of the index's
// interface. A resident's person is held against their own beside it.
var identityRights = map[string][]principal.Role{
	"identity.match":    {principal.HIS, principal.Clinician, principal.Emergency, principal.Coordinator, principal.Steward},
	"identity.crossref": {principal.HIS, principal.Clinician, principal.Emergency, principal.Steward},
	"identity.person":   {principal.Clinician, principal.Emergency, principal.Steward, principal.Resident},
	"identity.queue":    {principal.Steward},
	"identity.decide":   {principal.Steward},
	"identity.full":     {principal.Steward, principal.Resident},
	"identity.merge":    {principal.HIS, principal.Steward},
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
		{Type: "Patient", Name: "$merge", Handler: h.Merge, Definition: "http://hl7.org/fhir/OperationDefinition/Patient-merge"},
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

// LoadIndex has the index take in all Patients of the store at once. Conflict if it
// knows any already.
func (e *Exchange) LoadIndex(ctx context.Context, o mpi.LoadOptions) (*mpi.Loaded, error) {
	return e.index.Load(ctx, o, func(yield func(fhir.Key) error) error { return e.patients(ctx, yield) })
}

// patients yields the keys of all Patients, as of one moment.
func (e *Exchange) patients(ctx context.Context, yield func(fhir.Key) error) error {
	snap, err := e.Store.Snapshot(ctx, 0)
	if err != nil {
		return err
	}
	defer snap.Close()
	q := &search.Query{Type: "Patient", Count: 1000, Restriction: search.Unrestricted()}
	for {
		page, err := snap.Search(ctx, q)
		if err != nil {
			return err
		}
		for i := range page.Matches {
			if err := yield(page.Matches[i].Key); err != nil {
				return err
			}
		}
		if page.Next == nil {
			return nil
		}
		q.After = page.Next
	}
}
