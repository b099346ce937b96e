package recognition

import (
	"encoding/json"
	"strings"
	"time"

	"hutong/fhir"
	"hutong/profiles"
)

// The parts of the resources that recognition reads.
type (
	reference struct {
		Reference string `json:"reference,omitempty"`
		Display   string `json:"display,omitempty"`
	}
	coding struct {
		System  string `json:"system,omitempty"`
		Code    string `json:"code,omitempty"`
		Display string `json:"display,omitempty"`
	}
	concept struct {
		Coding []coding `json:"coding,omitempty"`
		Text   string   `json:"text,omitempty"`
	}
	period   struct{ Start, End string }
	quantity struct {
		Value              json.Number
		Unit, System, Code string
	}
	extension struct {
		URL                  string
		Extension            []extension
		ValueCode            string
		ValueCoding          coding
		ValueCodeableConcept concept
		ValuePeriod          period
	}
	resource struct {
		ResourceType, ID, Status string
		Extension                []extension
		Code                     concept
		EffectiveDateTime        string
		EffectivePeriod          period
		EffectiveInstant         string
		Issued                   string
		Performer                []reference
		ResultsInterpreter       []reference
		ValueQuantity            *quantity
		ValueCodeableConcept     *concept
		ValueString              string
		Interpretation           []concept
		BodySite                 concept
		Result                   []reference
		ImagingStudy             []reference
		Specimen                 json.RawMessage // Observation: a Reference; DiagnosticReport: several
		Type                     json.RawMessage // Specimen: a CodeableConcept
		Collection               struct {
			CollectedDateTime string
			CollectedPeriod   period
		}
		Name       json.RawMessage // Organization: a string
		Alias      []string
		PartOf     reference
		Identifier []struct{ System, Value string }
		Modality   []coding // ImagingStudy
		Series     []struct {
			UID      string
			Modality coding
			BodySite coding
		}
	}
)

func (c *concept) codes() []fhir.Coding {
	out := make([]fhir.Coding, len(c.Coding))
	for i, x := range c.Coding {
		out[i] = fhir.Coding{System: x.System, Code: x.Code}
	}
	return out
}

func (c *concept) code(system string) string {
	for _, x := range c.Coding {
		if x.System == system {
			return x.Code
		}
	}
	return ""
}

// label is the text of a concept, or the display of its first coding.
func (c *concept) label() string {
	out := c.Text
	for _, x := range c.Coding {
		out = first(out, x.Display, x.Code)
	}
	return out
}

func parse(body []byte) (*resource, error) {
	var r resource
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, fhir.Errorf(fhir.Internal, "a stored resource cannot be read: %w", err)
	}
	return &r, nil
}

// key reads a reference to this server: Type/id, also versioned or absolute.
func (r reference) key() fhir.Key {
	parts := strings.Split(r.Reference, "/")
	if n := len(parts); n >= 4 && parts[n-2] == "_history" {
		parts = parts[:n-2]
	}
	if len(parts) < 2 {
		return fhir.Key{}
	}
	k, _ := fhir.ParseKey(strings.Join(parts[len(parts)-2:], "/"))
	return k
}

// specimens reads Observation.specimen or DiagnosticReport.specimen.
func (r *resource) specimens() []reference {
	var one reference
	var many []reference
	if json.Unmarshal(r.Specimen, &many) == nil {
		return many
	}
	if json.Unmarshal(r.Specimen, &one) == nil {
		return []reference{one}
	}
	return nil
}

// china is where times without a zone are told.
var china = time.FixedZone("CST", 8*3600)

// instant reads a FHIR dateTime or instant; a partial date counts from its
// beginning, which never makes a result look younger than it is.
func instant(s string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02", "2006-01", "2006"} {
		if t, err := time.ParseInLocation(layout, s, china); err == nil {
			return t
		}
	}
	return time.Time{}
}

func first(ss ...string) string {
	for _, s := range ss {
		if s != "" {
			return s
		}
	}
	return ""
}

func (r *resource) effective() time.Time {
	return instant(first(r.EffectiveDateTime, r.EffectiveInstant, r.EffectivePeriod.Start))
}

// mark reads the sender's recognition mark.
func (r *resource) mark() Scope {
	for _, e := range r.Extension {
		if e.URL != profiles.HRMark {
			continue
		}
		for _, sub := range e.Extension {
			if sub.URL == "scope" {
				return Scope{sub.ValueCoding.System, sub.ValueCoding.Code}
			}
		}
	}
	return Scope{}
}

