package score

import (
	"fmt"
	"math"
	"strings"

	"hutong/mpi/normal"
)

// FieldComparison is one field of a scored pair, for a person to read.
type FieldComparison struct {
	Field  string  `json:"field"`
	Label  Text    `json:"label"`
	A      string  `json:"a"`
	B      string  `json:"b"`
	Level  string  `json:"level"`
	Weight float64 `json:"weight"` // log2(m/u): what speaks for (+) or against (-)
	Words  Text    `json:"words"`
}

// Explain puts one field of a result into words.
func (m *Model) Explain(f Field, a, b *normal.Record, r *Result) FieldComparison {
	l := r.Vector[f]
	words := f.Words(l)
	if share := r.Frequency[f]; share > 0 {
		n := int(math.Max(1, math.Round(1/share)))
		words.ZH += fmt.Sprintf("；约每 %d 人中有 1 人如此", n)
		words.EN += fmt.Sprintf("; about 1 person in %d carries it", n)
	}
	return FieldComparison{
		Field: f.String(), Label: f.Label(), A: Value(f, a), B: Value(f, b),
		Level: f.LevelName(l), Weight: math.Round(r.Weights[f]*100) / 100, Words: words,
	}
}

// Value is what a record says in a field, as one text in comparison form.
func Value(f Field, r *normal.Record) string {
	var out []string
	add := func(s string) {
		if s != "" {
			out = append(out, s)
		}
	}
	switch f {
	case Citizen, Cards:
		for i := range r.IDs {
			id := &r.IDs[i]
			if (id.Kind == normal.Citizen) == (f == Citizen) && (f == Citizen || id.Kind.Strong()) {
				add(id.Value)
			}
		}
	case Family, Given:
		for i := range r.Names {
			if f == Family {
				add(r.Names[i].Family)
			} else {
				add(r.Names[i].Given)
			}
		}
	case Birth:
		add(r.Birth.String())
	case Sex:
		add(r.Sex.String())
	case Phone:
		out = append(out, r.Phones...)
	case Line:
		for _, a := range r.Addresses {
			add(a.Line)
		}
	case Place:
		for _, a := range r.Addresses {
			add(strings.Join(strings.Fields(a.State+" "+a.City+" "+a.District+" "+a.PostalCode), " "))
		}
	}
	return strings.Join(out, "；")
}
