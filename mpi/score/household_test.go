package score_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"hutong/mpi/normal"
	"hutong/mpi/score"
)

func sibling(name, birth string) *normal.Record {
	r := person(name, birth, normal.Female)
	r.Phones = []string{"13812345678"}
	r.Addresses = []normal.Address{normal.NewAddress("重庆市", "重庆市", "渝北区", "", "凤天路12号金科花园3栋2单元405室", "")}
	return r
}

// TestHousehold: a family has telephone, door and family name in common; that is
// no reason to ask whether two of it are one, which the model of before did.
func TestHousehold(t *testing.T) {
	t.Parallel()
	m, err := score.Default()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("testdata/hutong-zh-3.json")
	if err != nil {
		t.Fatal(err)
	}
	before, err := score.Load(data)
	if err != nil {
		t.Fatal("a model without households no longer loads:", err)
	}
	m, before = m.ForRegion(20_000, 0), before.ForRegion(20_000, 0)
	elder := sibling("覃子墨", "2011-03-09")
	for _, c := range []struct {
		name        string
		other       *normal.Record
		least, most float64
	}{
		{"herself", sibling("覃子墨", "2011-03-09"), 0.9999, 1},
		{"a sister", sibling("覃雨桐", "2011-10-21"), 0, 0.01},
		{"a twin", sibling("覃子涵", "2011-03-09"), 0, 0.7},
		{"her mother", sibling("陈丽", "1985-10-21"), 0, 0.0001},
	} {
		if p := m.Score(elder, c.other).Probability; p < c.least || p > c.most {
			t.Errorf("%s: probability %.6f, want %g to %g", c.name, p, c.least, c.most)
		}
	}
	if p := before.Score(elder, sibling("覃雨桐", "2011-10-21")).Probability; p < 0.3 {
		t.Errorf("the model of before gives a sister %.6f: this test shows nothing", p)
	}
	if was, is := before.Score(elder, sibling("覃子涵", "2011-03-09")), before.Rates(score.Given, score.NameTypo); before.Rates(score.Given, score.NameKin) != is || was.Vector[score.Given] != score.NameKin {
		t.Error("a model of before does not weigh siblings' names as it did")
	}
}

// TestHouseholdOutlivesAModel: written, read and trained, a model keeps its
// households, in proportion to its prior.
func TestHouseholdOutlivesAModel(t *testing.T) {
	t.Parallel()
	base, err := score.Default()
	if err != nil {
		t.Fatal(err)
	}
	region := base.ForRegion(20_000, 0.99)
	data, err := json.Marshal(region)
	if err != nil {
		t.Fatal(err)
	}
	read, err := score.Load(data)
	if err != nil {
		t.Fatal(err)
	}
	a, b := sibling("覃子墨", "2011-03-09"), sibling("覃雨桐", "2011-10-21")
	if x, y := region.Score(a, b), read.Score(a, b); x.LogOdds != y.LogOdds {
		t.Errorf("log odds %g as made, %g as read", x.LogOdds, y.LogOdds)
	}
	trained := score.Train(base, score.Sample{
		Candidates: map[score.Met]int{{Vector: score.Compare(a, a)}: 100},
		Strangers:  map[score.Vector]int{score.Compare(a, person("李娜", "1975-02-11", normal.Male)): 1000},
		Pairs:      1e6,
	}, "test")
	for _, m := range []*score.Model{base, region, trained} {
		var doc struct{ Household struct{ PerPerson float64 } }
		if data, err := json.Marshal(m); err != nil || json.Unmarshal(data, &doc) != nil || math.Abs(doc.Household.PerPerson-2.5) > 1e-9 {
			t.Errorf("model %s has %g in a household, %v", m.Version, doc.Household.PerPerson, err)
		}
	}
	for _, bad := range []string{`{"perPerson": 0}`, `{"perPerson": 2, "fields": {"phone": {"same": 2}}}`} {
		var doc map[string]json.RawMessage
		if err := json.Unmarshal(data, &doc); err != nil {
			t.Fatal(err)
		}
		doc["household"] = json.RawMessage(bad)
		broken, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := score.Load(broken); err == nil {
			t.Errorf("household %s was taken", bad)
		}
	}
}
