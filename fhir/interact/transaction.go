package interact

import (
	"context"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/interact/outcome"
)

// BundleOptions say how a transaction or batch is answered.
type BundleOptions struct {
	Representation bool // Prefer: return=representation: entries carry what was stored
	Lenient        bool // Prefer: handling=lenient, for the searches inside
}

// Transaction runs a Bundle of type transaction or batch; a Bundle of another
// type is Invalid. A failing transaction has done nothing, and the error names
// Bundle.entry[i]. A batch always answers, each entry with its own outcome.
//
// The reads of a transaction run after its writes are durable; one that finds
// nothing has its own outcome in the answer and undoes nothing.
func (s *Service) Transaction(ctx context.Context, c Caller, body []byte, o BundleOptions) (*Bundle, error) {
	doc, err := codec.Parse(body, s.cfg.Limits.Body)
	if err != nil {
		return nil, s.refused(ctx, c, Op{Interaction: "transaction"}, err)
	}
	op := Op{Interaction: doc.ChildText(0, "type")}
	if doc.ResourceType(0) != "Bundle" || op.Interaction != "transaction" && op.Interaction != "batch" {
		err := fhir.Errorf(fhir.Invalid, "only a Bundle of type transaction or batch can be posted here").At("Bundle.type")
		return nil, s.refused(ctx, c, Op{Interaction: "transaction"}, err)
	}
	x := &bundleRun{s: s, c: c, doc: doc, o: o, batch: op.Interaction == "batch"}
	if err := x.read(); err != nil {
		return nil, s.refused(ctx, c, op, err)
	}
	if x.batch {
		return x.runBatch(ctx), nil
	}
	return x.runTransaction(ctx)
}

// refused records an interaction that did not get as far as a caller's
// decision.
func (s *Service) refused(ctx context.Context, c Caller, op Op, err error) error {
	if aerr := s.record(ctx, &Disclosure{Op: op, Caller: c, Total: -1}, err); aerr != nil {
		return aerr
	}
	return err
}

// bundleRun is one Bundle on its way through.
type bundleRun struct {
	s     *Service
	c     Caller
	doc   *codec.Doc
	o     BundleOptions
	batch bool
	items []item
}

// item is one entry: a write, a read, or (in a batch) an error.
type item struct {
	at    string
	write *draft
	read  *bundleRead
	err   error
}

// read understands all entries. In a transaction the first fault is the
// error; in a batch each entry keeps its own.
func (x *bundleRun) read() error {
	entries := x.doc.Child(0, "entry")
	if entries == 0 {
		return nil
	}
	if n := x.doc.Len(entries); n > x.s.cfg.Limits.BundleEntries {
		return fhir.Errorf(fhir.TooLarge, "the Bundle has %d entries; at most %d are taken", n, x.s.cfg.Limits.BundleEntries).At("Bundle.entry")
	}
	names := map[string]string{}
	issues := &fhir.Error{Kind: fhir.Unprocessable}
	for node := range x.doc.Children(entries) {
		it := item{at: "Bundle.entry[" + strconv.Itoa(len(x.items)) + "]"}
		it.err = x.entry(&it, node)
		if it.err == nil && it.write != nil && it.write.fullURL != "" {
			if other, twice := names[it.write.fullURL]; twice {
				it.err = fhir.Errorf(fhir.Invalid, "the fullUrl is that of %s too", other).At(it.at + ".fullUrl")
			}
			names[it.write.fullURL] = it.at
		}
		if it.err != nil && !x.batch {
			if err := gather(issues, it.err); err != nil {
				return err
			}
		}
		x.items = append(x.items, it)
	}
	if !x.batch && len(issues.Issues) > 0 {
		return issues
	}
	return nil
}

// maxGathered bounds the issues of one answer.
const maxGathered = 100