// value shows what was measured.
func (r *resource) value() Text {
	switch {
	case r.ValueQuantity != nil:
		v := r.ValueQuantity.Value.String() + " " + first(r.ValueQuantity.Unit, r.ValueQuantity.Code)
		return Text{v + flag(r.Interpretation, true), v + flag(r.Interpretation, false)}
	case r.ValueCodeableConcept != nil:
		v := r.ValueCodeableConcept.label()
		return Text{v, v}
	}
	return Text{r.ValueString, r.ValueString}
}

// flag shows an interpretation beside a value.
func flag(in []concept, chinese bool) string {
	for _, c := range in {
		for _, x := range c.Coding {
			switch x.Code {
			case "H", "HH":
				return " ↑"
			case "L", "LL":
				return " ↓"
			case "N":
				if chinese {
					return "（正常）"
				}
				return " (normal)"
			}
		}
	}
	return ""
}

// result reads an Observation or DiagnosticReport; what other resources say
// (specimen, laboratory, report, images) is added by the gatherer.
func (r *resource) result(res fhir.Resource) Result {
	out := Result{
		Key: res.Key, VersionID: res.VersionID, Custodian: res.Facts.Custodian,
		Status: r.Status, Codes: r.Code.codes(), Collected: r.effective(), Issued: instant(r.Issued),
		Claimed: r.mark(), Shown: r.value(), Name: r.Code.label(), Signed: len(r.ResultsInterpreter) > 0,
	}
	if q := r.ValueQuantity; q != nil {
		out.Numeric = true
		if q.System == profiles.UCUM {
			out.Unit = q.Code
		}
	}
	for _, c := range r.BodySite.Coding {
		out.BodySite = first(out.BodySite, c.Code)
	}
	return out
}

// specimen adds what a Specimen says.
func (out *Result) specimen(r *resource) {
	var typ concept
	if json.Unmarshal(r.Type, &typ) == nil {
		out.Specimen = typ.code(profiles.Specimen)
	}
	if t := instant(first(r.Collection.CollectedDateTime, r.Collection.CollectedPeriod.Start)); !t.IsZero() {
		out.Collected = t
	}
}

// laboratory is an Organization as recognition sees it.
type laboratory struct {
	name        Text
	area        string // GB/T 2260, from its 统一社会信用代码
	partOf      fhir.Key
	assessments []Assessment
}

func (r *resource) laboratory() *laboratory {
	lab := &laboratory{partOf: r.PartOf.key()}
	_ = json.Unmarshal(r.Name, &lab.name.ZH) // absent in other types
	lab.name.EN = lab.name.ZH
	if len(r.Alias) > 0 {
		lab.name.EN = r.Alias[0]
	}
	for _, id := range r.Identifier {
		if id.System == profiles.USCC && len(id.Value) == 18 {
			lab.area = id.Value[2:8] // GB 32100: the registering authority's division
		}
	}
	for _, e := range r.Extension {
		if a, ok := e.assessment(); ok {
			lab.assessments = append(lab.assessments, a)
		}
	}
	return lab
}

// assessment reads one Organization.qualification that is a round of external
// quality assessment.
func (e *extension) assessment() (Assessment, bool) {
	if e.URL != profiles.OrgQualification {
		return Assessment{}, false
	}
	var a Assessment
	var judged bool
	for _, sub := range e.Extension {
		switch sub.URL {
		case "code":
			a.Item = sub.ValueCodeableConcept.code(profiles.HRItem)
		case "period":
			a.From, a.To = instant(sub.ValuePeriod.Start), endOf(sub.ValuePeriod.End)
		case profiles.EQAOutcome:
			judged = true
			for _, x := range sub.Extension {
				switch x.URL {
				case "result":
					a.Pass = x.ValueCode == "pass"
				case "scope":
					a.Scope = Scope{x.ValueCoding.System, x.ValueCoding.Code}
				}
			}
		}
	}
	return a, judged && a.Item != "" && !a.From.IsZero()
}

// endOf is the last moment of a period's end; a date means its whole day, an
// absent end is open.
func endOf(s string) time.Time {
	if s == "" {
		return time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	}
	t := instant(s)
	if len(s) == len(time.DateOnly) {
		return t.AddDate(0, 0, 1).Add(-time.Nanosecond)
	}
	return t
}
