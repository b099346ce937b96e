// Package table reads plain CSV files of people into comparison form, by a
// mapping of our fields to the file's columns, and writes what a match of them
// found. Errors name file, line and column, never what a cell says.
package table

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// The fields that a mapping may name. Identifiers may list several columns;
// so may any other but ID, whose cells are then joined by a space (a line of
// street and number).
const (
	ID          = "id"
	Name        = "name" // whole; used where given and family are empty
	Given       = "given"
	Family      = "family"
	BirthDate   = "birthDate"
	Gender      = "gender"
	Phone       = "phone"
	Line        = "line"
	City        = "city"
	District    = "district"
	PostalCode  = "postalCode"
	State       = "state"
	BirthPlace  = "birthPlace"
	Occupation  = "occupation"
	Identifiers = "identifiers"
)

var fields = []string{ID, Name, Given, Family, BirthDate, Gender, Phone, Line, City, District, PostalCode, State, BirthPlace, Occupation, Identifiers}

// Mapping says which columns hold which field. What is not mapped is not used.
type Mapping struct {
	columns map[string][]string
}

// ParseMapping reads the YAML form: a map of field to column name or list of
// column names. Errors name the line.
func ParseMapping(data []byte) (*Mapping, error) {
	var doc map[string]yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	m := &Mapping{columns: map[string][]string{}}
	for field, node := range doc {
		if !slices.Contains(fields, field) {
			return nil, fmt.Errorf("line %d: unknown field %q; the fields are %s", node.Line, field, strings.Join(fields, ", "))
		}
		names, err := columnNames(&node)
		if err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", node.Line, field, err)
		}
		if len(names) > 0 {
			m.columns[field] = names
		}
	}
	switch {
	case len(m.columns[ID]) != 1:
		return nil, fmt.Errorf("%s must name one column", ID)
	case len(m.columns) == 1:
		return nil, fmt.Errorf("nothing but %s is mapped: there is nothing to compare", ID)
	}
	return m, nil
}

// columnNames reads one name or a list of them; null is none.
func columnNames(n *yaml.Node) ([]string, error) {
	var list []string
	switch {
	case n.Tag == "!!null":
		return nil, nil
	case n.Kind == yaml.ScalarNode:
		list = []string{n.Value}
	case n.Kind != yaml.SequenceNode || n.Decode(&list) != nil:
		return nil, fmt.Errorf("a column name or a list of them is needed")
	}
	for i, s := range list {
		if list[i] = strings.TrimSpace(s); list[i] == "" {
			return nil, fmt.Errorf("a column name is empty")
		}
	}
	return list, nil
}

// place finds the mapped columns in a header.
func (m *Mapping) place(header []string) (map[string][]int, error) {
	at := map[string][]int{}
	for _, field := range fields {
		for _, column := range m.columns[field] {
			i := slices.Index(header, column)
			if i < 0 {
				return nil, fmt.Errorf("%s is mapped to column %q, which the file does not have; it has %s", field, column, strings.Join(header, ", "))
			}
			if slices.Contains(header[i+1:], column) {
				return nil, fmt.Errorf("%s is mapped to column %q, which the file has twice", field, column)
			}
			at[field] = append(at[field], i)
		}
	}
	return at, nil
}
