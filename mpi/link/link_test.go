package link_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"hutong/mpi/link"
	"hutong/mpi/normal"
	"hutong/mpi/score"
	"hutong/profiles"
)

var now = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// TestPartition checks, on random graphs, that the outcome does not depend on
// the order of ids and edges, that nothing apart is joined, and that every
// edge that was not followed has a reason.
func TestPartition(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 3))
	for range 500 {
		ids := make([]string, 2+rng.IntN(9))
		for i := range ids {
			ids[i] = fmt.Sprintf("r%d", i)
		}
		var edges []link.Edge
		forbidden, against := map[[2]string]bool{}, map[[2]string]bool{}
		for i := range ids {
			for j := i + 1; j < len(ids); j++ {
				switch rng.IntN(5) {
				case 0, 1:
					edges = append(edges, link.Edge{A: ids[i], B: ids[j], Weight: float64(rng.IntN(4)), Must: rng.IntN(6) == 0})
				case 2:
					against[[2]string{ids[i], ids[j]}] = true
				case 3:
					forbidden[[2]string{ids[i], ids[j]}] = true
				}
			}
		}
		apart := func(a, b string, human bool) (r link.Relation) {
			if !human && forbidden[[2]string{a, b}] {
				r.Apart = link.TwoCitizenIDs
			}
			r.Against = !human && against[[2]string{a, b}]
			return r
		}
		groups, refused := link.Partition(ids, edges, apart)
		checkPartition(t, ids, edges, groups, refused)
		for range 5 {
			rng.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
			rng.Shuffle(len(edges), func(i, j int) { edges[i], edges[j] = edges[j], edges[i] })
			if again, _ := link.Partition(ids, edges, apart); !reflect.DeepEqual(again, groups) {
				t.Fatalf("order matters: %v and %v of %v", groups, again, edges)
			}
		}
	}
}

func checkPartition(t *testing.T, ids []string, edges []link.Edge, groups [][]string, refused []link.Refusal) {
	t.Helper()
	home := map[string]int{}
	for i, g := range groups {
		for _, id := range g {
			home[id] = i
		}
	}
	if len(home) != len(ids) {
		t.Fatalf("%d of %d ids placed", len(home), len(ids))
	}
	for _, e := range edges {
		followed := home[e.A] == home[e.B]
		excused := slices.ContainsFunc(refused, func(r link.Refusal) bool {
			p, q := home[r.Edge.A], home[r.Edge.B]
			return r.Edge == e || p == home[e.A] && q == home[e.B] || p == home[e.B] && q == home[e.A]
		})
		if !followed && !excused {
			t.Fatalf("edge %v was not followed and nobody says why", e)
		}
		if e.Must && !followed {
			t.Fatalf("a human link %v was not followed", e)
		}
	}
}

func TestAssign(t *testing.T) {
	t.Parallel()
	was := map[string]string{"a": "p1", "b": "p1", "c": "p2", "d": ""}
	n := 0
	fresh := func() string { n++; return fmt.Sprintf("new%d", n) }
	for _, c := range []struct {
		groups [][]string
		want   []string
	}{
		{[][]string{{"a", "b", "c"}}, []string{"p1"}},
		{[][]string{{"a"}, {"b"}, {"c"}, {"d"}}, []string{"p1", "new1", "p2", "new2"}},
		{[][]string{{"a", "d"}, {"b", "c"}}, []string{"p1", "p2"}},
	} {
		n = 0
		if got := link.Assign(c.groups, func(id string) string { return was[id] }, fresh); !slices.Equal(got, c.want) {
			t.Errorf("%v: got %v, want %v", c.groups, got, c.want)
		}
	}
}

func rec(name, birth string, sex normal.Sex, ids ...string) *normal.Record {
	r := &normal.Record{Names: []normal.Name{normal.NewName(name, "", "", "")}, Sex: sex}
	r.Birth, _ = normal.ParseDate(birth)
	for i := 0; i+1 < len(ids); i += 2 {
		if id, ok := normal.NewIdentifier(normal.RawIdentifier{System: ids[i], Value: ids[i+1]}, "org", now); ok {
			r.IDs = append(r.IDs, id)
		}
	}
	return r
}

