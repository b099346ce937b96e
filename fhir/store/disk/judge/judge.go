// Package judge decides what a caller may see from postings alone, where their
// classes suffice. It holds the same rules as search.Restriction.Sees, with a
// third answer: the facts row must be read.
package judge

import (
	"slices"
	"time"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store/disk/layout"
)

// Verdict on a candidate.
type Verdict uint8

// The verdicts. They are ordered: of what rules say, the highest counts.
const (
	No    Verdict = iota // it is not visible
	Maybe                // its facts row tells
	Yes                  // it is visible
)

// Names gives the name of an interned number.
type Names interface {
	Name(id uint32) (string, error)
}

// Judge holds one restriction against the postings of one type at one moment.
// It is not safe for concurrent use.
type Judge struct {
	all     bool
	names   Names
	deny    []*rule
	permit  []*rule
	rulings map[uint32]*ruling
	class   uint32 // the last one that was asked about, and
	last    *ruling
}

// rule is a Rule that concerns the type and the moment.
type rule struct {
	*search.Rule
	homes    []uint32 // hashes of its patients, sorted
	within   bool     // every candidate lies in the compartment of one of its patients
	from, to int64    // milliseconds; the whole of time if open
	rest     bool     // it has conditions that no class decides
}

// ruling is what the class of a candidate leaves of the rules.
type ruling struct {
	settled      bool
	verdict      Verdict
	deny, permit []*rule
	class        layout.Class
}

// New prepares r for candidates of type t. within may name patients such that
// every candidate lies in the compartment of one of them.
func New(r *search.Restriction, t fhir.Type, now time.Time, within []fhir.Key, names Names) *Judge {
	j := &Judge{all: r.System, names: names, rulings: map[uint32]*ruling{}}
	if r.System || !r.Decided {
		return j
	}
	j.deny, j.permit = rules(r.Deny, t, now, within), rules(r.Permit, t, now, within)
	return j
}

func rules(of []search.Rule, t fhir.Type, now time.Time, within []fhir.Key) (out []*rule) {
	for i := range of {
		r := &of[i]
		if !concerns(r, t, now) {
			continue
		}
		p := &rule{Rule: r, from: ceil(r.From), to: ceil(r.To), within: len(within) > 0}
		for _, k := range within {
			p.within = p.within && slices.Contains(r.Patients, k)
		}
		for _, k := range r.Patients {
			p.homes = append(p.homes, layout.HashOf(k.ID))
		}
		slices.Sort(p.homes)
		p.rest = len(r.Keys)+len(r.Categories)+len(r.Codes)+len(r.Authors)+len(r.NotAuthors) > 0
		out = append(out, p)
	}
	return out
}

func concerns(r *search.Rule, t fhir.Type, now time.Time) bool {
	return (r.Until.IsZero() || now.Before(r.Until)) && (len(r.Types) == 0 || slices.Contains(r.Types, t)) && !slices.Contains(r.NotTypes, t)
}

// ceil is the first millisecond not before t.
func ceil(t time.Time) int64 { return t.Add(time.Millisecond - 1).UnixMilli() }

// Compartments gives the patients in one of whose compartments everything of
// type t lies that r permits; ok is false if r permits more than that.
func Compartments(r *search.Restriction, t fhir.Type, now time.Time) (patients []fhir.Key, ok bool) {
	if r.System {
		return nil, false
	}
	for i := range r.Permit {
		rule := &r.Permit[i]
		if !r.Decided || !concerns(rule, t, now) {
			continue
		}
		if len(rule.Patients) == 0 {
			return nil, false
		}
		for _, k := range rule.Patients {
			if k.Type != "Patient" {
				return nil, false
			}
			if !slices.Contains(patients, k) {
				patients = append(patients, k)
			}
		}
	}
	return patients, true
}

// All reports whether everything is visible.
func (j *Judge) All() bool { return j.all }

// Of judges the candidate of a class that stands at p.
func (j *Judge) Of(class uint32, p layout.Place) (Verdict, error) {
	if j.all {
		return Yes, nil
	}
	if j.last == nil || j.class != class {
		r, err := j.ruling(class)
		if err != nil {
			return No, err
		}
		j.class, j.last = class, r
	}
	if j.last.settled {
		return j.last.verdict, nil
	}
	return j.last.of(p), nil
}

// Settled gives the verdict on all candidates of a class, if it does not depend
// on the place.
func (j *Judge) Settled(class uint32) (v Verdict, settled bool, err error) {
	if j.all {
		return Yes, true, nil
	}
	r, err := j.ruling(class)
	if err != nil {
		return No, false, err
	}
	return r.verdict, r.settled && r.verdict != Maybe, nil
}

func (j *Judge) ruling(class uint32) (*ruling, error) {
	if r := j.rulings[class]; r != nil {
		return r, nil
	}
	r := &ruling{settled: true, verdict: Maybe}
	j.rulings[class] = r
	if len(j.permit) == 0 {
		r.verdict = No
		return r, nil
	}
	name, err := "", error(nil)
	if class != 0 {
		name, err = j.names.Name(class)
	}
	if err != nil {
		return nil, err
	}
	c, ok := layout.ParseClass(name)
	if !ok {
		return r, nil
	}
	r.class = c
	r.deny, r.permit = left(j.deny, &c), left(j.permit, &c)
	r.settle()
	return r, nil
}

// left gives the rules whose conditions on the class hold.
func left(rules []*rule, c *layout.Class) (out []*rule) {
	for _, r := range rules {
		if (!r.NoPatient || c.Patients == 0) && (len(r.Patients) == 0 || c.Patients > 0) &&
			(len(r.Custodians) == 0 || slices.Contains(r.Custodians, c.Custodian)) && !slices.Contains(r.NotCustody, c.Custodian) &&
			(len(r.Labels) == 0 || slices.ContainsFunc(c.Labels, func(l fhir.Coding) bool { return slices.Contains(r.Labels, l) })) {
			out = append(out, r)
		}
	}
	return out
}

// settle finds a verdict that does not depend on the place.
func (r *ruling) settle() {
	r.settled = true
	switch {
	case len(r.permit) == 0 || slices.ContainsFunc(r.deny, r.always):
		r.verdict = No
	case len(r.deny) == 0 && slices.ContainsFunc(r.permit, r.always):
		r.verdict = Yes
	default:
		r.settled = false
	}
}

// always reports whether the rule holds for every candidate of the class.
func (r *ruling) always(p *rule) bool {
	return !p.rest && (len(p.Patients) == 0 || p.within) && (p.From.IsZero() && p.To.IsZero() || !r.class.Dated)
}

func (r *ruling) of(p layout.Place) Verdict {
	denied := No
	for _, rule := range r.deny {
		denied = max(denied, r.holds(rule, p))
	}
	if denied == Yes {
		return No
	}
	seen := No
	for _, rule := range r.permit {
		seen = max(seen, r.holds(rule, p))
	}
	return min(seen, Yes-denied)
}

// holds tells whether a rule that the class leaves holds at a place.
func (r *ruling) holds(rule *rule, p layout.Place) Verdict {
	if r.class.Dated {
		at := p.Ord.Moment()
		if !rule.From.IsZero() && at < rule.from || !rule.To.IsZero() && at >= rule.to {
			return No
		}
	}
	v := Yes
	if len(rule.Patients) > 0 && !rule.within {
		v = Maybe
		if _, near := slices.BinarySearch(rule.homes, p.RID.Home()); !near && r.class.Patients == 1 {
			return No
		}
	}
	if rule.rest {
		v = Maybe
	}
	return v
}
