package audit

import (
	"context"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/gateway/principal"
	"hutong/profiles"
)

// Code systems of AuditEvent.
const (
	typeSystem     = "http://terminology.hl7.org/CodeSystem/audit-event-type"
	restSystem     = "http://hl7.org/fhir/restful-interaction"
	dicomSystem    = "http://dicom.nema.org/resources/ontology/DCM"
	entitySystem   = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
	objectSystem   = "http://terminology.hl7.org/CodeSystem/object-role"
	reasonSystem   = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
	sourceSystem   = "http://terminology.hl7.org/CodeSystem/security-source-type"
	agentSystem    = "http://terminology.hl7.org/CodeSystem/extra-security-role-type"
	actionSystem   = profiles.Canonical + "/CodeSystem/audit-action"
	roleSystem     = profiles.Canonical + "/CodeSystem/role"
	loginSystem    = profiles.Canonical + "/sid/login"
	clientIDSystem = profiles.Canonical + "/sid/client"
)

// maxEntities is how many resources an event names as entities, which can be
// searched by; those beyond stand as details of one entity.
const maxEntities = 32

// The elements of an AuditEvent that we write, in FHIR's order.
type (
	coding  struct{ System, Code, Display string }
	concept struct {
		Coding []coding
		Text   string
	}
	identifier struct{ System, Value string }
	reference  struct {
		Reference  string
		Identifier *identifier
		Display    string
	}
	network struct{ Address, Type string }
	agent   struct {
		Type      *concept
		Role      []concept
		Who       *reference
		AltID     string
		Name      string
		Requestor bool
		Network   *network
	}
	detail struct{ Type, Value string }
	entity struct {
		What   *reference
		Type   *coding
		Role   *coding
		Name   string
		Query  string // base64
		Detail []detail
	}
	source struct {
		Site     string
		Observer reference
		Type     []coding
	}
)

// event is an AuditEvent before it has its place in the chain.
type event struct {
	Type        coding
	Subtype     []coding
	Action      string
	Recorded    time.Time
	Outcome     string
	OutcomeDesc string
	Purpose     []concept
	Agent       []agent
	Source      source
	Entity      []entity

	custodian string
	// partOf: the event tells one person's share of the first event of its
	// request, and refers to it.
	partOf bool
}

// base starts an event with what all have.
func (l *Log) base(ctx context.Context, p *principal.Principal, subject, purpose string, at time.Time) *event {
	if at.IsZero() {
		at = l.cfg.Now()
	}
	e := &event{
		Recorded: at, Outcome: "0", custodian: l.cfg.Custodian,
		Agent: agents(p, subject, principal.OriginOf(ctx)),
		Source: source{
			Site: l.cfg.Site, Observer: reference{Reference: "Organization/" + l.cfg.Custodian},
			Type: []coding{{System: sourceSystem, Code: "4", Display: "Application Server"}},
		},
	}
	if purpose != "" {
		e.Purpose = []concept{{Coding: []coding{{System: reasonSystem, Code: purpose}}}}
	}
	return e
}

// agents are who asked, the application they came through, and the
// organisation they act for.
func agents(p *principal.Principal, subject string, o principal.Origin) []agent {
	var net *network
	if o.Address != "" {
		net = &network{o.Address, "2"}
	}
	if p == nil {
		if subject == "" {
			subject = "system"
		}
		return []agent{{Who: &reference{Identifier: &identifier{loginSystem, subject}}, AltID: subject, Requestor: true, Network: net}}
	}
	who := agent{AltID: p.Subject, Name: p.Name, Requestor: true, Network: net, Who: &reference{Identifier: &identifier{loginSystem, p.Subject}, Display: p.Name}}
	if p.Practitioner != "" {
		who.Who.Reference = "Practitioner/" + p.Practitioner
	}
	for _, r := range p.Roles {
		who.Role = append(who.Role, concept{Coding: []coding{{System: roleSystem, Code: string(r)}}})
	}
	all := []agent{who}
	if p.Client != "" && p.Client != p.Subject {
		all = append(all, agent{Type: &concept{Coding: []coding{{System: dicomSystem, Code: "110150", Display: "Application"}}}, Who: &reference{Identifier: &identifier{clientIDSystem, p.Client}}})
	}
	if p.Organization != "" {
		all = append(all, agent{Type: &concept{Text: "organization"}, Who: &reference{Reference: "Organization/" + p.Organization}})
	}
	return all
}

// describer is a caller that tells who asks, and for what.
type describer interface {
	Principal() *principal.Principal
	Purpose() string
}

// disclosure turns an interaction into events: one that tells all, if it
// concerns one person at most. Else the first tells all without naming a
// Patient, for auditors, and one a person names that person alone, so that
// what a resident sees of it is about nobody else.
func (l *Log) disclosure(ctx context.Context, d interact.Disclosure) ([]*event, error) {
	p, purpose := principal.From(ctx), ""
	if c, ok := d.Caller.(describer); ok {
		p, purpose = c.Principal(), c.Purpose()
	}
	make1 := func() *event {
		e := l.base(ctx, p, "", purpose, d.At)
		e.Type = coding{System: typeSystem, Code: "rest", Display: "RESTful Operation"}
		e.Subtype = []coding{{System: restSystem, Code: d.Op.Interaction}}
		if d.Op.Interaction != "" && d.Op.Interaction[0] == '$' {
			e.Subtype = []coding{{System: restSystem, Code: "operation"}, {System: actionSystem, Code: d.Op.Interaction}}
		}
		e.Action = actionOf(d.Op.Interaction)
		e.fail(d.Err)
		return e
	}
	groups, err := l.byPerson(ctx, d.Patients)
	if err != nil {
		return nil, err
	}
	// One record serves the person and the auditors, unless it would tell the
	// person of others: of other matches, or of an alternative that the query
	// named beside them.
	shared := len(groups) == 0 || len(groups) == 1 && !alternatives(d.Query)
	whole := make1()
	whole.Entity = entitiesOf(&d, shared)
	events := []*event{whole}
	if shared {
		return events, nil
	}
	for _, members := range groups {
		part := make1()
		part.partOf, part.Entity = true, patients(members)
		if len(groups) == 1 { // all that was disclosed is theirs; only the query may not be
			part.Entity = entitiesOf(&interact.Disclosure{Op: d.Op, Patients: d.Patients, Keys: d.Keys, Total: -1}, true)
		}
		events = append(events, part)
	}
	return events, nil
}

