package codec

import (
	"bytes"

	bundlepb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/resources/bundle_and_contained_resource_go_proto"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"hutong/fhir"
	"hutong/fhir/internal/schema"
)

// Proto gives resource i as google/fhir's typed message, for logic that wants
// typed access. It writes the wire bytes of the message straight from the
// tape and lets protobuf decode them. Dates without a zone are taken as UTC.
// The resource should have passed validation: what the message cannot hold is
// an error of kind Structure, never dropped, but for the id and extensions of
// Reference.reference, which google's model lacks.
func Proto(d *Doc, i uint32) (*bundlepb.ContainedResource, error) {
	wire, err := appendWire(make([]byte, 0, len(d.Raw(i))), d, i)
	if err != nil {
		return nil, err
	}
	message := new(bundlepb.ContainedResource)
	if err := proto.Unmarshal(wire, message); err != nil {
		return nil, fhir.Errorf(fhir.Internal, "encode resource as a protobuf: %w", err)
	}
	return message, nil
}

func appendWire(dst []byte, d *Doc, i uint32) ([]byte, error) {
	e := encoder{d: d, s: schema.R4(), out: dst}
	err := e.resource(i)
	return e.out, err
}

// encoder writes protobuf wire bytes. A singular field may be written twice,
// once for a primitive's value and once for its extensions: protobuf merges
// them on decoding.
type encoder struct {
	d   *Doc
	s   *schema.Schema
	out []byte
}

// fail is the error of a value that does not fit its type.
func (e *encoder) fail(i uint32, text string) error {
	return fhir.Errorf(fhir.Structure, "%s", text).At(e.d.Path(i))
}

// open begins a message field and gives the place of its content; shut sets
// its length. One byte is reserved for the length and widened if need be.
func (e *encoder) open(n protowire.Number) int {
	e.out = append(protowire.AppendTag(e.out, n, protowire.BytesType), 0)
	return len(e.out)
}

func (e *encoder) shut(at int) {
	size := len(e.out) - at
	if size < 0x80 {
		e.out[at-1] = byte(size)
		return
	}
	more := protowire.SizeVarint(uint64(size)) - 1
	e.out = append(e.out, make([]byte, more)...)
	copy(e.out[at+more:], e.out[at:at+size])
	protowire.AppendVarint(e.out[at-1:at-1], uint64(size))
}

// openField opens f, and for a choice the message within; shutField closes
// both.
func (e *encoder) openField(f *schema.Field) (outer, inner int) {
	outer = e.open(f.Number)
	if f.Choice != 0 {
		inner = e.open(f.Choice)
	}
	return outer, inner
}

func (e *encoder) shutField(outer, inner int) {
	if inner != 0 {
		e.shut(inner)
	}
	e.shut(outer)
}

// resource writes the content of a ContainedResource.
func (e *encoder) resource(i uint32) error {
	t, ok := e.s.Resources[string(e.d.ResourceType(i))]
	if !ok {
		return e.fail(i, "here must stand a resource of R4")
	}
	at := e.open(t.Number)
	err := e.object(i, t.Type)
	e.shut(at)
	return err
}

func (e *encoder) object(i uint32, t *schema.Type) error {
	if e.d.Nodes[i].Kind != Object {
		return e.fail(i, "here must stand an object")
	}
	for c := range e.d.Children(i) {
		if err := e.member(i, c, t); err != nil {
			return err
		}
	}
	return nil
}

func (e *encoder) member(i, c uint32, t *schema.Type) error {
	key := e.d.Key(c)
	f := t.Fields[string(key)]
	shadow := f == nil && len(key) > 1 && key[0] == '_'
	if shadow {
		f = t.Fields[string(key[1:])]
	}
	switch {
	case f == nil:
		if string(key) == "resourceType" {
			return nil
		}
		return e.fail(c, "R4 has no such element")
	case f.Number == 0 && t.Ref == nil:
		return e.fail(c, "the typed message cannot hold this element")
	case f.Number == 0: // Reference.reference
		if shadow {
			return nil
		}
		return e.reference(c, t.Ref)
	case shadow:
		return e.shadow(i, c, f)
	case !f.List:
		return e.value(c, f)
	case e.d.Nodes[c].Kind != Array:
		return e.fail(c, "here must stand an array")
	case f.Type.Kind.Primitive():
		return e.primitives(i, c, f)
	}
	for item := range e.d.Children(c) {
		if err := e.value(item, f); err != nil {
			return err
		}
	}
	return nil
}

