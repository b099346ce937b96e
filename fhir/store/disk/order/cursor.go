package order

import (
	"encoding/binary"

	"hutong/fhir"
	"hutong/fhir/store/disk/layout"
)

// AppendCursor makes the cursor of the last match of a page: the order of its
// place, its sort values and its key.
func AppendCursor(ord layout.Ord, values []Value, key fhir.Key) []byte {
	b := binary.BigEndian.AppendUint64([]byte{1}, uint64(ord))
	for _, v := range values {
		if v == nil {
			b = binary.AppendUvarint(b, 0)
			continue
		}
		b = append(binary.AppendUvarint(b, uint64(len(v))+1), v...)
	}
	return append(b, key.String()...)
}

// ParseCursor reads AppendCursor; ok is false for anything else.
func ParseCursor(b []byte, values int) (ord layout.Ord, sort []Value, key fhir.Key, ok bool) {
	if len(b) < 9 || b[0] != 1 {
		return 0, nil, key, false
	}
	ord = layout.Ord(binary.BigEndian.Uint64(b[1:]))
	b = b[9:]
	for range values {
		n, k := binary.Uvarint(b)
		if k <= 0 || n > uint64(len(b)-k)+1 {
			return 0, nil, key, false
		}
		b = b[k:]
		var v Value
		if n > 0 {
			v = append(Value{}, b[:n-1]...)
			b = b[n-1:]
		}
		sort = append(sort, v)
	}
	key, ok = fhir.ParseKey(string(b))
	return ord, sort, key, ok
}