// alternatives reports whether a query names several values for a criterion.
func alternatives(query string) bool {
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		criterion := !strings.HasPrefix(name, "_") || name == "_id" || strings.HasPrefix(name, "_has")
		if criterion && (strings.Contains(value, ",") || strings.Contains(strings.ToUpper(value), "%2C")) {
			return true
		}
	}
	return false
}

// fail notes the outcome: 4 for what the caller may mend, 8 for what failed
// here.
func (e *event) fail(err error) {
	if err == nil {
		return
	}
	e.Outcome = "4"
	kind := fhir.KindOf(err)
	if kind == fhir.Internal || kind == fhir.Busy || kind == fhir.Timeout {
		e.Outcome = "8"
	}
	e.OutcomeDesc = kindNames[kind]
}

// kindNames describe failures without repeating what the caller sent.
var kindNames = map[fhir.Kind]string{
	fhir.Internal: "internal error", fhir.Invalid: "invalid request", fhir.Structure: "malformed body",
	fhir.Unauthorized: "not authenticated", fhir.Forbidden: "forbidden", fhir.NotFound: "not found", fhir.Gone: "deleted",
	fhir.MethodNotAllowed: "method not allowed", fhir.NotAcceptable: "not acceptable", fhir.Conflict: "conflict",
	fhir.PreconditionFailed: "precondition failed", fhir.MultipleMatches: "multiple matches", fhir.TooLarge: "too large",
	fhir.UnsupportedMedia: "unsupported media type", fhir.Unprocessable: "not processable", fhir.NotSupported: "not supported",
	fhir.TooCostly: "too costly", fhir.Throttled: "throttled", fhir.Busy: "busy", fhir.Timeout: "timeout",
}

func actionOf(interaction string) string {
	switch interaction {
	case "create":
		return "C"
	case "update", "patch":
		return "U"
	case "delete":
		return "D"
	case "read", "vread", "history-instance", "history-type", "history-system":
		return "R"
	}
	return "E"
}

// byPerson groups patients by person, in order of mention.
func (l *Log) byPerson(ctx context.Context, all []fhir.Key) ([][]fhir.Key, error) {
	var groups [][]fhir.Key
	of := map[fhir.Key]int{}
	for _, k := range all {
		i, known := of[k]
		if !known {
			i, groups = len(groups), append(groups, nil)
			of[k] = i
			if l.cfg.Persons != nil {
				members, err := l.cfg.Persons.Members(ctx, k)
				if err != nil {
					return nil, err
				}
				for _, m := range members {
					of[m] = i
				}
			}
		}
		if !slices.Contains(groups[i], k) {
			groups[i] = append(groups[i], k)
		}
	}
	return groups, nil
}

func systemObject() *coding {
	return &coding{System: entitySystem, Code: "2", Display: "System Object"}
}

func patients(keys []fhir.Key) []entity {
	var all []entity
	for _, k := range keys {
		all = append(all, entity{
			What: &reference{Reference: k.String()},
			Type: &coding{System: entitySystem, Code: "1", Display: "Person"},
			Role: &coding{System: objectSystem, Code: "1", Display: "Patient"},
		})
	}
	return all
}

// entitiesOf names the patients (if named), the resources and the query.
func entitiesOf(d *interact.Disclosure, named bool) []entity {
	var all []entity
	if named {
		all = patients(d.Patients)
	}
	resources := slices.DeleteFunc(slices.Clone(d.Keys), func(k fhir.Key) bool {
		return k.ID == "" || k.Type == "Patient" && (!named || slices.Contains(d.Patients, k))
	})
	all = append(all, objects(resources)...)
	if d.Query != "" || d.Total >= 0 {
		q := entity{Type: systemObject(), Role: &coding{System: objectSystem, Code: "24", Display: "Query"}}
		q.Query = base64.StdEncoding.EncodeToString([]byte(d.Query))
		if d.Op.Type != "" {
			q.Detail = append(q.Detail, detail{"type", string(d.Op.Type)})
		}
		if d.Total >= 0 {
			q.Detail = append(q.Detail, detail{"total", strconv.Itoa(d.Total)})
		}
		all = append(all, q)
	}
	return all
}

// objects names resources: the first as entities, the rest as details of one.
func objects(keys []fhir.Key) []entity {
	var all []entity
	role := &coding{System: objectSystem, Code: "4", Display: "Domain Resource"}
	for _, k := range keys[:min(len(keys), maxEntities)] {
		all = append(all, entity{What: &reference{Reference: k.String()}, Type: systemObject(), Role: role})
	}
	if len(keys) > maxEntities {
		rest := entity{Type: systemObject(), Role: role, Name: "further resources"}
		for _, k := range keys[maxEntities:] {
			rest.Detail = append(rest.Detail, detail{"resource", k.String()})
		}
		all = append(all, rest)
	}
	return all
}
