package interact

import (
	"context"
	"slices"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"hutong/fhir"
	"hutong/fhir/codec"
)

// WriteOptions are the conditions of a write.
type WriteOptions struct {
	IfMatch     string // an entity tag, W/"3"; "" = none
	IfNoneMatch string // of an update: "*" asks that nothing be there; "" = none
	IfNoneExist string // search criteria of a conditional create, "identifier=sys|val"
}

// Written is what a write did.
type Written struct {
	Resource fhir.Resource
	Created  bool // the first version of a key, or the first after a deletion
	// Existed: a conditional create found its match, which stands in Resource;
	// nothing was written.
	Existed bool
	Issues  []fhir.Issue // warnings of validation
}

// Create stores a new resource under an id of the server's choice; an id in
// the body is ignored.
func (s *Service) Create(ctx context.Context, c Caller, t fhir.Type, body []byte, o WriteOptions) (Written, error) {
	d := &draft{action: create, key: fhir.Key{Type: t}, criteria: o.IfNoneExist}
	return s.write(ctx, c, d, body)
}

// Update stores a resource under its id; it creates what is not there.
func (s *Service) Update(ctx context.Context, c Caller, k fhir.Key, body []byte, o WriteOptions) (Written, error) {
	return s.write(ctx, c, &draft{action: update, key: k, ifMatch: o.IfMatch, noneMatch: o.IfNoneMatch}, body)
}

// UpdateWhere updates the one match of criteria, or creates it.
func (s *Service) UpdateWhere(ctx context.Context, c Caller, t fhir.Type, criteria string, body []byte, o WriteOptions) (Written, error) {
	return s.write(ctx, c, &draft{action: update, key: fhir.Key{Type: t}, criteria: criteria, ifMatch: o.IfMatch, noneMatch: o.IfNoneMatch}, body)
}

// Patch applies a JSON Patch (RFC 6902) to the current version.
func (s *Service) Patch(ctx context.Context, c Caller, k fhir.Key, body []byte, o WriteOptions) (Written, error) {
	return s.write(ctx, c, &draft{action: patch, key: k, ifMatch: o.IfMatch, patch: body}, nil)
}

// PatchWhere patches the one match of criteria.
func (s *Service) PatchWhere(ctx context.Context, c Caller, t fhir.Type, criteria string, body []byte, o WriteOptions) (Written, error) {
	return s.write(ctx, c, &draft{action: patch, key: fhir.Key{Type: t}, criteria: criteria, ifMatch: o.IfMatch, patch: body}, nil)
}

// Delete deletes a resource. Deleting what is deleted or never was succeeds;
// the version is then zero, or that of the earlier deletion.
func (s *Service) Delete(ctx context.Context, c Caller, k fhir.Key, o WriteOptions) (fhir.Version, error) {
	w, err := s.write(ctx, c, &draft{action: remove, key: k, ifMatch: o.IfMatch}, nil)
	return w.Resource.Version, err
}

// DeleteWhere deletes the match of criteria, if there is one; several are
// MultipleMatches and nothing is deleted.
func (s *Service) DeleteWhere(ctx context.Context, c Caller, t fhir.Type, criteria string, o WriteOptions) (fhir.Version, error) {
	w, err := s.write(ctx, c, &draft{action: remove, key: fhir.Key{Type: t}, criteria: criteria, ifMatch: o.IfMatch}, nil)
	return w.Resource.Version, err
}

// Put creates or updates several resources (JSON, ids given) in one
// transaction: the way in for the exchange's own workflows. The versions stand
// in the order of the resources.
func (s *Service) Put(ctx context.Context, c Caller, resources ...[]byte) ([]fhir.Version, error) {
	note := &Disclosure{Op: Op{Interaction: "transaction"}, Caller: c, Total: -1}
	return audited(ctx, s, note, func(ctx context.Context) ([]fhir.Version, error) {
		u := &unit{s: s, c: c}
		for _, body := range resources {
			d := &draft{action: update}
			if err := s.content(d, body); err != nil {
				return nil, err
			}
			d.key = fhir.Key{Type: d.doc.ResourceType(0), ID: d.doc.ChildText(0, "id")}
			if err := s.admit(d); err != nil {
				return nil, err
			}
			u.drafts = append(u.drafts, d)
		}
		err := u.run(ctx)
		u.disclose(note)
		versions := make([]fhir.Version, len(u.drafts))
		for i, d := range u.drafts {
			versions[i] = d.result.Version
		}
		return versions, err
	})
}

// write runs one draft that stands alone.
func (s *Service) write(ctx context.Context, c Caller, d *draft, body []byte) (Written, error) {
	note := &Disclosure{Op: d.op(), Caller: c, Query: d.criteria, Total: -1}
	return audited(ctx, s, note, func(ctx context.Context) (Written, error) {
		u := &unit{s: s, c: c, drafts: []*draft{d}}
		defer u.disclose(note)
		if d.action == create || d.action == update {
			if err := s.content(d, body); err != nil {
				return Written{}, err
			}
		}
		if err := s.admit(d); err != nil {
			return Written{}, err
		}
		if err := u.run(ctx); err != nil {
			return Written{}, err
		}
		return d.written(), nil
	})
}

