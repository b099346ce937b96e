package definition

// Structure is the element list of one resource type, data type or backbone
// element.
type Structure struct {
	Path     string // "Patient", "Patient.contact", "HumanName"
	Elements []Element
}

// Element is one child of a Structure, as JSON carries it but for a choice.
type Element struct {
	Name   string   // without [x]: "value"
	Choice bool     // the JSON key is Name + the type's name with a capital
	List   bool     // max > 1: a JSON array
	Types  []string // data types, or the Path of a backbone Structure; "Resource" for a nested resource
	System string   // of a code bound (required) to one code system: the system it implies
}

// Element gives the child of that name (a choice by its stem); nil if none.
func (s *Structure) Element(name string) *Element {
	for i := range s.Elements {
		if s.Elements[i].Name == name {
			return &s.Elements[i]
		}
	}
	return nil
}

// Key gives the JSON member name of the element when it holds type t.
func (e *Element) Key(t string) string {
	if !e.Choice {
		return e.Name
	}
	return e.Name + string(t[0]&^0x20) + t[1:]
}
