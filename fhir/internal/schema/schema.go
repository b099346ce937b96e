// Package schema is the element model of R4 4.0.1, compiled once from the
// protobuf descriptors of google/fhir: names, types, cardinality, choice
// groups, required value sets, reference targets and the numbers of the wire
// fields. fhir/validate checks a tape with it, fhir/codec encodes one with it.
package schema

import (
	"sync"

	bundlepb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/resources/bundle_and_contained_resource_go_proto"
	"google.golang.org/protobuf/encoding/protowire"
)

// Kind is the kind of a type: a complex one, a place for any resource, or one
// of the primitives.
type Kind uint8

// The kinds of types. AnyPacked is a google.protobuf.Any that holds a
// ContainedResource, as DomainResource.contained does.
const (
	Complex Kind = iota
	AnyResource
	AnyPacked
	Boolean // first of the primitives
	Integer
	UnsignedInt
	PositiveInt
	Decimal
	String
	Markdown
	URI
	URL
	Canonical
	OID
	UUID
	ID
	Code
	Base64Binary
	Instant
	Date
	DateTime
	Time
	XHTML
)

// Primitive reports whether values of the kind are JSON scalars.
func (k Kind) Primitive() bool { return k >= Boolean }

// Type is a resource type, a data type, a backbone element or a code type.
type Type struct {
	Index  int    // 0, 1, ...: for tables of rules by type
	Name   string // "Patient", "HumanName", "Patient.Contact", "Patient.GenderCode"
	Kind   Kind
	Codes  map[string]int32  // required value set: code -> enum number; nil: not bound, or too large to list
	Fields map[string]*Field // by JSON name; of a primitive: id and extension
	Groups []Group           // elements in order of definition; Field.Group indexes it
	Ref    *RefWire          // set for references
	Value  protowire.Number  // of a primitive: the field of its value
	ZigZag bool              // the value is a signed varint
	Time   *TimeWire         // set for date, dateTime, instant, time
}

// Group is one element: a plain field, or all the types of a choice.
type Group struct {
	Name     string // "value" for value[x]
	Required bool
}

// Field is one JSON member.
type Field struct {
	Name    string // JSON name: "valueQuantity"
	Shadow  string // "_valueQuantity": where id and extensions of a primitive stand
	Element string // name of the element in a FHIRPath: "value"
	Type    *Type
	List    bool
	Group   int      // index in Type.Groups; at most 63
	Targets []string // resource types that a reference may point to; empty = any

	Number protowire.Number // 0 for Reference.reference, and where the message has no such field
	Choice protowire.Number // not 0: the number within the choice message
}

// RefWire gives the wire fields of a reference.
type RefWire struct {
	URI, Fragment protowire.Number
	Types         map[string]protowire.Number // resource type -> field of its ReferenceId
}

// TimeWire gives the wire fields of a point in time.
type TimeWire struct {
	Micros, Zone, Precision protowire.Number
	// Precisions are the enum numbers of year, month, day, second,
	// millisecond and microsecond; 0 where the type has none.
	Precisions [6]uint64
}

// Resource is a resource type and its field in ContainedResource.
type Resource struct {
	*Type
	Number protowire.Number
}

// Schema is the model. It is immutable.
type Schema struct {
	Resources map[string]Resource
	Types     map[string]*Type // data types and backbone elements too
}

// R4 gives the model. The first call compiles it (tens of milliseconds).
var R4 = sync.OnceValue(func() *Schema {
	c := compiler{types: map[string]*Type{}}
	s := &Schema{Resources: map[string]Resource{}, Types: c.types}
	fields := (&bundlepb.ContainedResource{}).ProtoReflect().Descriptor().Oneofs().Get(0).Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		s.Resources[string(f.Message().Name())] = Resource{Type: c.compile(f.Message()), Number: f.Number()}
	}
	s.correct()
	return s
})

// correct mends the two places where google's model departs from R4 4.0.1; a
// test compares the whole model with the published definitions.
func (s *Schema) correct() {
	// Extension.value[x] may be a Meta. The message cannot hold it.
	extension := s.Types["Extension"]
	value := *extension.Fields["valueCoding"]
	value.Name, value.Shadow, value.Type, value.Number, value.Choice = "valueMeta", "_valueMeta", s.Types["Meta"], 0, 0
	extension.Fields["valueMeta"] = &value
	// The item type question is abstract: a heading in the code system.
	delete(s.Types["Questionnaire.Item"].Fields["type"].Type.Codes, "question")
}
