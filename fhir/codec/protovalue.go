package codec

import (
	"encoding/base64"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"hutong/fhir/internal/schema"
)

// bytes and varint write a scalar field; zero values are left out, as
// protobuf does.
func (e *encoder) bytes(n protowire.Number, b []byte) {
	if len(b) > 0 {
		e.out = protowire.AppendBytes(protowire.AppendTag(e.out, n, protowire.BytesType), b)
	}
}

func (e *encoder) varint(n protowire.Number, v uint64) {
	if v != 0 {
		e.out = protowire.AppendVarint(protowire.AppendTag(e.out, n, protowire.VarintType), v)
	}
}

// primitive writes the content of a primitive message.
func (e *encoder) primitive(c uint32, t *schema.Type) error {
	kind := e.d.Nodes[c].Kind
	switch t.Kind {
	case schema.Boolean:
		if kind == True {
			e.varint(t.Value, 1)
		} else if kind != False {
			return e.fail(c, "here must stand a boolean")
		}
		return nil
	case schema.Integer, schema.UnsignedInt, schema.PositiveInt:
		return e.integer(c, t)
	case schema.Decimal:
		if kind != Number {
			return e.fail(c, "here must stand a number")
		}
		e.bytes(t.Value, e.d.Raw(c))
		return nil
	}
	if !kind.IsString() {
		return e.fail(c, "here must stand a string")
	}
	return e.text(c, t)
}

func (e *encoder) integer(c uint32, t *schema.Type) error {
	n, err := strconv.ParseInt(string(e.d.Raw(c)), 10, 32)
	if err != nil || e.d.Nodes[c].Kind != Number || n < 0 && t.Kind != schema.Integer {
		return e.fail(c, "here must stand a whole number")
	}
	if t.ZigZag {
		e.varint(t.Value, protowire.EncodeZigZag(n))
	} else {
		e.varint(t.Value, uint64(n))
	}
	return nil
}

func (e *encoder) text(c uint32, t *schema.Type) error {
	b := e.d.Bytes(c)
	switch {
	case t.Codes != nil:
		number, ok := t.Codes[string(b)]
		if !ok {
			return e.fail(c, "the code is not in the required value set")
		}
		e.varint(t.Value, uint64(number))
	case t.Kind == schema.Base64Binary:
		data, err := decodeBase64(b)
		if err != nil {
			return e.fail(c, "the value is not valid base64")
		}
		e.bytes(t.Value, data)
	case t.Time != nil:
		if !e.moment(b, t) {
			return e.fail(c, "the value is not a valid date or time")
		}
	default:
		e.bytes(t.Value, b)
	}
	return nil
}

// decodeBase64 takes white space anywhere.
func decodeBase64(b []byte) ([]byte, error) {
	dense := make([]byte, 0, len(b))
	for _, c := range b {
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			dense = append(dense, c)
		}
	}
	return base64.StdEncoding.AppendDecode(nil, dense)
}

// moment writes a date, dateTime, instant or time; false if b is none.
func (e *encoder) moment(b []byte, t *schema.Type) bool {
	m, ok := parseMoment(b, t.Kind == schema.Time)
	if !ok || t.Time.Precisions[m.precision] == 0 || t.Time.Zone == 0 && t.Kind != schema.Time {
		return false
	}
	e.varint(t.Time.Micros, uint64(m.micros))
	if t.Kind != schema.Time {
		e.bytes(t.Time.Zone, m.zone)
	}
	e.varint(t.Time.Precision, t.Time.Precisions[m.precision])
	return true
}
