package answer

import (
	"bytes"

	"hutong/fhir"
	"hutong/fhir/codec"
)

// Subset writes the resource with only the top-level members that keep
// accepts (by element name as in JSON, without '_'), beside resourceType, id
// and meta, and marks it SUBSETTED, so that nobody stores it as the whole.
// Source: R4 search.html#summary.
func Subset(r *fhir.Resource, keep func(name string) bool) ([]byte, error) {
	d, err := codec.Parse(r.JSON(), codec.DefaultLimits())
	if err != nil {
		return nil, err
	}
	dst := append(make([]byte, 0, 512), '{')
	for c := range d.Children(0) {
		name := d.Key(c)
		switch string(name) {
		case "resourceType", "id":
		case "meta":
			dst = appendMeta(key(dst, "meta"), d, c)
			continue
		default:
			if !keep(string(bytes.TrimPrefix(name, []byte{'_'}))) {
				continue
			}
		}
		dst = d.AppendCompact(key(dst, string(name)), c, nil)
	}
	return append(dst, '}'), nil
}

const subsetted = `{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}`

func appendMeta(dst []byte, d *codec.Doc, meta uint32) []byte {
	dst = append(dst, '{')
	tagged := false
	for c := range d.Children(meta) {
		dst = d.AppendCompact(key(dst, string(d.Key(c))), c, nil)
		if string(d.Key(c)) == "tag" && d.Nodes[c].Kind == codec.Array {
			dst = dst[:len(dst)-1]
			if d.Len(c) > 0 {
				dst = append(dst, ',')
			}
			dst = append(append(dst, subsetted...), ']')
			tagged = true
		}
	}
	if !tagged {
		dst = append(append(key(dst, "tag"), '['), subsetted+"]"...)
	}
	return append(dst, '}')
}
