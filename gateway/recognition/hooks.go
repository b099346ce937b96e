package recognition

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/gateway/principal"
)

// The hooks that are served, each under an id of its own name (CDS Hooks 2.0).
var hooks = []string{"order-select", "order-sign"}

// maxOrders bounds the draft orders of one hook call.
const maxOrders = 50

// service is one entry of the discovery document.
type service struct {
	Hook        string `json:"hook"`
	ID          string `json:"id"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Usage       string `json:"usageRequirements"`
}

func discovery(en bool) []service {
	t := pickText(en)
	var out []service
	for _, h := range hooks {
		out = append(out, service{
			Hook: h, ID: h, Title: t(Text{"检查检验结果互认", "Recognition of results"}),
			Description: t(Text{"开立医嘱时提示其他机构可互认的近期结果，并说明依据。", "When an order is drafted, shows recent results of other institutions that may stand in its place, and why."}),
			Usage:       t(Text{"需要诊疗目的的访问令牌，并与患者存在诊疗关系。", "Needs an access token with a treatment purpose and a treatment relationship."}),
		})
	}
	return out
}

// hookRequest is the body of a hook call.
type hookRequest struct {
	Hook         string
	HookInstance string
	Context      struct {
		UserID      string
		PatientID   string
		EncounterID string
		Selections  []string
		DraftOrders struct {
			Entry []struct{ Resource json.RawMessage }
		}
	}
}

// draft is a ServiceRequest that is being ordered.
type draft struct {
	ResourceType, ID string
	Code             concept
	BodySite         []concept
	Subject          reference
	raw              json.RawMessage
	key              string // ServiceRequest/id
}

// asking is one hook call, understood.
type asking struct {
	caller    interact.Caller
	who       *principal.Principal
	purpose   string
	patient   fhir.Key
	encounter string
	instance  string
	orders    []draft
	area      string
	now       time.Time
	en        bool
}

// cards answers a hook call: one card an order that has eligible results.
func (s *Service) cards(ctx context.Context, a *asking) ([]card, error) {
	out := []card{}
	for i := range a.orders {
		o := &a.orders[i]
		it, ok := s.rules.itemOf(o.Code.codes())
		if !ok {
			continue
		}
		results, err := s.results(ctx, a.caller, a.patient, it, a.now)
		if err != nil {
			return nil, err
		}
		if eligible := s.eligible(a, o, results); len(eligible) > 0 {
			c := s.card(a, o, eligible)
			if err := s.remember(ctx, a, o, &c, eligible); err != nil {
				return nil, err
			}
			out = append(out, c)
		}
	}
	return out, nil
}

// match is a result with the decision that makes it eligible.
type match struct {
	Result
	Decision
	mark Verification
}

// eligible keeps the results of other institutions that pass every clause, the
// newest first. An institution's own results need no recognition.
func (s *Service) eligible(a *asking, o *draft, results []Result) []match {
	order := Order{Codes: o.Code.codes(), Area: a.area, Purpose: a.purpose}
	for _, b := range o.BodySite {
		for _, c := range b.Coding {
			order.BodySite = first(order.BodySite, c.Code)
		}
	}
	var out []match
	for _, r := range results {
		if r.Custodian == a.who.Organization && r.Custodian != "" {
			continue
		}
		if d := s.rules.Eligible(r, order, a.now); d.Eligible {
			out = append(out, match{r, d, s.rules.VerifyMark(r)})
		}
	}
	return out
}

// understand checks a hook call and finds whose request it is.
func (s *Service) understand(ctx context.Context, p *principal.Principal, hook, purpose string, req *hookRequest) (*asking, error) {
	if !slices.Contains(hooks, hook) {
		return nil, fhir.Errorf(fhir.NotFound, "no such service")
	}
	if req.Hook != hook {
		return nil, fhir.Errorf(fhir.Invalid, "the hook of the request is not that of the service").At("hook")
	}
	if req.HookInstance == "" {
		return nil, fhir.Errorf(fhir.Invalid, "hookInstance is required").At("hookInstance")
	}
	patient, ok := fhir.ParseKey("Patient/" + strings.TrimPrefix(req.Context.PatientID, "Patient/"))
	if !ok {
		return nil, fhir.Errorf(fhir.Invalid, "patientId is the id of a Patient").At("context.patientId")
	}
	caller, err := s.cfg.Callers.Caller(p, purpose)
	if err != nil {
		return nil, err
	}
	orders, err := drafts(req)
	if err != nil {
		return nil, err
	}
	org, err := s.labs.get(ctx, s.cfg.Records, fhir.Key{Type: "Organization", ID: p.Organization}, s.cfg.Now())
	if err != nil {
		return nil, err
	}
	return &asking{
		caller: caller, who: p, purpose: purposeOf(p, purpose), patient: patient, encounter: strings.TrimPrefix(req.Context.EncounterID, "Encounter/"),
		instance: req.HookInstance, orders: orders, area: org.area, now: s.cfg.Now(),
	}, nil
}

// purposeOf is the purpose that counts: the one stated, else the token's; an
// open server is for development and treats.
func purposeOf(p *principal.Principal, stated string) string {
	switch {
	case stated != "":
		return stated
	case p.Purpose != "":
		return p.Purpose
	}
	return "TREAT"
}

// drafts reads the ServiceRequests of a call; of order-select only those that
// are selected.
func drafts(req *hookRequest) ([]draft, error) {
	entries := req.Context.DraftOrders.Entry
	if len(entries) > maxOrders {
		return nil, fhir.Errorf(fhir.TooLarge, "at most %d draft orders a call", maxOrders).At("context.draftOrders")
	}
	var out []draft
	for _, e := range entries {
		var d draft
		if err := json.Unmarshal(e.Resource, &d); err != nil {
			return nil, fhir.Errorf(fhir.Structure, "a draft order cannot be read").At("context.draftOrders")
		}
		d.raw, d.key = e.Resource, "ServiceRequest/"+d.ID
		if d.ResourceType != "ServiceRequest" || req.Hook == "order-select" && !slices.Contains(req.Context.Selections, d.key) {
			continue
		}
		if !fhir.ValidID(d.ID) {
			return nil, fhir.Errorf(fhir.Invalid, "a draft order has an id").At("context.draftOrders")
		}
		out = append(out, d)
	}
	return out, nil
}
