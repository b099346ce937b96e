package mpi_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"hutong/fhir/store"
	"hutong/mpi"
)

// checkRestored is check where restored entries stand before later ones.
func (b *bench) checkRestored() {
	b.t.Helper()
	checkSpace(b.t, b.space, false)
}

// check holds the stored index against itself.
func (b *bench) check() {
	b.t.Helper()
	checkSpace(b.t, b.space, true)
}

// checkSpace reads the stored form: each record that is not deleted is a member
// of exactly one person, the one that its row names; each person that went into
// another leads to one that has members or to none; every change of a person
// stands in the journal, whose last word on a person (if it is in order) is the
// person as stored.
func checkSpace(t testing.TB, s store.Space, inOrder bool) {
	t.Helper()
	all, err := s.Scan(t.Context(), nil, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	home, rows := map[string][]string{}, map[string]string{}
	persons, said := map[string][]string{}, map[string][]string{}
	for _, kv := range all {
		k := string(kv.Key)
		switch {
		case strings.HasPrefix(k, "p/"):
			var p struct {
				M []string
				X string
			}
			unmarshal(t, kv.Value, &p)
			persons[k[2:]] = p.M
			for _, m := range p.M {
				home[m] = append(home[m], k[2:])
			}
		case strings.HasPrefix(k, "r/"):
			person, deleted, ok := mpi.StoredHead(kv.Value)
			if !ok {
				t.Errorf("row %s cannot be read", k)
			}
			if !deleted {
				rows[k[2:]] = person
			}
		case strings.HasPrefix(k, "j/"):
			var e struct {
				Before, After []struct{ Person, Members any }
			}
			unmarshal(t, kv.Value, &e)
			for _, m := range e.Before {
				said[strings.TrimPrefix(m.Person.(string), "Patient/")] = nil
			}
			for _, m := range e.After {
				var ids []string
				for _, id := range m.Members.([]any) {
					ids = append(ids, strings.TrimPrefix(id.(string), "Patient/"))
				}
				said[strings.TrimPrefix(m.Person.(string), "Patient/")] = ids
			}
		}
	}
	for id, p := range rows {
		if !slices.Equal(home[id], []string{p}) {
			t.Errorf("record %s says person %q and is a member of %q", id, p, home[id])
		}
	}
	for id := range home {
		if rows[id] == "" {
			t.Errorf("a deleted or unknown record %s is a member of %q", id, home[id])
		}
	}
	for p, m := range persons {
		if inOrder && !slices.Equal(said[p], m) {
			t.Errorf("person %s has members %q; the journal's last word is %q", p, m, said[p])
		}
	}
}

func unmarshal(t testing.TB, raw []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatal(err)
	}
}
