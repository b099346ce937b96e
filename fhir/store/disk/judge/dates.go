package judge

import (
	"hutong/fhir/definition"
	"hutong/fhir/search"
	"hutong/fhir/store/disk/layout"
)

// Dates holds a predicate on a date parameter against postings: where the order
// of a posting is the only value of the parameter, it decides. It is not safe
// for concurrent use.
type Dates struct {
	pred  *search.Predicate
	names Names
	spans map[uint32]int64 // by class: the length of the value in microseconds; 0 if the class does not tell
	class uint32           // the last one, and
	span  int64
}

// NewDates prepares pred; nil if it is not one that postings decide.
// _lastUpdated is not a value of the body, to which Maybe leads.
func NewDates(pred *search.Predicate, names Names) *Dates {
	if pred.Param == nil || pred.Param.Type != definition.Date || pred.Modifier != search.NoModifier || len(pred.Chain) > 0 || pred.Param.Code == layout.UpdatedList {
		return nil
	}
	return &Dates{pred: pred, names: names, spans: map[uint32]int64{}}
}

// Of tells whether the candidate of a class that stands at p satisfies the
// predicate; Maybe if its values must be looked at.
func (d *Dates) Of(class uint32, p layout.Place) (Verdict, error) {
	if class == 0 {
		return Maybe, nil
	}
	if d.class != class {
		span, err := d.Span(class)
		if err != nil {
			return No, err
		}
		d.class, d.span = class, span
	}
	if d.span == 0 {
		return Maybe, nil
	}
	lo := p.Ord.Moment() * 1000
	for i := range d.pred.Values {
		if search.MatchDate(&d.pred.Values[i], lo, lo+d.span) {
			return Yes, nil
		}
	}
	return No, nil
}

// Span is the length of the date that a class tells, in microseconds; 0 if it
// does not tell it.
func (d *Dates) Span(class uint32) (int64, error) {
	if span, known := d.spans[class]; known || class == 0 {
		return span, nil
	}
	name, err := d.names.Name(class)
	if err != nil {
		return 0, err
	}
	span := int64(0)
	if c, ok := layout.ParseClass(name); ok && c.DateParam == d.pred.Param.Code {
		span = c.Span
	}
	d.spans[class] = span
	return span, nil
}
