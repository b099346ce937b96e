// Package literal reads the primitive values that searching compares: dates
// with their precision, decimals with their implicit range, and references.
package literal

import (
	"strings"

	"hutong/fhir"
)

// Reference is a reference or canonical URL, taken apart.
type Reference struct {
	Key     fhir.Key // set if it names a resource of this server
	Version string   // of Type/id/_history/version, or url|version
	URL     string   // if Key is zero: an absolute URL or URN without version, "#id" of a contained resource, or whatever else stood there
	Type    string   // the type that the text shows, also of a foreign URL; "" if none
}

// ParseReference reads the text of Reference.reference. base is the server's
// own URL without trailing slash; "" if it has none.
func ParseReference(s, base string) Reference {
	if rest, ok := strings.CutPrefix(s, base+"/"); ok && base != "" {
		s = rest
	}
	path, version, _ := strings.Cut(s, "/_history/")
	if k, ok := fhir.ParseKey(path); ok {
		return Reference{Key: k, Version: version, Type: string(k.Type)}
	}
	r := Reference{URL: path, Version: version}
	if strings.Contains(path, "://") {
		r.Type = tailType(path)
	}
	return r
}

// tailType gives Patient for https://other.example/fhir/Patient/1.
func tailType(url string) string {
	id := strings.LastIndexByte(url, '/')
	if id < 0 {
		return ""
	}
	k, ok := fhir.ParseKey(url[strings.LastIndexByte(url[:id], '/')+1:])
	if !ok {
		return ""
	}
	return string(k.Type)
}

// ParseCanonical splits url|version.
func ParseCanonical(s string) (url, version string) {
	url, version, _ = strings.Cut(s, "|")
	return url, version
}
