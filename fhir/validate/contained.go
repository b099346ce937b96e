package validate

import (
	"bytes"
	"slices"
	"strings"

	"hutong/fhir/codec"
	"hutong/fhir/internal/schema"
)

// host is the resource that local references (#id) resolve in: the one at
// hand or, for a contained one, the one that contains it. Its maps are made
// when first needed.
type host struct {
	at        uint32
	typ       string
	contained uint32              // the array, 0 = none
	types     map[string]string   // id -> resource type of the contained resources
	fragments map[string]struct{} // the local references within the resource: "#id"
}

// enter makes the resource at the host, unless it is contained in one, and
// gives the host to return to.
func (r *run) enter(at uint32, t *schema.Type) (outer host) {
	outer = r.host
	if r.host.contained != 0 && r.host.contained < at && at < r.d.Nodes[r.host.contained].Next {
		return outer
	}
	r.host = host{at: at, typ: t.Name, contained: r.d.Child(at, "contained")}
	return outer
}

// containedResource checks one element of DomainResource.contained: the
// invariants dom-2 to dom-5, an id of its own, then the resource itself.
func (r *run) containedResource(c uint32) {
	d := r.d
	if d.Nodes[c].Kind == codec.Object {
		if d.Child(c, "contained") != 0 {
			r.failAt("contained", invariantID, "dom-2", "dom-2: a contained resource must not contain resources")
		}
		if meta := d.Child(c, "meta"); meta != 0 {
			if d.Child(meta, "versionId") != 0 || d.Child(meta, "lastUpdated") != 0 {
				r.failAt("meta", invariantID, "dom-4", "dom-4: a contained resource must not have a versionId or lastUpdated")
			}
			if d.Child(meta, "security") != 0 {
				r.failAt("meta", invariantID, "dom-5", "dom-5: a contained resource must not have a security label")
			}
		}
		r.usedContained(c)
	}
	r.resource(c)
}

// usedContained is dom-3: the contained resource is referred to from the
// resource, or refers to it.
func (r *run) usedContained(c uint32) {
	if r.host.fragments == nil {
		r.host.fragments = r.localReferences(r.host.at)
	}
	id := r.d.ChildText(c, "id")
	if _, used := r.host.fragments["#"+id]; used && id != "" {
		return
	}
	if _, refers := r.localReferences(c)["#"]; refers {
		return
	}
	r.fail(invariantID, "dom-3", "dom-3: a contained resource must have an id and be referred to from the resource, or refer to it")
}

// localReferences collects the strings of a subtree that begin with '#'.
func (r *run) localReferences(at uint32) map[string]struct{} {
	found := map[string]struct{}{}
	for i := at; i < r.d.Nodes[at].Next; i++ {
		n := &r.d.Nodes[i]
		if n.Kind.IsString() && n.End > n.Start && (n.Kind == codec.Escaped || r.d.Src[n.Start] == '#') {
			if text := r.d.Text(i); strings.HasPrefix(text, "#") {
				found[text] = struct{}{}
			}
		}
	}
	return found
}

// reference checks the target of the reference c: its type, and for a local
// one that it is there (ref-1).
func (r *run) reference(c uint32, f *schema.Field) {
	ref := r.d.Child(c, "reference")
	if ref == 0 || !r.d.Nodes[ref].Kind.IsString() {
		return
	}
	text := r.d.Bytes(ref)
	if len(text) == 0 {
		return
	}
	target, ok := r.referenced(text)
	if !ok {
		r.failAt("reference", invariantID, "ref-1", "ref-1: the resource contains no resource of this id")
		return
	}
	if target != "" && f.Targets != nil && !slices.Contains(f.Targets, target) {
		r.fail(structure, "reference-target", "a reference to "+target+" cannot stand here, only to "+strings.Join(f.Targets, ", "))
	}
}

// referenced gives the resource type that a literal reference names, "" if it
// does not tell; ok is false for a local one whose target is missing.
func (r *run) referenced(text []byte) (typ string, ok bool) {
	if id, local := bytes.CutPrefix(text, []byte{'#'}); local {
		return r.local(string(id))
	}
	return r.targetType(text), true
}

// local gives the type of the contained resource with the id; "" is the host.
func (r *run) local(id string) (typ string, ok bool) {
	if id == "" {
		return r.host.typ, true
	}
	if r.host.types == nil {
		r.host.types = map[string]string{}
		if r.host.contained != 0 {
			for c := range r.d.Children(r.host.contained) {
				r.host.types[r.d.ChildText(c, "id")] = string(r.d.ResourceType(c))
			}
		}
	}
	typ, ok = r.host.types[id]
	return typ, ok
}

// targetType gives the resource type that a literal reference names: that of
// Type/id and of base/Type/id, with a version or without; "" if unknown.
func (r *run) targetType(ref []byte) string {
	if before, _, found := bytes.Cut(ref, []byte("/_history/")); found {
		ref = before
	}
	slash := bytes.LastIndexByte(ref, '/')
	if slash <= 0 {
		return ""
	}
	start := bytes.LastIndexByte(ref[:slash], '/') + 1
	if start > 0 && !bytes.HasPrefix(ref, []byte("http")) {
		return ""
	}
	if t, ok := r.schema.Resources[string(ref[start:slash])]; ok {
		return t.Name
	}
	return ""
}
