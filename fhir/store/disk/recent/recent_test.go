package recent_test

import (
	"fmt"
	"testing"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/fhir/store/disk/recent"
)

// TestAfter: what is held is whole commits in their order, without a gap; what
// is not held any more, or was not told, is left to the log.
func TestAfter(t *testing.T) {
	t.Parallel()
	const commits, each = 3000, 3
	var l recent.Log
	l.Reset(10)
	add := func(at fhir.T, m fhir.Method) {
		ops := make([]store.Op, each)
		versions := make([]fhir.Version, each)
		for i := range ops {
			ops[i].Method = m
			versions[i] = fhir.Version{Key: fhir.Key{Type: "Basic", ID: fmt.Sprint(i)}, T: at, Method: m}
		}
		l.Add(at, versions, ops)
	}
	if _, ok := l.After(9, 10, 5); ok {
		t.Error("what was before the beginning is held")
	}
	if got, ok := l.After(10, 10, 5); !ok || len(got) != 0 {
		t.Errorf("%v %v where nothing has happened", got, ok)
	}
	for at := fhir.T(11); at < 11+commits; at++ {
		add(at, fhir.Created)
	}
	const newest = 10 + commits
	if _, ok := l.After(10, newest, 5); ok {
		t.Error("all is held for ever")
	}
	for after, end := fhir.T(newest-500), fhir.T(newest-1); after < end; { // newest itself is not visible yet
		got, ok := l.After(after, end, 7)
		if !ok || len(got) != min(9, each*int(end-after)) {
			t.Fatalf("%d changes behind %d, %v", len(got), after, ok)
		}
		for i := range got {
			if want := after + 1 + fhir.T(i/each); got[i].T != want || got[i].ID != fmt.Sprint(i%each) {
				t.Fatalf("change %d behind %d is %+v", i, after, got[i])
			}
		}
		after = got[len(got)-1].T
	}
	if got, ok := l.After(newest-1, newest, 0); !ok || len(got) != each {
		t.Errorf("%d changes of the newest commit, %v", len(got), ok)
	}
	add(newest+1, fhir.Deleted)
	if _, ok := l.After(newest, newest+1, 5); ok {
		t.Error("a deletion is told without whom it concerned")
	}
	add(newest+2, fhir.Updated)
	add(newest+3, fhir.Updated)
	l.Reset(newest + 2)
	if got, ok := l.After(newest+2, newest+3, 5); !ok || len(got) != each || got[0].T != newest+3 {
		t.Errorf("%v %v behind what was let go of", got, ok)
	}
}
