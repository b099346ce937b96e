package principal

import (
	"slices"
	"strings"
)

// Permission is one letter of a SMART v2 scope: what may be done to a type.
type Permission byte

// The permissions, in the order in which a scope must name them.
const (
	MayCreate Permission = 'c'
	MayRead   Permission = 'r'
	MayUpdate Permission = 'u'
	MayDelete Permission = 'd'
	MaySearch Permission = 's'
)

// Scope is a parsed SMART v2 resource scope, such as "user/Observation.rs".
type Scope struct {
	Level       string // "patient", "user" or "system"
	Type        string // a resource type, or "*"
	Permissions string // a subset of "cruds", in that order
}

// ParseScope reads a resource scope. The words of SMART v1, ".read", ".write"
// and ".*", are understood. ok is false for any other scope ("openid",
// "launch/patient") and for the search constraints of v2 ("?category=..."),
// which this server does not grant.
func ParseScope(s string) (sc Scope, ok bool) {
	level, rest, found := strings.Cut(s, "/")
	if !found || !slices.Contains([]string{"patient", "user", "system"}, level) {
		return Scope{}, false
	}
	typ, perms, found := strings.Cut(rest, ".")
	if !found || !validType(typ) {
		return Scope{}, false
	}
	switch perms {
	case "read":
		perms = "rs"
	case "write":
		perms = "cud"
	case "*":
		perms = "cruds"
	}
	return Scope{level, typ, perms}, ordered(perms)
}

func validType(t string) bool {
	if t == "*" {
		return true
	}
	for i, r := range t {
		if r >= 'A' && r <= 'Z' || i > 0 && r >= 'a' && r <= 'z' {
			continue
		}
		return false
	}
	return t != ""
}

// ordered reports whether p is a non-empty subsequence of "cruds".
func ordered(p string) bool {
	rest := "cruds"
	for i := range len(p) {
		at := strings.IndexByte(rest, p[i])
		if at < 0 {
			return false
		}
		rest = rest[at+1:]
	}
	return p != ""
}

// Covers reports whether everything that o grants is granted by s.
func (s Scope) Covers(o Scope) bool {
	if s.Level != o.Level || s.Type != "*" && s.Type != o.Type {
		return false
	}
	for i := range len(o.Permissions) {
		if strings.IndexByte(s.Permissions, o.Permissions[i]) < 0 {
			return false
		}
	}
	return true
}

// Granted reports whether one of the scopes in granted gives what wanted asks:
// a resource scope by covering it, any other scope by being equal.
func Granted(granted []string, wanted string) bool {
	w, ok := ParseScope(wanted)
	for _, g := range granted {
		if g == wanted {
			return true
		}
		if gs, gok := ParseScope(g); ok && gok && gs.Covers(w) {
			return true
		}
	}
	return false
}

// Allows reports whether a scope of the given level grants the permission on
// the type. typ "" asks for every type, as a system-level search does.
func (p *Principal) Allows(level string, perm Permission, typ string) bool {
	if typ == "" {
		typ = "*"
	}
	want := Scope{level, typ, string(perm)}
	return slices.ContainsFunc(p.Scopes, func(s string) bool {
		have, ok := ParseScope(s)
		return ok && have.Covers(want)
	})
}