// gather adds the issues of err to those of earlier entries, so that a sender
// sees all faults at once; it gives the whole when there are enough.
func gather(all *fhir.Error, err error) error {
	e, ok := err.(*fhir.Error)
	if !ok {
		return err
	}
	if len(all.Issues) == 0 || e.Kind != fhir.Unprocessable {
		all.Kind = e.Kind
	}
	all.Issues = append(all.Issues, e.Issues...)
	if len(all.Issues) >= maxGathered {
		return all
	}
	return nil
}

// entry understands one entry of the Bundle.
func (x *bundleRun) entry(it *item, node uint32) error {
	request := x.doc.Child(node, "request")
	if request == 0 {
		return fhir.Errorf(fhir.Invalid, "an entry of a %s needs a request", x.doc.ChildText(0, "type")).At(it.at + ".request")
	}
	method, address := x.doc.ChildText(request, "method"), x.doc.ChildText(request, "url")
	t, id, criteria, err := x.address(address)
	if method == http.MethodGet || method == http.MethodHead {
		it.read, err = x.parseRead(address, x.doc.ChildText(request, "ifNoneMatch"))
	}
	if err != nil {
		return locate(err, it.at+".request.url")
	}
	if it.read != nil {
		return nil
	}
	d := &draft{
		at: it.at, key: fhir.Key{Type: t, ID: id}, criteria: criteria, doc: x.doc, node: x.doc.Child(node, "resource"),
		ifMatch: x.doc.ChildText(request, "ifMatch"), noneMatch: x.doc.ChildText(request, "ifNoneMatch"), fullURL: x.doc.ChildText(node, "fullUrl"),
	}
	it.write = d
	return locate(x.action(d, method, request), it.at)
}

// action completes a draft by the method of its entry.
func (x *bundleRun) action(d *draft, method string, request uint32) error {
	addressed := d.key.ID != "" || d.criteria != ""
	switch method {
	case http.MethodPost:
		d.action, d.criteria = create, x.doc.ChildText(request, "ifNoneExist")
		if addressed {
			return fhir.Errorf(fhir.Invalid, "a POST goes to a type").At(d.at + ".request.url")
		}
	case http.MethodPut:
		d.action = update
	case http.MethodDelete:
		d.action, d.doc = remove, nil
	case http.MethodPatch:
		d.action = patch
	default:
		return fhir.Errorf(fhir.Invalid, "not a method of a Bundle").At(d.at + ".request.method")
	}
	if d.action != create && !addressed {
		return fhir.Errorf(fhir.Invalid, "a %s needs an id or criteria", method).At(d.at + ".request.url")
	}
	if d.action != remove && d.node == 0 {
		return fhir.Errorf(fhir.Invalid, "a %s needs a resource", method).At(d.at + ".resource")
	}
	if d.action == patch {
		if err := x.patch(d); err != nil {
			return err
		}
	}
	return x.s.admit(d)
}

// patch takes the JSON Patch out of the Binary that carries it. Source: R4
// http.html#patch.
func (x *bundleRun) patch(d *draft) error {
	if x.doc.ResourceType(d.node) != "Binary" || !strings.HasPrefix(x.doc.ChildText(d.node, "contentType"), "application/json-patch+json") {
		return fhir.Errorf(fhir.NotSupported, "a PATCH is taken as a Binary that holds a JSON Patch").At(d.at + ".resource")
	}
	var err error
	if d.patch, err = base64.StdEncoding.DecodeString(x.doc.ChildText(d.node, "data")); err != nil {
		return fhir.Errorf(fhir.Structure, "not base64").At(d.at + ".resource.data")
	}
	d.doc, d.node = nil, 0
	return nil
}

// address reads the URL of a write: Type, Type/id or Type?criteria, relative
// or below the base.
func (x *bundleRun) address(url string) (t fhir.Type, id, criteria string, err error) {
	path, criteria, _ := strings.Cut(x.relative(url), "?")
	name, id, _ := strings.Cut(path, "/")
	if name == "" || strings.Contains(id, "/") || strings.HasPrefix(id, "_") || strings.HasPrefix(id, "$") {
		return "", "", "", fhir.Errorf(fhir.NotSupported, "the URL of a write is Type, Type/id or Type?criteria")
	}
	return fhir.Type(name), id, criteria, nil
}