func TestDecide(t *testing.T) {
	t.Parallel()
	m, err := score.Default()
	if err != nil {
		t.Fatal(err)
	}
	rules := link.NewRules(m)
	const a, b = "11010519491231002X", "440524188001010014" // female, male
	twin := func(order int) *normal.Record {
		r := rec("张子轩", "2020-05-01", normal.Male)
		r.Order = order
		return r
	}
	for _, c := range []struct {
		name   string
		x, y   *normal.Record
		kind   link.Kind
		reason link.Reason
		grade  score.Grade
	}{
		{"ID-11 citizen id", rec("张伟", "1949-12-31", normal.Female, profiles.CitizenID, a), rec("张炜", "1949-12-31", normal.Female, profiles.CitizenID, a), link.Link, link.SameCitizenID, score.Certain},
		{"ID-11 an invalid id proves nothing", rec("张伟", "", 0, profiles.CitizenID, "110105194912310021"), rec("张伟", "", 0, profiles.CitizenID, "110105194912310021"), link.Review, link.LikelySame, ""},
		{"ID-11 other name", rec("张伟", "1949-12-31", normal.Female, profiles.CitizenID, a), rec("李娜", "1949-12-31", normal.Female, profiles.CitizenID, a), link.Review, link.NameContradicts, ""},
		{"two ids", rec("张伟", "1949-12-31", 0, profiles.CitizenID, a), rec("张伟", "1949-12-31", 0, profiles.CitizenID, b), link.Never, link.TwoCitizenIDs, score.CertainlyNot},
		{"twins", twin(1), twin(2), link.Never, link.Twins, score.CertainlyNot},
		{"newborns of one mother", rec("张某之子", "2026-05-20", normal.Male, profiles.NewbornTemp, "m1-20260520-1"), rec("张某之子", "2026-05-20", normal.Male, profiles.NewbornTemp, "m1-20260520-2"), link.Never, link.Twins, score.CertainlyNot},
		{"strangers", rec("张伟", "1949-12-31", normal.Male), rec("李娜", "1980-05-01", normal.Female), link.None, link.LikelyDifferent, score.CertainlyNot},
		{"common name and birth date", rec("张伟", "1980-05-01", normal.Male), rec("张伟", "1980-05-01", normal.Male), link.Review, link.LikelySame, ""},
		{"common name alone", rec("张伟", "", normal.Male), rec("张伟", "", normal.Male), link.None, link.LikelyDifferent, score.CertainlyNot},
	} {
		v, w := rules.Decide(c.x, c.y, now), rules.Decide(c.y, c.x, now)
		if v.Kind != c.kind || !slices.Contains(v.Reasons, c.reason) || c.grade != "" && v.Score.Grade != c.grade {
			t.Errorf("%s: got %s %v %s (p %.4f)", c.name, v.Kind, v.Reasons, v.Score.Grade, v.Score.Probability)
		}
		if !reflect.DeepEqual(v, w) {
			t.Errorf("%s: not symmetric", c.name)
		}
		if v.Kind == link.Review && (v.Score.Grade == score.Certain || v.Score.Grade == score.CertainlyNot) {
			t.Errorf("%s: a pair for review is graded %s", c.name, v.Score.Grade)
		}
	}
}

// TestWeakBridge: one damaged record between two people is cut off, and the
// edge that was not followed is told.
func TestWeakBridge(t *testing.T) {
	t.Parallel()
	ids := []string{"p1", "p2", "q1", "q2", "x"}
	against := func(a, b string, human bool) link.Relation {
		return link.Relation{Against: !human && a[0] == 'p' && b[0] == 'q'}
	}
	edge := func(a, b string, w float64) link.Edge { return link.Edge{A: a, B: b, Weight: w} }
	bridge := []link.Edge{edge("p1", "p2", 30), edge("q1", "q2", 30), edge("p1", "x", 20), edge("q1", "x", 10)}
	for _, c := range []struct {
		name    string
		ids     []string
		edges   []link.Edge
		groups  string
		refused link.Reason
	}{
		{"the weaker side is cut", ids, bridge, "[[p1 p2 x] [q1 q2]]", link.WeakBridge},
		{"a human says where it belongs", ids, append(slices.Clone(bridge), link.Edge{A: "q1", B: "x", Must: true}), "[[p1 p2] [q1 q2 x]]", link.WeakBridge},
		{"a human's bridge holds", ids, append(slices.Clone(bridge), link.Edge{A: "q1", B: "x", Must: true}, link.Edge{A: "p1", B: "x", Must: true}), "[[p1 p2 q1 q2 x]]", ""},
		{"one pair against one is no majority", []string{"p1", "q1", "x"}, []link.Edge{edge("p1", "x", 20), edge("q1", "x", 10)}, "[[p1 q1 x]]", ""},
		// The bridge between p and q is weak until x and y, whom nothing contradicts, have joined p.
		{"a group that grew", []string{"p1", "q1", "x", "y"}, []link.Edge{edge("p1", "q1", 40), edge("p1", "x", 20), edge("p1", "y", 20)}, "[[p1 q1 x y]]", ""},
	} {
		groups, refused := link.Partition(c.ids, c.edges, against)
		if got := fmt.Sprint(groups); got != c.groups {
			t.Errorf("%s: %s, want %s", c.name, got, c.groups)
		}
		if (c.refused == "") != (len(refused) == 0) || c.refused != "" && refused[0].Reason != c.refused {
			t.Errorf("%s: refused %v", c.name, refused)
		}
	}
}

func TestAgainst(t *testing.T) {
	t.Parallel()
	const a = "11010519491231002X"
	date := func(s string) normal.Date { d, _ := normal.ParseDate(s); return d }
	dead := func(s string) link.Life { return link.Life{Dead: true, Died: date(s)} }
	alive := link.Life{Alive: true}
	plain, carded := rec("张伟", "1949-12-31", normal.Female), rec("张伟", "1949-12-31", normal.Female, profiles.CitizenID, a)
	for _, c := range []struct {
		name string
		a, b *normal.Record
		x, y link.Life
		want link.Reason
	}{
		{"nothing is said", plain, plain, link.Life{}, link.Life{}, ""},
		{"a day apart", plain, plain, dead("2025-01-01"), dead("2025-01-02"), ""},
		{"two deaths", carded, carded, dead("2025-01-01"), dead("2025-03-01"), link.TwoDeaths},
		{"a year alone", plain, plain, dead("2025-01-01"), dead("2024"), ""},
		{"born after the death", plain, plain, dead("1949-12-30"), link.Life{}, link.BornAfterDeath},
		{"born and died on one day", plain, plain, dead("1949-12-31"), link.Life{}, ""},
		{"dead and alive", plain, plain, link.Life{Dead: true}, alive, link.DeadAndAlive},
		{"dead and not said", plain, plain, link.Life{Dead: true}, link.Life{}, ""},
		{"news of a death takes time", carded, carded, dead("2025-01-01"), alive, ""},
	} {
		if got, back := link.Against(c.a, c.b, c.x, c.y), link.Against(c.b, c.a, c.y, c.x); got != c.want || back != c.want {
			t.Errorf("%s: %q and %q, want %q", c.name, got, back, c.want)
		}
	}
}
