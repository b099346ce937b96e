package schema

import (
	"strings"

	annpb "github.com/google/fhir/go/proto/google/fhir/proto/annotations_go_proto"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// primitives maps google's message names to kinds.
var primitives = map[string]Kind{
	"Boolean": Boolean, "Integer": Integer, "UnsignedInt": UnsignedInt, "PositiveInt": PositiveInt,
	"Decimal": Decimal, "String": String, "Markdown": Markdown, "Uri": URI, "Url": URL, "Canonical": Canonical,
	"Oid": OID, "Uuid": UUID, "Id": ID, "Code": Code, "Base64Binary": Base64Binary,
	"Instant": Instant, "Date": Date, "DateTime": DateTime, "Time": Time, "Xhtml": XHTML,
}

const corePackage = "google.fhir.r4.core."

type compiler struct{ types map[string]*Type }

// compile gives the type of a message; recursive types find themselves in
// the table.
func (c *compiler) compile(m protoreflect.MessageDescriptor) *Type {
	name := strings.TrimPrefix(string(m.FullName()), corePackage)
	if t := c.types[name]; t != nil {
		return t
	}
	t := &Type{Index: len(c.types), Name: name, Fields: map[string]*Field{}}
	c.types[name] = t
	switch {
	case name == "ContainedResource":
		t.Kind = AnyResource
	case name == "google.protobuf.Any":
		t.Kind = AnyPacked
	case isPrimitive(m):
		c.primitive(t, m)
	default:
		c.complex(t, m)
	}
	return t
}

func isPrimitive(m protoreflect.MessageDescriptor) bool {
	kind, _ := option[annpb.StructureDefinitionKindValue](m.Options(), annpb.E_StructureDefinitionKind)
	return kind == annpb.StructureDefinitionKindValue_KIND_PRIMITIVE_TYPE
}

// primitive compiles a primitive; messages with other names than those of the
// FHIR primitives are codes, specialised by a value set.
func (c *compiler) primitive(t *Type, m protoreflect.MessageDescriptor) {
	kind, ok := primitives[string(m.Name())]
	if !ok {
		kind = Code
	}
	t.Kind = kind
	t.Value = number(m, "value")
	if value := m.Fields().ByName("value"); value != nil {
		t.ZigZag = value.Kind() == protoreflect.Sint32Kind
		if value.Enum() != nil {
			t.Codes = codes(value.Enum().Values())
		}
	}
	if precision := m.Fields().ByName("precision"); precision != nil {
		t.Time = timeWire(m, precision.Enum().Values())
	}
	for _, name := range []protoreflect.Name{"id", "extension"} {
		if f := m.Fields().ByName(name); f != nil {
			c.add(t, f, string(name), t.group(string(name), false), f.Number(), 0)
		}
	}
}

// codes gives the value set of an enum; number 0 is "unspecified".
func codes(values protoreflect.EnumValueDescriptors) map[string]int32 {
	set := make(map[string]int32, values.Len())
	for i := range values.Len() {
		v := values.Get(i)
		if v.Number() == 0 {
			continue
		}
		code, _ := option[string](v.Options(), annpb.E_FhirOriginalCode)
		if code == "" {
			code = strings.ReplaceAll(strings.ToLower(string(v.Name())), "_", "-")
		}
		set[code] = int32(v.Number())
	}
	return set
}

func timeWire(m protoreflect.MessageDescriptor, precisions protoreflect.EnumValueDescriptors) *TimeWire {
	w := &TimeWire{Micros: number(m, "value_us"), Zone: number(m, "timezone"), Precision: number(m, "precision")}
	for i, name := range []protoreflect.Name{"YEAR", "MONTH", "DAY", "SECOND", "MILLISECOND", "MICROSECOND"} {
		if v := precisions.ByName(name); v != nil {
			w.Precisions[i] = uint64(v.Number())
		}
	}
	return w
}

func (c *compiler) complex(t *Type, m protoreflect.MessageDescriptor) {
	fields := m.Fields()
	if proto.HasExtension(m.Options(), annpb.E_FhirReferenceType) {
		c.reference(t, m)
	}
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.Message() == nil || t.Ref != nil && f.ContainingOneof() != nil {
			continue
		}
		requirement, _ := option[annpb.Requirement](f.Options(), annpb.E_ValidationRequirement)
		group := t.group(f.JSONName(), requirement == annpb.Requirement_REQUIRED_BY_FHIR)
		if isChoice, _ := option[bool](f.Message().Options(), annpb.E_IsChoiceType); isChoice {
			c.choice(t, f, group)
		} else {
			c.add(t, f, f.JSONName(), group, f.Number(), 0)
		}
	}
}

// choice adds one field for each type of a choice element.
func (c *compiler) choice(t *Type, f protoreflect.FieldDescriptor, group int) {
	types := f.Message().Fields()
	for j := range types.Len() {
		of := types.Get(j)
		suffix := of.JSONName()
		name := f.JSONName() + strings.ToUpper(suffix[:1]) + suffix[1:]
		added := c.add(t, of, name, group, f.Number(), of.Number())
		if added.Targets == nil {
			added.Targets = targets(f)
		}
	}
}

// reference compiles what google splits into a oneof of typed ids: in JSON it
// is the one member "reference".
func (c *compiler) reference(t *Type, m protoreflect.MessageDescriptor) {
	t.Ref = &RefWire{URI: number(m, "uri"), Fragment: number(m, "fragment"), Types: map[string]protowire.Number{}}
	fields := m.Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if name, _ := option[string](f.Options(), annpb.E_ReferencedFhirType); name != "" {
			t.Ref.Types[name] = f.Number()
		}
	}
	c.add(t, fields.ByName("uri"), "reference", t.group("reference", false), 0, 0)
	t.Fields["reference"].Type = c.compile(fields.ByName("display").Message())
}

func (t *Type) group(name string, required bool) int {
	t.Groups = append(t.Groups, Group{Name: name, Required: required})
	return len(t.Groups) - 1
}

func (c *compiler) add(t *Type, f protoreflect.FieldDescriptor, name string, group int, number, choice protowire.Number) *Field {
	field := &Field{Name: name, Shadow: "_" + name, Element: t.Groups[group].Name, Type: c.compile(f.Message()),
		List: f.IsList(), Group: group, Targets: targets(f), Number: number, Choice: choice}
	t.Fields[name] = field
	return field
}

// targets gives the permitted types of a reference, nil if any is.
func targets(f protoreflect.FieldDescriptor) []string {
	types, _ := option[[]string](f.Options(), annpb.E_ValidReferenceType)
	for _, t := range types {
		if t == "Resource" {
			return nil
		}
	}
	return types
}

func number(m protoreflect.MessageDescriptor, name protoreflect.Name) protowire.Number {
	if f := m.Fields().ByName(name); f != nil {
		return f.Number()
	}
	return 0
}

// option reads an extension of descriptor options.
func option[T any](o proto.Message, x protoreflect.ExtensionType) (v T, ok bool) {
	if !proto.HasExtension(o, x) {
		return v, false
	}
	v, ok = proto.GetExtension(o, x).(T)
	return v, ok
}