func (x *bundleRun) relative(url string) string {
	if x.s.cfg.BaseURL != "" {
		url = strings.TrimPrefix(url, x.s.cfg.BaseURL)
	}
	return strings.TrimPrefix(url, "/")
}

// runTransaction commits all writes together, then reads.
func (x *bundleRun) runTransaction(ctx context.Context) (*Bundle, error) {
	note := &Disclosure{Op: Op{Interaction: "transaction"}, Caller: x.c, Total: -1}
	b, err := audited(ctx, x.s, note, func(ctx context.Context) (*Bundle, error) {
		u := &unit{s: x.s, c: x.c}
		for i := range x.items {
			if d := x.items[i].write; d != nil {
				u.drafts = append(u.drafts, d)
			}
		}
		defer u.disclose(note)
		if err := u.run(ctx); err != nil {
			return nil, err
		}
		return &Bundle{Type: "transaction-response", Total: -1}, nil
	})
	if err != nil {
		return nil, err
	}
	for i := range x.items {
		b.Entries = append(b.Entries, x.answer(ctx, &x.items[i]))
	}
	return b, nil
}

// runBatch runs each entry by itself, in order.
func (x *bundleRun) runBatch(ctx context.Context) *Bundle {
	b := &Bundle{Type: "batch-response", Total: -1}
	for i := range x.items {
		it := &x.items[i]
		switch {
		case it.err != nil:
			it.err = x.s.refused(ctx, x.c, Op{Interaction: "batch"}, it.err)
		case it.write != nil:
			it.err = x.alone(ctx, it.write)
		}
		b.Entries = append(b.Entries, x.answer(ctx, it))
	}
	return b
}

func (x *bundleRun) alone(ctx context.Context, d *draft) error {
	note := &Disclosure{Op: d.op(), Caller: x.c, Query: d.criteria, Total: -1}
	_, err := audited(ctx, x.s, note, func(ctx context.Context) (none struct{}, err error) {
		u := &unit{s: x.s, c: x.c, drafts: []*draft{d}}
		defer u.disclose(note)
		return none, u.run(ctx)
	})
	return err
}

// answer writes what became of an entry.
func (x *bundleRun) answer(ctx context.Context, it *item) Entry {
	switch {
	case it.err != nil:
		return failed(ctx, it.err)
	case it.read != nil:
		return x.runRead(ctx, it.read, it.at)
	}
	return it.write.answer(ctx, x.o.Representation, x.s.cfg.BaseURL)
}

func (d *draft) answer(ctx context.Context, representation bool, base string) Entry {
	w := d.written()
	e := Entry{Status: "200 OK"}
	switch {
	case d.action == remove:
		e.Status = "204 No Content"
	case w.Created:
		e.Status = "201 Created"
	}
	if v := w.Resource.Version; v.VersionID > 0 {
		e.ETag, e.Modified = v.ETag(), v.LastUpdated
		e.Location = base + "/" + v.Key.String() + "/_history/" + strconv.FormatUint(v.VersionID, 10)
	}
	if representation && d.action != remove {
		e.Resource, e.FullURL = w.Resource, base+"/"+w.Resource.Key.String()
	}
	if len(d.issues) > 0 {
		e.Outcome = outcome.Issues(d.issues, fhir.Unprocessable, outcome.LanguageOf(ctx))
	}
	return e
}

func failed(ctx context.Context, err error) Entry {
	status := outcome.Status(err)
	return Entry{
		Status:  strconv.Itoa(status) + " " + http.StatusText(status),
		Outcome: outcome.JSON(err, outcome.LanguageOf(ctx)),
	}
}
