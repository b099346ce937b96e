package layout

import (
	"encoding/binary"
	"math"
	"time"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/search"
)

// Class is what a posting says of its resource beside where it stands: facts
// that many resources share, interned as one name, so that a search decides
// what a caller may see, and what was dated when, from the posting alone.
type Class struct {
	Custodian string
	Labels    []fhir.Coding
	Patients  int  // the compartments it lies in: 0, 1, or 2 for several
	Dated     bool // Ord is the clinical date, not lastUpdated
	// DateParam is a date parameter whose only value is [clinical date,
	// clinical date + Span); "" if there is none.
	DateParam string
	Span      int64 // microseconds
}

// maxClass bounds the name of a class: who carries more labels than fit has
// none.
const maxClass = 255

// spans are the lengths that a date has for its precision, in microseconds.
// Others are periods, which are too many to name.
var spans = [...]int64{1, 1000, 1_000_000, 60_000_000, 3_600_000_000, day, 28 * day, 29 * day, 30 * day, 31 * day, 365 * day, 366 * day}

// className names the class of a resource in the table of names; "" if it has
// none.
func className(f *fhir.Facts, entries []search.Entry) string {
	b := make([]byte, 1, 96)
	b[0] = 2
	dated := !f.Clinical.IsZero()
	if o := OrdOf(f.Clinical); dated && (o == 0 || o == 2*ordBias-1) {
		return "" // the order may not tell the date
	}
	flags := byte(min(len(f.Patients), 2))
	if dated {
		flags |= 4
	}
	b = append(b, flags)
	b = appendText(b, f.Custodian)
	b = binary.AppendUvarint(b, uint64(len(f.Labels)))
	for _, c := range f.Labels {
		b = appendText(appendText(b, c.System), c.Code)
	}
	if code, span := soleDate(f.Clinical, entries); dated && code != "" {
		b = append(appendText(b, code), span)
	}
	if len(b) > maxClass {
		return ""
	}
	return string(b)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// soleDate finds a date parameter whose only value begins at the clinical date,
// to the millisecond that postings keep; span is its place among the spans.
// That named "date" is asked for most often.
func soleDate(clinical time.Time, entries []search.Entry) (code string, span byte) {
	at := clinical.UnixMicro()
	for i := range entries {
		e := &entries[i]
		if e.Param.Type != definition.Date || e.Lo != at || at%1000 != 0 || code != "" && e.Param.Code != "date" {
			continue
		}
		if n := spanOf(e.Hi - e.Lo); n >= 0 && sole(e, entries) {
			code, span = e.Param.Code, byte(n)
		}
	}
	return code, span
}

func spanOf(us int64) int {
	for i, s := range spans {
		if s == us {
			return i
		}
	}
	return -1
}

func sole(e *search.Entry, entries []search.Entry) bool {
	for i := range entries {
		if other := &entries[i]; other != e && other.Param.Code == e.Param.Code {
			return false
		}
	}
	return true
}

// ParseClass reads a class off its name; ok is false for any other name.
func ParseClass(name string) (c Class, ok bool) {
	if len(name) < 2 || name[0] != 2 {
		return c, false
	}
	r := reader{b: []byte(name[2:])}
	c.Patients, c.Dated = int(name[1]&3), name[1]&4 != 0
	c.Custodian = r.take(int(r.uint()))
	for n := r.uint(); n > 0 && r.err == nil; n-- {
		c.Labels = append(c.Labels, fhir.Coding{System: r.take(int(r.uint())), Code: r.take(int(r.uint()))})
	}
	if len(r.b) > 0 {
		c.DateParam = r.take(int(r.uint()))
		if n := int(r.byte()); n < len(spans) {
			c.Span = spans[n]
		}
	}
	return c, r.err == nil
}

// Moment is the moment that an order stands for, in milliseconds.
func (o Ord) Moment() int64 { return ordBias - 1 - int64(o) }

// HomeOf is the patient whose rows a resource lies with: its own id for a
// Patient, the first patient of its facts otherwise, "" if there is none.
func HomeOf(k fhir.Key, f *fhir.Facts) string {
	switch {
	case k.Type == "Patient":
		return k.ID
	case len(f.Patients) > 0:
		return f.Patients[0].ID
	}
	return ""
}

// Home is the part of a RID that its patient gives; HashOf that of a patient's
// id. Two patients may share it.
func (r RID) Home() uint32 { return uint32(r >> 40) }

// HashOf gives the Home of the rows that lie with a patient.
func HashOf(patient string) uint32 { return NewRID(patient, 0).Home() }

// AppendPosted appends the value of a posting: the commit from which it holds
// and the number of its class, 0 for none.
func AppendPosted(b []byte, from fhir.T, class uint32) []byte {
	b = binary.AppendUvarint(b, uint64(from))
	if class == 0 {
		return b
	}
	return binary.AppendUvarint(b, uint64(class))
}

// PostedOf reads AppendPosted; from is 0 for a damaged value.
func PostedOf(v []byte) (from fhir.T, class uint32) {
	u, n := binary.Uvarint(v)
	if n <= 0 {
		return 0, 0
	}
	if n == len(v) {
		return fhir.T(u), 0
	}
	c, k := binary.Uvarint(v[n:])
	if k <= 0 || c > math.MaxUint32 {
		return 0, 0
	}
	return fhir.T(u), uint32(c)
}
