// Package fhir holds the words that every room of the repository shares:
// keys, versions, resources, the facts an access decision needs, and the one
// error list. It does no I/O.
package fhir

import (
	"strconv"
	"strings"
	"time"
)

// Type is the name of an R4 resource type, such as "Patient".
type Type string

// Key names a resource on this server: "Patient/123".
type Key struct {
	Type Type
	ID   string
}

func (k Key) String() string { return string(k.Type) + "/" + k.ID }

// IsZero reports whether k names nothing.
func (k Key) IsZero() bool { return k.Type == "" && k.ID == "" }

// ParseKey reads "Type/id" (no version, no base URL). ok is false for
// anything else.
func ParseKey(s string) (k Key, ok bool) {
	t, id, found := strings.Cut(s, "/")
	if !found || t == "" || !ValidID(id) || t[0] < 'A' || t[0] > 'Z' {
		return Key{}, false
	}
	return Key{Type(t), id}, true
}

// ValidID reports whether s matches the R4 id type: [A-Za-z0-9\-\.]{1,64}.
func ValidID(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.') {
			return false
		}
	}
	return true
}

// T is a commit time: a logical number, one per transaction, strictly
// increasing within a store. A reader at t sees exactly the commits up to and
// including t.
type T uint64

// Method is the interaction that made a version; it becomes
// Bundle.entry.request.method in a history.
type Method uint8

// The three ways in which a version comes to be.
const (
	Created Method = iota + 1 // POST
	Updated                   // PUT or PATCH
	Deleted                   // DELETE
)

func (m Method) String() string {
	switch m {
	case Created:
		return "POST"
	case Updated:
		return "PUT"
	case Deleted:
		return "DELETE"
	}
	return "?"
}

// Version identifies one immutable version of a resource.
type Version struct {
	Key
	VersionID   uint64    // 1, 2, ...: meta.versionId
	T           T         // the commit that made it
	LastUpdated time.Time // UTC, millisecond precision: meta.lastUpdated
	Method      Method
}

// Deleted reports whether the version is a deletion (it then has no body).
func (v Version) Deleted() bool { return v.Method == Deleted }

// ETag is the weak entity tag of the version: W/"3".
func (v Version) ETag() string { return `W/"` + strconv.FormatUint(v.VersionID, 10) + `"` }

// Resource is one version with its content. Values handed out by a store are
// immutable: callers never write to Body.
type Resource struct {
	Version
	Facts Facts
	Body  Body
}

// AppendJSON appends the resource as a client sees it: the stored body with
// versionId and lastUpdated spliced into meta.
func (r *Resource) AppendJSON(dst []byte) []byte { return r.Body.appendJSON(dst, &r.Version) }

// JSON is AppendJSON into a new slice.
func (r *Resource) JSON() []byte { return r.AppendJSON(make([]byte, 0, len(r.Body.Raw)+80)) }

// Body is the stored form of a resource: the sender's JSON, compacted, with
// resourceType, id and meta first and without meta.versionId and
// meta.lastUpdated, which belong to the version and are spliced in on the way
// out. Raw always holds a meta object, if only an empty one.
type Body struct {
	Raw    []byte
	MetaAt uint32 // offset just after the '{' of the top-level meta object
}

func (b Body) appendJSON(dst []byte, v *Version) []byte {
	dst = append(dst, b.Raw[:b.MetaAt]...)
	dst = append(dst, `"versionId":"`...)
	dst = strconv.AppendUint(dst, v.VersionID, 10)
	dst = append(dst, `","lastUpdated":"`...)
	dst = v.LastUpdated.UTC().AppendFormat(dst, InstantLayout)
	dst = append(dst, '"')
	if b.Raw[b.MetaAt] != '}' {
		dst = append(dst, ',')
	}
	return append(dst, b.Raw[b.MetaAt:]...)
}

// InstantLayout writes a FHIR instant with milliseconds, UTC.
const InstantLayout = "2006-01-02T15:04:05.000Z"

// Coding is a system and a code, without display.
type Coding struct{ System, Code string }

// Facts are what an access decision needs to know of a resource, kept in a
// compact row beside it so that a decision reads no JSON.
type Facts struct {
	Custodian  string    // id of the Organization that owns the resource; "" if none
	Patients   []Key     // the patients in whose compartment it lies, in order of mention
	Categories []Coding  // category codings
	Codes      []Coding  // code codings
	Labels     []Coding  // meta.security
	Authors    []Key     // author, performer, recorder, requester ... references
	Clinical   time.Time // when it was true of the patient (effective, onset, period start ...); zero if unknown
}
