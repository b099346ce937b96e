package mpi_test

import (
	"encoding/json"
	"testing"

	"hutong/fhir"
	"hutong/mpi"
	"hutong/profiles"
)

func (b *bench) match(body map[string]any, o mpi.MatchOptions) []mpi.Candidate {
	b.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		b.t.Fatal(err)
	}
	found, err := b.x.Match(b.t.Context(), raw, o)
	if err != nil {
		b.t.Fatal(err)
	}
	return found
}

func TestMatch(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	mrn := profiles.MRN("125001124501000270")
	b.feed("org-muni", "a", phone(mk("张伟", "1980-05-01", "male", citizen(wei), id(profiles.SocialCard, "A12345678")), "13812345678"))
	b.feed("org-dist", "b", mk("张伟", "1980-05-01", "male", citizen(wei), id(mrn, "0042")))
	b.feed("org-dist", "c", phone(mk("张伟", "1980-05-01", "male"), "13900001111"))
	b.feed("org-muni", "e", mk("无名氏", "", "male", id(profiles.EmergencyTemp, "E-2026-1")))
	only := func(ids ...map[string]any) map[string]any { return map[string]any{"identifier": ids} }
	for _, c := range []struct {
		name  string
		query map[string]any
		o     mpi.MatchOptions
		want  []string // members of each candidate
		grade mpi.Grade
	}{
		{"citizen id alone", only(citizen(wei)), mpi.MatchOptions{OnlyCertain: true}, []string{"a b"}, "certain"},
		{"old citizen id alone", only(citizen("500112800501001")), mpi.MatchOptions{OnlyCertain: true}, []string{"a b"}, "certain"},
		{"one card alone", only(id(profiles.SocialCard, "a12345678")), mpi.MatchOptions{OnlyCertain: true}, []string{"a b"}, "certain"},
		{"record number alone", only(id(mrn, "0042")), mpi.MatchOptions{}, []string{"a b"}, "certain"},
		{"temporary number", only(id(profiles.EmergencyTemp, "E-2026-1")), mpi.MatchOptions{}, []string{"e"}, "certain"},
		{"unknown card", only(id(profiles.SocialCard, "Z99999999")), mpi.MatchOptions{}, nil, ""},
		{"card of somebody else", mk("李娜", "1975-02-11", "female", id(profiles.SocialCard, "A12345678")), mpi.MatchOptions{OnlyCertain: true}, nil, ""},
		{"demographics", phone(mk("Zhang Wei", "1980-05-01", "male"), "13812345678"), mpi.MatchOptions{Count: 1}, []string{"a b"}, "probable"},
		{"demographics are never certain", phone(mk("张伟", "1980-05-01", "male"), "13812345678"), mpi.MatchOptions{OnlyCertain: true}, nil, ""},
		{"one of several", mk("张伟", "1980-05-01", "male"), mpi.MatchOptions{OnlySingle: true}, nil, ""},
		{"the one who stands out", mk("张伟", "1980-05-01", "male", citizen(wei)), mpi.MatchOptions{OnlySingle: true}, []string{"a b"}, "certain"},
	} {
		found := b.match(c.query, c.o)
		var got []string
		for _, f := range found {
			got = append(got, names(f.Members))
		}
		if len(got) != len(c.want) || len(got) > 0 && (got[0] != c.want[0] || found[0].Explanation.Grade != c.grade) {
			t.Errorf("%s: got %v, want %v %s", c.name, got, c.want, c.grade)
			for _, f := range found {
				t.Logf("  %s %.4f %s", f.Explanation.Grade, f.Explanation.Probability, f.Explanation.Verdict)
			}
		}
	}
	if _, err := b.x.Match(t.Context(), []byte(`{"gender":"male"}`), mpi.MatchOptions{}); fhir.KindOf(err) != fhir.Unprocessable {
		t.Errorf("a query that says nothing: %v", err)
	}
	// Members that the query does not meet are asked, too: it agrees with the
	// newest record, and two of three say that it is somebody else.
	d := newBench(t)
	d.feed("org-1", "o1", phone(mk("欧阳兰", "1951-12-03", "female", citizen(gb("50011219511203002"))), "13700000001"))
	d.feed("org-2", "o2", phone(mk("欧阳兰", "1951-12-03", "female", citizen(gb("50011219511203002"))), "13700000002"))
	d.feed("org-3", "o3", phone(mk("诸葛雨桐", "1980-05-01", "male"), "13812345678"))
	query := phone(mk("诸葛雨桐", "1980-05-01", "male"), "13812345678")
	if found := d.match(query, mpi.MatchOptions{}); len(found) != 1 || found[0].Explanation.Grade != "probable" {
		t.Fatalf("before: %+v", found)
	}
	if _, err := d.x.Join(t.Context(), key("o1"), key("o3"), "steward.qi", "改名"); err != nil {
		t.Fatal(err)
	}
	if found := d.match(query, mpi.MatchOptions{}); len(found) != 1 || found[0].Explanation.Grade != "possible" || names(found[0].Members) != "o1 o2 o3" {
		t.Errorf("after: %+v", found)
	}
	// A card that two persons hold finds nobody by itself.
	b.feed("org-county", "d", mk("李娜", "1980-05-01", "male", citizen(wei)))
	if found := b.match(only(citizen(wei)), mpi.MatchOptions{}); len(found) != 0 {
		t.Errorf("a card held by two found %d", len(found))
	}
}
