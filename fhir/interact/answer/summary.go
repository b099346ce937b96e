package answer

import (
	_ "embed"
	"slices"
	"strings"
	"sync"

	"hutong/fhir"
)

//go:generate go run ./gen summary.txt

//go:embed summary.txt
var summaryTable string

// element is one line item of the table.
type element struct {
	name               string
	choice             bool
	summary, mandatory bool
}

// elements parses the table on first use.
var elements = sync.OnceValue(func() map[fhir.Type][]element {
	table := make(map[fhir.Type][]element, 150)
	for line := range strings.Lines(summaryTable) {
		f := strings.Fields(line)
		for _, item := range f[1:] {
			var e element
			item, e.summary = strings.CutPrefix(item, "+")
			item, e.mandatory = strings.CutPrefix(item, "!")
			e.name, e.choice = strings.CutSuffix(item, "[x]")
			table[fhir.Type(f[0])] = append(table[fhir.Type(f[0])], e)
		}
	}
	return table
})

// InSummary reports whether a top-level member belongs to _summary=true.
func InSummary(t fhir.Type, name string) bool {
	return slices.ContainsFunc(elements()[t], func(e element) bool { return e.summary && e.is(name) })
}

// IsMandatory reports whether R4 requires the top-level member.
func IsMandatory(t fhir.Type, name string) bool {
	return slices.ContainsFunc(elements()[t], func(e element) bool { return e.mandatory && e.is(name) })
}

// Named reports whether _elements names the top-level member; a choice is
// named by its stem.
func Named(list []string, name string) bool {
	return slices.ContainsFunc(list, func(n string) bool { return n == name || hasStem(name, n) })
}

func (e *element) is(name string) bool {
	return name == e.name || e.choice && hasStem(name, e.name)
}

// hasStem reports whether a member is a choice of that stem: valueQuantity of
// value.
func hasStem(name, stem string) bool {
	rest, ok := strings.CutPrefix(name, stem)
	return ok && rest != "" && rest[0] >= 'A' && rest[0] <= 'Z'
}