func (d *draft) written() Written {
	return Written{
		Resource: d.result, Created: !d.idle && !d.live && d.action != remove,
		Existed: d.idle && d.action == create, Issues: d.issues,
	}
}

// content parses a body that holds one resource.
func (s *Service) content(d *draft, body []byte) error {
	doc, err := codec.Parse(body, s.cfg.Limits.Body)
	d.doc = doc
	return err
}

// admit checks what can be checked without the store: type, id and rules.
func (s *Service) admit(d *draft) error {
	if err := s.unknownType(d.key.Type); err != nil {
		return locate(err, d.at)
	}
	if d.key.ID != "" && !fhir.ValidID(d.key.ID) {
		return fhir.Errorf(fhir.Invalid, "not a valid id").At(d.at)
	}
	if d.action == remove || d.action == patch {
		return nil
	}
	return s.check(d)
}

// check holds the content of a draft against its address and the definitions.
func (s *Service) check(d *draft) error {
	path := d.doc.Path(d.node)
	switch t := d.doc.ResourceType(d.node); {
	case t == "":
		return fhir.Errorf(fhir.Structure, "a resource must be a JSON object with a resourceType").At(d.at)
	case t != d.key.Type:
		return fhir.Errorf(fhir.Invalid, "the resource is not of the type %s", d.key.Type).At(path + ".resourceType")
	}
	if d.action != create && d.criteria == "" && d.doc.ChildText(d.node, "id") != d.key.ID {
		return fhir.Errorf(fhir.Invalid, "the id of the resource is not that of the URL").At(path + ".id")
	}
	if s.cfg.Validator == nil {
		return nil
	}
	if d.at == "" {
		path = ""
	}
	issues := s.cfg.Validator.Resource(d.doc, d.node, path)
	d.issues = issues
	if slices.ContainsFunc(issues, isError) {
		return &fhir.Error{Kind: faultKind(issues), Issues: issues}
	}
	return nil
}

func isError(is fhir.Issue) bool { return is.Severity == fhir.ErrorLevel || is.Severity == fhir.Fatal }

// faultKind is Unprocessable where only rules beyond R4's own are broken, and
// Invalid otherwise. Source: R4 http.html#create.
func faultKind(issues []fhir.Issue) fhir.Kind {
	for _, is := range issues {
		if isError(is) && is.Code != "business-rule" && is.Code != "processing" {
			return fhir.Invalid
		}
	}
	return fhir.Unprocessable
}

// disclose notes what the drafts were about.
func (u *unit) disclose(note *Disclosure) {
	seen := make(map[fhir.Key]bool)
	for _, d := range u.drafts {
		k := d.key
		if k.ID == "" {
			continue
		}
		note.Keys = append(note.Keys, k)
		facts := &d.result.Facts
		if d.result.VersionID == 0 {
			facts = &d.current.Facts
		}
		for _, p := range patientsOf(k, facts) {
			if !seen[p] {
				seen[p] = true
				note.Patients = append(note.Patients, p)
			}
		}
	}
}

// What one patch may cost. Every operation on an array moves its elements, so
// that the time grows with the operations times the elements.
const (
	maxPatchOps    = 1000
	maxPatchCopies = 8 << 20 // bytes that copy operations may add
)

// applyPatch makes the draft's content from the current version and its JSON
// Patch (RFC 6902). Members that the patch does not touch keep their bytes. A
// failed test operation is Unprocessable; resourceType and id do not change.
func (u *unit) applyPatch(d *draft) error {
	ops, err := jsonpatch.DecodePatch(d.patch)
	if err != nil {
		return fhir.Errorf(fhir.Structure, "the body is not a JSON Patch")
	}
	if len(ops) > maxPatchOps {
		return fhir.Errorf(fhir.TooCostly, "the patch has %d operations; at most %d are taken", len(ops), maxPatchOps)
	}
	o := jsonpatch.NewApplyOptions()
	o.AccumulatedCopySizeLimit = maxPatchCopies
	o.EscapeHTML = false
	o.SupportNegativeIndices = false
	patched, err := ops.ApplyWithOptions(d.current.JSON(), o)
	if err != nil {
		return fhir.Errorf(fhir.Unprocessable, "the patch does not apply to the current version")
	}
	d.doc, err = codec.Parse(patched, u.s.cfg.Limits.Body)
	if err != nil {
		return err
	}
	d.node = 0
	if d.doc.ChildText(0, "id") != d.key.ID {
		return fhir.Errorf(fhir.Unprocessable, "a patch may not change the id").At(string(d.key.Type) + ".id")
	}
	return u.s.check(d)
}
