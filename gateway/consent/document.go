package consent

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"hutong/fhir"
	"hutong/profiles"
)

// GlassSystem and GlassCode categorise the Consent by which a broken glass is
// kept: a permission that the exchange gives itself, not the patient.
const (
	GlassSystem = profiles.Canonical + "/CodeSystem/consent-kind"
	GlassCode   = "break-glass"
)

// document is a FHIR Consent as far as decisions read it.
type document struct {
	ResourceType string      `json:"resourceType"`
	ID           string      `json:"id"`
	Status       string      `json:"status"`
	Scope        concept     `json:"scope"`
	Category     []concept   `json:"category"`
	Patient      reference   `json:"patient"`
	PolicyRule   concept     `json:"policyRule"`
	Provision    *provision  `json:"provision"`
	Modifier     []any       `json:"modifierExtension"`
	Extension    []extension `json:"extension"`
}

type extension struct {
	URL   string  `json:"url"`
	Value concept `json:"valueCodeableConcept"`
}

type provision struct {
	Type      string      `json:"type"`
	Period    period      `json:"period"`
	Actor     []actor     `json:"actor"`
	Action    []concept   `json:"action"`
	Label     []coding    `json:"securityLabel"`
	Purpose   []coding    `json:"purpose"`
	Class     []coding    `json:"class"`
	Code      []concept   `json:"code"`
	DataTime  *period     `json:"dataPeriod"`
	Data      []datum     `json:"data"`
	Provision []provision `json:"provision"`
}

type actor struct {
	Role      concept   `json:"role"`
	Reference reference `json:"reference"`
}

type datum struct {
	Meaning   string    `json:"meaning"`
	Reference reference `json:"reference"`
}

type concept struct {
	Coding []coding `json:"coding"`
	Text   string   `json:"text"`
}

type coding struct {
	System string `json:"system"`
	Code   string `json:"code"`
}

type reference struct {
	Reference string `json:"reference"`
}

type period struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

func (c concept) has(system, code string) bool {
	return slices.Contains(c.Coding, coding{system, code})
}

func (c concept) code(system string) string {
	for _, x := range c.Coding {
		if x.System == system {
			return x.Code
		}
	}
	return ""
}

func parseDocument(raw []byte) (*document, error) {
	d := &document{}
	if err := json.Unmarshal(raw, d); err != nil {
		return nil, fhir.Errorf(fhir.Internal, "a stored Consent cannot be read: %w", err)
	}
	return d, nil
}

// glass reports whether the document is a broken glass.
func (d *document) glass() bool {
	return slices.ContainsFunc(d.Category, func(c concept) bool { return c.has(GlassSystem, GlassCode) })
}

// privacy reports whether the document speaks of who may see what. A consent
// to treatment, research or an advance directive does not.
func (d *document) privacy() bool {
	return d.Status == "active" && d.Scope.has(ScopeSystem, "patient-privacy")
}

// clock is how periods are read: at a moment, and in which zone dates without
// one lie.
type clock struct {
	now  time.Time
	zone *time.Location
}

// holds reports whether the period includes the present. A bound that cannot
// be read gives ok false: a denial then holds, a permission does not.
func (c clock) holds(p period) (in, ok bool) {
	start, _, err1 := bounds(p.Start, c.zone)
	_, end, err2 := bounds(p.End, c.zone)
	if err1 != nil || err2 != nil {
		return false, false
	}
	return (p.Start == "" || !c.now.Before(start)) && (p.End == "" || c.now.Before(end)), true
}

// bounds gives the first moment of a FHIR dateTime and the first one after it,
// by its precision: a day ends at midnight, an instant with its millisecond.
func bounds(text string, zone *time.Location) (from, to time.Time, err error) {
	if text == "" {
		return from, to, nil
	}
	for _, l := range []struct {
		layout  string
		y, m, d int
		span    time.Duration
	}{
		{layout: "2006", y: 1}, {layout: "2006-01", m: 1}, {layout: "2006-01-02", d: 1},
		{layout: time.RFC3339, span: time.Second},
	} {
		if from, err = time.ParseInLocation(l.layout, text, zone); err == nil {
			if strings.Contains(text, ".") { // RFC 3339 takes a fraction unasked
				l.span = time.Millisecond
			}
			return from, from.AddDate(l.y, l.m, l.d).Add(l.span), nil
		}
	}
	return from, to, err
}

// key reads a reference to a resource of this server; base is the FHIR base.
func (r reference) key(base string) (fhir.Key, bool) {
	text := strings.TrimPrefix(r.Reference, base+"/")
	if at := strings.Index(text, "/_history/"); at > 0 {
		text = text[:at]
	}
	return fhir.ParseKey(text)
}