func (e *encoder) value(c uint32, f *schema.Field) (err error) {
	outer, inner := e.openField(f)
	switch f.Type.Kind {
	case schema.Complex:
		err = e.object(c, f.Type)
	case schema.AnyResource:
		err = e.resource(c)
	case schema.AnyPacked:
		e.bytes(1, []byte("type.googleapis.com/google.fhir.r4.core.ContainedResource"))
		at := e.open(2)
		err = e.resource(c)
		e.shut(at)
	default:
		err = e.primitive(c, f.Type)
	}
	e.shutField(outer, inner)
	return err
}

// shadow writes the ids and extensions of a primitive without, or beside, its
// value; those of a list with values are written with the values.
func (e *encoder) shadow(i, c uint32, f *schema.Field) error {
	valued := e.d.Child(i, f.Name) != 0
	if !f.List {
		outer, inner := e.openField(f)
		err := e.element(c, f.Type, valued)
		e.shutField(outer, inner)
		return err
	}
	if valued {
		return nil
	}
	for item := range e.d.Children(c) {
		outer, inner := e.openField(f)
		err := e.element(item, f.Type, false)
		e.shutField(outer, inner)
		if err != nil {
			return err
		}
	}
	return nil
}

// primitives writes a list of values, each with its companion of "_name".
func (e *encoder) primitives(i, c uint32, f *schema.Field) error {
	var companion, end uint32
	if list := e.d.Child(i, f.Shadow); list != 0 {
		companion, end = list+1, e.d.Nodes[list].Next
	}
	for item := range e.d.Children(c) {
		valued := e.d.Nodes[item].Kind != Null
		at := e.open(f.Number)
		if valued {
			if err := e.primitive(item, f.Type); err != nil {
				return err
			}
		}
		if companion < end {
			if err := e.element(companion, f.Type, valued); err != nil {
				return err
			}
			companion = e.d.Nodes[companion].Next
		} else if !valued {
			return e.fail(item, "null may stand only beside extensions")
		}
		e.shut(at)
	}
	return nil
}

// element writes the id and extensions of a primitive, and the mark that
// google's model has for one without a value.
func (e *encoder) element(c uint32, t *schema.Type, valued bool) error {
	if e.d.Nodes[c].Kind != Null {
		if err := e.object(c, t); err != nil {
			return err
		}
	}
	if !valued {
		e.noValue(t)
	}
	return nil
}

func (e *encoder) noValue(t *schema.Type) {
	at := e.open(t.Fields["extension"].Number)
	url := e.s.Types["Extension"].Fields["url"]
	inner := e.open(url.Number)
	e.bytes(url.Type.Value, []byte("https://g.co/fhir/StructureDefinition/primitiveHasNoValue"))
	e.shut(inner)
	flag := e.s.Types["Extension"].Fields["valueBoolean"]
	outer, choice := e.openField(flag)
	e.varint(flag.Type.Value, 1)
	e.shutField(outer, choice)
	e.shut(at)
}

// reference writes Reference.reference: a fragment, the typed id of Type/id
// or Type/id/_history/version, else the uri.
func (e *encoder) reference(c uint32, ref *schema.RefWire) error {
	if !e.d.Nodes[c].Kind.IsString() {
		return e.fail(c, "here must stand a string")
	}
	text := e.d.Bytes(c)
	if rest, local := bytes.CutPrefix(text, []byte{'#'}); local {
		e.wrapped(ref.Fragment, e.s.Types["String"], rest)
		return nil
	}
	typ, rest, _ := bytes.Cut(text, []byte{'/'})
	id, version, versioned := bytes.Cut(rest, []byte("/_history/"))
	number := ref.Types[string(typ)]
	if number == 0 || len(id) == 0 || bytes.IndexByte(id, '/') >= 0 || bytes.IndexByte(version, '/') >= 0 {
		e.wrapped(ref.URI, e.s.Types["Uri"], text)
		return nil
	}
	at := e.open(number)
	e.bytes(1, id)
	if versioned {
		e.wrapped(2, e.s.Types["Id"], version)
	}
	e.shut(at)
	return nil
}

// wrapped writes a primitive message of one text.
func (e *encoder) wrapped(n protowire.Number, t *schema.Type, text []byte) {
	at := e.open(n)
	e.bytes(t.Value, text)
	e.shut(at)
}
