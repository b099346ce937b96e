package rebuild

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/store/disk/layout"
)

// Fingerprints tell how each parameter of each type is extracted, by the name
// of its posting list, and whose lists it is found in if not in its own.
func Fingerprints(defs *definition.Set) map[string]string {
	out := map[string]string{}
	for _, t := range defs.Types() {
		for _, p := range defs.Params(t) {
			f := fmt.Sprintf("%s|%v|%s|%v", p.URL, p.Type, p.Expression, p.Targets)
			if p.Type == definition.Date {
				f = dated + f
			}
			for _, c := range p.Components {
				f += fmt.Sprintf("|%s %s", c.Param.URL, c.Expression)
			}
			if src := defs.Source(t, p); src != nil {
				f += from
				for _, q := range src.Params {
					f += " " + q.Code
				}
			}
			out[layout.ListName(t, p.Code)] = f
		}
	}
	return out
}

// dated marks the fingerprints of date parameters. The class that all postings
// of a resource carry tells its date (layout.Class), so with one of them all
// lists of the type change.
const dated = "date "

// from stands in the fingerprint of a parameter before its sources.
const from = "|from"

// whole names all lists of a type.
func whole(t fhir.Type) string { return layout.ListName(t, "") }

// compare adds what differs now to what an earlier run left.
func (b *Build) compare(old map[string]string) {
	to := func(lists *[]string, name string) {
		if !slices.Contains(*lists, name) {
			*lists, b.state.Begun, b.state.Cursor = append(*lists, name), false, 0
		}
	}
	add := func(name string) { to(&b.state.Lists, name) }
	names := maps.Clone(old)
	maps.Copy(names, b.table)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if old[name] == b.table[name] {
			continue
		}
		if own, sources, _ := strings.Cut(b.table[name], from); sources != "" && own == old[name] {
			to(&b.state.Gone, name)
			continue
		}
		add(name)
		if strings.HasPrefix(old[name], dated) || strings.HasPrefix(b.table[name], dated) {
			t, _, _ := strings.Cut(name, "\x00")
			add(whole(fhir.Type(t)))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.table)) { // who waits for its sources waits itself
		t, _, _ := strings.Cut(name, "\x00")
		_, sources, _ := strings.Cut(b.table[name], from)
		for _, code := range strings.Fields(sources) {
			if slices.Contains(b.state.Lists, layout.ListName(fhir.Type(t), code)) {
				add(name)
			}
		}
	}
}
