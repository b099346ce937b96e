package codec

import (
	"slices"

	"hutong/fhir"
)

// BodyOptions say how a sender's resource becomes a stored one.
type BodyOptions struct {
	ID             string        // the logical id; "" keeps the sender's
	Source         string        // meta.source; "" keeps the sender's
	Tags           []fhir.Coding // added to meta.tag
	Security       []fhir.Coding // added to meta.security
	DropTagSystems []string      // the sender's tags of these systems belong to the server and are dropped
	Rewrite        Rewrite       // nil = none
}

// NewBody makes the stored form of resource i: resourceType, id and meta
// first, then the other members in the sender's order and in the sender's
// bytes. Meta loses versionId and lastUpdated, which belong to the version,
// and keeps the rest in order. Codings that meta has already are not added
// again. Errors are of kind Structure with the path of the fault.
func NewBody(d *Doc, i uint32, o BodyOptions) (fhir.Body, error) {
	typ := d.ResourceType(i)
	if typ == "" {
		return fhir.Body{}, fhir.Errorf(fhir.Structure, "a resource must be a JSON object with a resourceType").At(d.Path(i))
	}
	id, err := bodyID(d, i, o.ID)
	if err != nil {
		return fhir.Body{}, err
	}
	meta, err := findMeta(d, i)
	if err != nil {
		return fhir.Body{}, err
	}
	if typ == "Bundle" {
		o.Rewrite = nil // its links hold within the Bundle
	}
	w := writer{d: d, dst: make([]byte, 0, sizeOf(d.Raw(i))+128), rewrite: o.Rewrite}
	w.dst = append(w.dst, `{"resourceType":`...)
	w.dst = AppendString(w.dst, string(typ))
	w.dst = AppendString(append(w.dst, `,"id":`...), id)
	w.dst = append(w.dst, `,"meta":{`...)
	metaAt := len(w.dst)
	w.meta(meta, &o)
	w.dst = append(w.dst, '}')
	for c := range d.Children(i) {
		switch string(d.Key(c)) {
		case "resourceType", "id", "meta":
		default:
			w.member(c)
		}
	}
	w.dst = append(w.dst, '}')
	return fhir.Body{Raw: w.dst, MetaAt: uint32(metaAt)}, nil
}

// sizeOf guesses what a resource is without its blanks: of text that is
// indented they are more than half.
func sizeOf(raw []byte) int {
	if len(raw) > 1 && (raw[1] == '\n' || raw[1] == '\r') {
		return len(raw) / 2
	}
	return len(raw)
}

func bodyID(d *Doc, i uint32, id string) (string, error) {
	if id == "" {
		id = d.ChildText(i, "id")
	}
	if !fhir.ValidID(id) {
		return "", fhir.Errorf(fhir.Structure, "the id must be 1 to 64 of the characters A-Z, a-z, 0-9, '-' and '.'").At(d.Path(i) + ".id")
	}
	return id, nil
}

// findMeta gives the meta of resource i, 0 if it has none, after checking the
// parts that NewBody merges.
func findMeta(d *Doc, i uint32) (uint32, error) {
	meta := d.Child(i, "meta")
	if meta == 0 {
		return 0, nil
	}
	if d.Nodes[meta].Kind != Object {
		return 0, fhir.Errorf(fhir.Structure, "here must stand an object").At(d.Path(meta))
	}
	for _, key := range []string{"tag", "security"} {
		if c := d.Child(meta, key); c != 0 && d.Nodes[c].Kind != Array {
			return 0, fhir.Errorf(fhir.Structure, "here must stand an array").At(d.Path(c))
		}
	}
	return meta, nil
}

// meta writes the members of the stored meta.
func (w *writer) meta(meta uint32, o *BodyOptions) {
	tags, security := o.Tags, o.Security
	if meta != 0 {
		for c := range w.d.Children(meta) {
			switch key := string(w.d.Key(c)); {
			case key == "versionId", key == "_versionId", key == "lastUpdated", key == "_lastUpdated":
			case o.Source != "" && (key == "source" || key == "_source"):
			case key == "tag":
				w.codings(key, c, tags, o.DropTagSystems)
				tags = nil
			case key == "security":
				w.codings(key, c, security, nil)
				security = nil
			default:
				w.member(c)
			}
		}
	}
	if o.Source != "" {
		w.comma()
		w.dst = AppendString(append(w.dst, `"source":`...), o.Source)
	}
	w.codings("tag", 0, tags, nil)
	w.codings("security", 0, security, nil)
}

// codings writes a list of codings: those of array c (0 = none) that are not
// dropped, then the added ones that it lacks; nothing for an empty list.
func (w *writer) codings(key string, c uint32, added []fhir.Coding, drop []string) {
	before := len(w.dst)
	w.comma()
	w.dst = append(AppendString(w.dst, key), ':', '[')
	empty := len(w.dst)
	var have []fhir.Coding
	if c != 0 {
		for e := range w.d.Children(c) {
			coding := fhir.Coding{System: w.d.ChildText(e, "system"), Code: w.d.ChildText(e, "code")}
			if slices.Contains(drop, coding.System) {
				continue
			}
			have = append(have, coding)
			w.comma()
			w.value(e)
		}
	}
	for _, coding := range added {
		if !slices.Contains(have, coding) {
			have = append(have, coding)
			w.coding(coding)
		}
	}
	if len(w.dst) == empty {
		w.dst = w.dst[:before]
		return
	}
	w.dst = append(w.dst, ']')
}

func (w *writer) coding(c fhir.Coding) {
	w.comma()
	w.dst = append(w.dst, '{')
	if c.System != "" {
		w.dst = AppendString(append(w.dst, `"system":`...), c.System)
	}
	if c.Code != "" {
		w.comma()
		w.dst = AppendString(append(w.dst, `"code":`...), c.Code)
	}
	w.dst = append(w.dst, '}')
}
