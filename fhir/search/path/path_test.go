package path_test

import (
	"testing"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/search/path"
)

// TestEveryExpressionCompiles holds for all search parameters and all their
// base types, components included.
func TestEveryExpressionCompiles(t *testing.T) {
	t.Parallel()
	defs := definition.R4()
	compiled := map[string]bool{}
	for _, typ := range defs.Types() {
		for _, p := range defs.Params(typ) {
			e, err := path.Compile(defs, p.Expression, string(typ), string(typ))
			if err != nil {
				t.Errorf("%s.%s: %v", typ, p.Code, err)
				continue
			}
			compiled[p.URL] = true
			for _, c := range p.Components {
				compileComponent(t, defs, typ, e, c)
			}
		}
	}
	if len(compiled) != 1372 {
		t.Errorf("%d expressions compiled, want 1372", len(compiled))
	}
}

func compileComponent(t *testing.T, defs *definition.Set, typ fhir.Type, e *path.Expr, c definition.Component) {
	for _, context := range e.Types() {
		if _, err := path.Compile(defs, c.Expression, string(typ), context); err != nil {
			t.Errorf("%s, component %s: %v", typ, c.Param.Code, err)
		}
	}
}
