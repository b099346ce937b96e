package search

import (
	"hutong/fhir/codec"
	"hutong/fhir/definition"
	"hutong/fhir/search/path"
	"hutong/fhir/search/pinyin"
)

// Reads reports whether a value of the data type, in JSON, gives an entry of p.
func Reads(p *definition.SearchParam, dataType, json string) bool {
	d, err := codec.Parse([]byte(`{"v":`+json+`}`), codec.DefaultLimits())
	if err != nil {
		return false
	}
	open := *p
	open.Targets = nil
	w := &extraction{x: &Extractor{names: pinyin.NewSpeller()}, r: path.NewResource(d, 0, nil, "")}
	w.convert(&open, noName, path.Value{Node: d.Child(0, "v"), Type: dataType})
	return len(w.out) > 0
}
