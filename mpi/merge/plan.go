package merge

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"hutong/fhir"
)

// record is as much of a Patient as a merge changes.
type record struct {
	ResourceType string            `json:"resourceType"`
	ID           string            `json:"id"`
	Active       *bool             `json:"active"`
	Identifier   []json.RawMessage `json:"identifier"`
	Link         []patientLink     `json:"link"`
}

type patientLink struct {
	Other struct {
		Reference string `json:"reference"`
	} `json:"other"`
	Type string `json:"type"`
}

// op is one operation of a JSON Patch (RFC 6902): members that it does not name
// keep the bytes of their sender.
type op struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"` // RFC 6902 passes over the value of a removal
}

// plan is a merge, or an undo, ready to be run.
type plan struct {
	source, target   fhir.Resource
	ofSource, onward []op   // patches of source and target
	put              []byte // the target as the caller wants it, in place of a patch
	result           []byte // the target afterwards
	wasActive        *bool
	added            []json.RawMessage
}

func (s *Service) load(ctx context.Context, k fhir.Key, by By) (fhir.Resource, *record, error) {
	res, err := s.cfg.Read(ctx, k)
	if err != nil {
		return res, nil, err
	}
	if res.Deleted() {
		return res, nil, fhir.Errorf(fhir.Gone, "the record was deleted")
	}
	if by.Organization == "" || res.Facts.Custodian != by.Organization {
		return res, nil, fhir.Errorf(fhir.Forbidden, "only the hospital that owns both records merges them, or a data steward the persons")
	}
	var r record
	if err := json.Unmarshal(res.JSON(), &r); err != nil {
		return res, nil, fhir.Errorf(fhir.Internal, "merge: a stored Patient cannot be read: %w", err)
	}
	return res, &r, nil
}

// plan holds the two records against the rules and works out their changes.
func (s *Service) plan(ctx context.Context, r Request, by By) (*plan, error) {
	p := &plan{}
	var source, target *record
	var err error
	if p.source, source, err = s.load(ctx, r.Source, by); err != nil {
		return nil, err
	}
	if p.target, target, err = s.load(ctx, r.Target, by); err != nil {
		return nil, err
	}
	for _, x := range []struct {
		name string
		r    *record
	}{{"source-patient", source}, {"target-patient", target}} {
		if x.r.replaced() {
			return nil, fhir.Errorf(fhir.Unprocessable, "the record was merged into another before").At("Parameters.parameter.where(name='" + x.name + "')")
		}
	}
	p.wasActive = source.Active
	p.ofSource = append([]op{{"add", "/active", false}}, source.link(r.Target, "replaced-by")...)
	p.onward = target.link(r.Source, "replaces")
	if r.Result != nil {
		if err := checkResult(r.Result, r); err != nil {
			return nil, err
		}
		p.put, p.result = r.Result, r.Result
		return p, nil
	}
	p.added = target.missing(source.Identifier)
	p.onward = append(p.onward, target.append("identifier", len(target.Identifier) == 0, raws(p.added)...)...)
	p.result, err = applied(p.target.JSON(), p.onward)
	return p, err
}

func (r *record) replaced() bool {
	return slices.ContainsFunc(r.Link, func(l patientLink) bool { return l.Type == "replaced-by" })
}

// checkResult holds the caller's own version of the target to what R5 asks: its
// id, and that it says what it replaces.
func checkResult(raw []byte, r Request) error {
	const at = "Parameters.parameter.where(name='result-patient').resource"
	var x record
	if json.Unmarshal(raw, &x) != nil || x.ResourceType != "Patient" || x.ID != r.Target.ID {
		return fhir.Errorf(fhir.Unprocessable, "result-patient must be the target with its id").At(at)
	}
	for _, l := range x.Link {
		if l.Type == "replaces" && l.Other.Reference == r.Source.String() {
			return nil
		}
	}
	return fhir.Errorf(fhir.Unprocessable, "result-patient must have a link of type replaces to the source").At(at + ".link")
}

func (r *record) link(other fhir.Key, kind string) []op {
	return r.append("link", len(r.Link) == 0, map[string]any{"other": map[string]any{"reference": other.String()}, "type": kind})
}

// append adds values to a list that may not be there yet.
func (r *record) append(member string, empty bool, values ...any) (out []op) {
	if len(values) == 0 {
		return nil
	}
	if empty {
		return []op{{"add", "/" + member, values}}
	}
	for _, v := range values {
		out = append(out, op{"add", "/" + member + "/-", v})
	}
	return out
}

func raws(list []json.RawMessage) (out []any) {
	for _, r := range list {
		out = append(out, r)
	}
	return out
}

// missing gives the identifiers that r lacks, marked as old: its hospital goes
// by the target's number from now on, and the source's still resolves.
func (r *record) missing(from []json.RawMessage) (out []json.RawMessage) {
	have := map[string]bool{}
	for _, raw := range r.Identifier {
		have[token(raw)] = true
	}
	for _, raw := range from {
		var id map[string]any
		if t := token(raw); t == "" || have[t] || json.Unmarshal(raw, &id) != nil {
			continue
		}
		have[token(raw)] = true
		id["use"] = "old"
		if old, err := json.Marshal(id); err == nil {
			out = append(out, old)
		}
	}
	return out
}

// token is an identifier's system and value, "" without a value.
func token(raw json.RawMessage) string {
	var id struct{ System, Value string }
	if json.Unmarshal(raw, &id) != nil || id.Value == "" {
		return ""
	}
	return id.System + "|" + id.Value
}

func applied(doc []byte, ops []op) ([]byte, error) {
	raw, err := json.Marshal(ops)
	if err != nil {
		return nil, err
	}
	patch, err := jsonpatch.DecodePatch(raw)
	if err != nil {
		return nil, fmt.Errorf("merge: %w", err)
	}
	o := jsonpatch.NewApplyOptions()
	o.EscapeHTML = false
	return patch.ApplyWithOptions(doc, o)
}

// bundle is the plan as a transaction: each record only if nobody changed it.
func (p *plan) bundle() []byte {
	type entry map[string]any
	request := func(method string, r *fhir.Resource) entry {
		return entry{"method": method, "url": r.Key.String(), "ifMatch": `W/"` + strconv.FormatUint(r.VersionID, 10) + `"`}
	}
	patch := func(r *fhir.Resource, ops []op) entry {
		data, _ := json.Marshal(ops) // strings, booleans and checked JSON always marshal
		return entry{"resource": entry{"resourceType": "Binary", "contentType": "application/json-patch+json", "data": base64.StdEncoding.EncodeToString(data)}, "request": request("PATCH", r)}
	}
	entries := []entry{patch(&p.source, p.ofSource)}
	switch {
	case p.put != nil:
		entries = append(entries, entry{"resource": json.RawMessage(p.put), "request": request("PUT", &p.target)})
	case len(p.onward) > 0:
		entries = append(entries, patch(&p.target, p.onward))
	}
	out, _ := json.Marshal(entry{"resourceType": "Bundle", "type": "transaction", "entry": entries})
	return out
}
