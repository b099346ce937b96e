package mongo_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/fhir/store/mongo"
	"hutong/fhir/store/mongo/terms"
)

// hostile are values that would mean something else to a server that took them
// for more than values.
var hostile = []string{
	"$ne", "$where", "{$gt: ''}", `{"$gt":""}`, "a.b.$", "$", ".", "..", ".*", "^", "a|b", "%7C", "(?i)li", `\E\Q`, `\`, "[a", "a{9999}", "(((((",
	"=", "~", "?", "family=li", "a\u2026", "li\x00", "\x00", "'; db.dropDatabase(); '", "\U0010FFFF", "ＮＵＬＬ", strings.Repeat("x", 5000), strings.Repeat("字", 300),
}

func hostilePatient(t *testing.T, i int) store.Op {
	t.Helper()
	v, err := json.Marshal(hostile[i])
	if err != nil {
		t.Fatal(err)
	}
	return op(t, fhir.Created, fmt.Sprintf(`{"resourceType":"Patient","id":"h%d","name":[{"family":%s}],"gender":"male",
		"identifier":[{"system":%s,"value":%s}],"telecom":[{"system":"phone","value":%s}],
		"extension":[{"url":"http://example.org/$where","valueString":%s}]}`, i, v, v, v, v, v))
}

// Every hostile value finds what holds it, by each way that it can be asked
// for, and nothing that does not.
func TestHostileValues(t *testing.T) {
	t.Parallel()
	s := node(t, fresh(), mongo.Options{})
	var ops []store.Op
	for i := range hostile {
		ops = append(ops, hostilePatient(t, i))
	}
	put(t, s, ops...)
	snap, err := s.Snapshot(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	param := func(code string) *definition.SearchParam { return world().Defs.Param("Patient", code) }
	for i, v := range hostile {
		for _, p := range []search.Predicate{
			{Param: param("family"), Values: []search.Value{{Code: v}}},
			{Param: param("family"), Modifier: search.Exact, Values: []search.Value{{Code: v}}},
			{Param: param("family"), Modifier: search.Contains, Values: []search.Value{{Code: v}}},
			{Param: param("identifier"), Values: []search.Value{{Code: v}}},
			{Param: param("identifier"), Values: []search.Value{{Code: v, System: v, HasSystem: true}}},
			{Param: param("identifier"), Values: []search.Value{{System: v, HasSystem: true, AnyCode: true}}},
			{Param: param("phone"), Values: []search.Value{{Code: v}, {Code: "$in"}}},
			{Param: param("gender"), Modifier: search.Not, Values: []search.Value{{Code: v}}},
			{Param: param("_id"), Values: []search.Value{{Code: v}}},
			{Param: param("organization"), Values: []search.Value{{Code: v, RefType: fhir.Type(v)}}},
		} {
			got, err := snap.Search(t.Context(), &search.Query{Type: "Patient", Filter: []search.Predicate{p}, Count: 100, Total: true, Restriction: search.Unrestricted()})
			if err != nil {
				t.Errorf("%q as %s%s: %v", v, p.Param.Code, p.Modifier, err)
				continue
			}
			var want []string
			for j := range ops {
				if p.Param.Code != "_id" && search.Matches(&p, ops[j].Entries) {
					want = append(want, ops[j].Key.ID)
				}
			}
			same(t, fmt.Sprintf("%q (%d) as %s:%s", v, i, p.Param.Code, p.Modifier), sortedIDs(got.Matches), slices.Sorted(slices.Values(want)))
			same(t, "total", got.Total, len(want))
		}
	}
}

func sortedIDs(rs []fhir.Resource) []string {
	var out []string
	for _, r := range rs {
		out = append(out, r.ID)
	}
	slices.Sort(out)
	return out
}

// Restrictions, types and ids are values too.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	s := node(t, fresh(), mongo.Options{})
	put(t, s, op(t, fhir.Created, patient("p", "Li")))
	snap, err := s.Snapshot(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	for _, v := range hostile {
		k := fhir.Key{Type: fhir.Type(v), ID: v}
		for _, r := range []search.Rule{{Patients: []fhir.Key{k}}, {Custodians: []string{v}}, {Keys: []fhir.Key{k}}, {Types: []fhir.Type{k.Type}}} {
			q := search.Query{Type: "Patient", Count: 10, Total: true, Restriction: search.Restriction{Decided: true, Permit: []search.Rule{r}}}
			if p, err := snap.Search(t.Context(), &q); err != nil || p.Total != 0 {
				t.Errorf("%q as a rule: %d matches, %v", v, p.Total, err)
			}
		}
		if _, err := snap.Get(t.Context(), k); fhir.KindOf(err) != fhir.NotFound {
			t.Errorf("get %q: %v", v, err)
		}
		if _, err := s.Commit(t.Context(), store.Tx{Ops: []store.Op{{Key: k, Method: fhir.Deleted}}}); fhir.KindOf(err) != fhir.Invalid && !fhir.ValidID(v) {
			t.Errorf("delete %q: %v", v, err)
		}
		if err := s.Space(v).Apply(t.Context(), []store.Write{{Key: []byte("k"), Value: []byte("v")}}); (err == nil) != regexp.MustCompile(`^[A-Za-z0-9-]+$`).MatchString(v) {
			t.Errorf("space %q: %v", v, err)
		}
		key := []byte(v)[:min(len(v), 1024)]
		if err := s.Space("x").Apply(t.Context(), []store.Write{{Key: key, Value: []byte(v), If: store.IfAbsent}}); err != nil {
			t.Errorf("key %q: %v", v, err)
		}
		if got, err := s.Space("x").Get(t.Context(), key); err != nil || string(got) != v {
			t.Errorf("key %q gives %q, %v", v, got, err)
		}
	}
}

// operators is all that a condition may hold.
var operators = []string{"$and", "$or", "$nor", "$in", "$gt", "$gte", "$lt", "$lte", "$regex", "$exists"}

// Whatever the value, a condition has the same keys, and of operators only
// those that every server has; patterns are anchored and hold no NUL.
func TestConditionsHoldNoKeysOfValues(t *testing.T) {
	t.Parallel()
	for _, p := range world().Defs.Params("Patient") {
		for _, m := range []search.Modifier{search.NoModifier, search.Not, search.Exact, search.Contains, search.Below, search.Above, search.Text, search.OfType, search.IdentifierOf, search.Missing} {
			for _, v := range hostile {
				c := terms.Compile(&search.Predicate{Param: p, Modifier: m, Values: []search.Value{{Code: v, System: v, HasSystem: true, Prefix: search.Prefix(v)}, {Code: v, RefType: fhir.Type(v)}}})
				checkKeys(t, p.Code, c.Filter)
			}
		}
	}
}

func checkKeys(t *testing.T, code string, v any) {
	t.Helper()
	switch v := v.(type) {
	case bson.D:
		for _, e := range v {
			field := e.Key == "tok" || regexp.MustCompile(`^r\.`+regexp.QuoteMeta(code)+`\.(lo|hi|clo|chi)$`).MatchString(e.Key)
			if !field && !slices.Contains(operators, e.Key) {
				t.Errorf("a condition of %s has the key %q", code, e.Key)
			}
			if s, ok := e.Value.(string); ok && e.Key == "$regex" && (s[0] != '^' || strings.ContainsRune(s, 0)) {
				t.Errorf("a condition of %s has the pattern %q", code, s)
			}
			checkKeys(t, code, e.Value)
		}
	case bson.A:
		for _, e := range v {
			checkKeys(t, code, e)
		}
	}
}
