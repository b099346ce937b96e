package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/interact"
	"hutong/fhir/search"
	"hutong/fhir/subscription"
	"hutong/gateway/consent"
	"hutong/gateway/principal"
)

// openHooks makes the room of Subscriptions curate its type.
func (e *Exchange) openHooks(x *search.Extractor, defs *definition.Set, cfg *interact.Config) (err error) {
	e.hooks, err = subscription.New(subscription.Config{
		Store: e.Store, Space: e.Store.Space("subscription"), Defs: defs, Parser: e.parser, Extractor: x, Persons: e.index,
		Auditor: e.trail, Access: subscribers{e}, BaseURL: cfg.BaseURL, Custodian: e.cfg.Operator,
		Content: e.cfg.HookBody, Hosts: e.cfg.hookHosts(), Log: e.log, Metrics: e.metrics,
	})
	if err != nil {
		return err
	}
	cfg.Curators = map[fhir.Type]interact.Curator{subscription.Type: e.hooks}
	cfg.About.Documentation = map[fhir.Type]string{subscription.Type: e.hooks.Documentation()}
	return nil
}

// hookHosts adds this machine for an exchange that only this machine reaches:
// a development set-up.
func (s *Settings) hookHosts() []string {
	if host, _, ok := strings.Cut(s.Listen, ":"); ok && loopback(host) {
		return append(slices.Clone(s.HookHosts), "localhost", "127.0.0.0/8", "::1")
	}
	return s.HookHosts
}

// subscribers admits the systems of organisations. What they are told of is
// what their system sees and, for treatment, what those who treat at the
// organisation would see of the same patients: a hospital hears that another
// one has a result of a patient whom it treats, and its doctors read it, each
// in their own name.
type subscribers struct{ e *Exchange }

// Admit implements subscription.Access.
func (s subscribers) Admit(ctx context.Context, c interact.Caller) ([]byte, error) {
	p := principal.From(ctx)
	if p == nil {
		return nil, fhir.Errorf(fhir.Unauthorized, "an access token is required")
	}
	if !p.Has(principal.HIS) || p.Organization == "" {
		return nil, fhir.Errorf(fhir.Forbidden, "Subscriptions are for the systems of organisations")
	}
	purpose := p.Purpose
	if stated, ok := c.(interface{ Purpose() string }); ok {
		purpose = stated.Purpose()
	}
	raw, err := json.Marshal(acting{*p, purpose})
	if err != nil {
		return nil, fhir.Errorf(fhir.Internal, "subscription: %w", err)
	}
	return raw, nil
}

// Resume implements subscription.Access: with the scopes that the client was
// given then and still may have.
func (s subscribers) Resume(ctx context.Context, raw []byte) (context.Context, interact.Caller, error) {
	var as acting
	if err := json.Unmarshal(raw, &as); err != nil {
		return nil, nil, fhir.Errorf(fhir.Internal, "subscription: who subscribed cannot be read: %w", err)
	}
	p := &as.Principal
	registered, err := s.e.Auth.Client(ctx, p.Client)
	if err != nil {
		return nil, nil, err
	}
	if registered.Organization != p.Organization {
		return nil, nil, fhir.Errorf(fhir.Forbidden, "the client acts for another organisation now")
	}
	p.Scopes = slices.DeleteFunc(p.Scopes, func(scope string) bool { return !principal.Granted(registered.Scopes, scope) })
	system, err := s.e.policy.Caller(p, as.Purpose)
	if err != nil {
		return nil, nil, err
	}
	treating := *p
	treating.Roles, treating.Purpose, treating.Scopes = []principal.Role{principal.Clinician}, "", slices.Clone(p.Scopes)
	for i, scope := range treating.Scopes {
		treating.Scopes[i] = strings.Replace(scope, "system/", "user/", 1)
	}
	sub := subscriber{Caller: system}
	if people, err := s.e.policy.Caller(&treating, as.Purpose); err == nil { // else its purpose is not one of treatment
		sub.people = people
	}
	return principal.With(ctx, p), sub, nil
}

// subscriber is a system as far as it is notified.
type subscriber struct {
	interact.Caller
	people interact.Caller // those who treat at its organisation; nil: not for this purpose
}

// Principal tells the audit trail who is told.
func (s subscriber) Principal() *principal.Principal {
	if c, ok := s.Caller.(*consent.Caller); ok {
		return c.Principal()
	}
	return nil
}

// Purpose tells the audit trail for what.
func (s subscriber) Purpose() string {
	if c, ok := s.Caller.(*consent.Caller); ok {
		return c.Purpose()
	}
	return ""
}

// Restrict implements interact.Caller. Denials are those of the people: none
// of them hides from an organisation what it keeps itself.
func (s subscriber) Restrict(ctx context.Context, op interact.Op, about []fhir.Key) (search.Restriction, error) {
	own, err := s.Caller.Restrict(ctx, op, about)
	if err != nil || s.people == nil {
		return own, err
	}
	treated, err := s.people.Restrict(ctx, op, about)
	if errors.Is(err, fhir.E(fhir.Forbidden)) {
		return own, nil // no relationship
	}
	own.Permit, own.Deny = append(own.Permit, treated.Permit...), treated.Deny
	return own, err
}
