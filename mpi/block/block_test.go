package block_test

import (
	"testing"
	"time"

	"hutong/mpi/block"
	"hutong/mpi/normal"
	"hutong/profiles"
)

var now = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

func rec(name, birth, phone string, ids ...string) *normal.Record {
	r := &normal.Record{Names: []normal.Name{normal.NewName(name, "", "", "")}}
	r.Birth, _ = normal.ParseDate(birth)
	if phone != "" {
		r.Phones = []string{phone}
	}
	for i := 0; i+1 < len(ids); i += 2 {
		if id, ok := normal.NewIdentifier(normal.RawIdentifier{System: ids[i], Value: ids[i+1]}, "org", now); ok {
			r.IDs = append(r.IDs, id)
		}
	}
	return r
}

func meet(a, b *normal.Record) bool {
	keys := map[block.Key]bool{}
	for _, k := range block.Keys(a, now) {
		keys[k] = true
	}
	for _, k := range block.Keys(b, now) {
		if keys[k] {
			return true
		}
	}
	return false
}

func TestMeet(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		a, b *normal.Record
		want bool
	}{
		{"han and pinyin", rec("张伟", "1980-05-01", ""), rec("Zhang Wei", "1980-11-30", ""), true},
		{"surname with its own reading", rec("单雄信", "1980-05-01", ""), rec("Shan Xiongxin", "1980", ""), true},
		{"Cantonese spelling", rec("陈伟", "1980-05-01", ""), rec("Chan Wai", "1980-05-01", ""), true},
		{"exchanged names", rec("张伟", "1980-05-01", ""), rec("伟张", "1980-02-03", ""), true},
		{"confused sounds", rec("张志强", "1980-05-01", ""), rec("张自强", "1980-02-03", ""), true},
		{"day and month exchanged", rec("张伟", "1980-05-01", ""), rec("张磊", "1980-01-05", ""), true},
		{"wrong year", rec("张伟", "1980-05-11", ""), rec("张伟", "1981-05-11", ""), true},
		{"phone", rec("张伟", "", "13812345678"), rec("李娜", "", "13812345678"), true},
		{"15 and 18 digits", rec("张伟", "", "", profiles.CitizenID, "110105491231002"), rec("李娜", "", "", profiles.CitizenID, "11010519491231002X"), true},
		{"mistyped citizen id", rec("甲", "1949-12-31", "", profiles.CitizenID, "11010519491231003X"), rec("乙", "", "", profiles.CitizenID, "11010519491231002X"), true},
		{"last digits differ", rec("甲", "", "", profiles.CitizenID, "110105194912310054"), rec("乙", "", "", profiles.CitizenID, "11010519491231002X"), true},
		{"married name", rec("Anna Smith", "1980-05-01", ""), rec("Anna Jones", "1980-05-01", ""), true},
		{"strangers", rec("张伟", "1980-05-01", "13812345678"), rec("李娜", "1975-02-11", "13912345678"), false},
		{"emergency patients have no looks", rec("张伟", "1980-05-01", "", profiles.EmergencyTemp, "E1"), rec("张伟", "1980-05-01", ""), false},
		{"visit numbers name no person", rec("张伟", "", "", "urn:oid:2.16.156.10011.1.11", "42"), rec("李娜", "", "", "urn:oid:2.16.156.10011.1.11", "42"), false},
	} {
		if got := meet(c.a, c.b); got != c.want {
			t.Errorf("%s: meet %v", c.name, got)
		}
	}
}

// TestChildrenMeet: a newborn's record has no name, and its later ones may have
// another telephone; day and district bring them together, not the grown-up.
func TestChildrenMeet(t *testing.T) {
	t.Parallel()
	at := func(r *normal.Record, district string) *normal.Record {
		r.Addresses = []normal.Address{normal.NewAddress("重庆市", "重庆市", district, "", "", "")}
		return r
	}
	born := at(rec("贾诗之子", "2026-01-25", "13812345678", profiles.NewbornTemp, "m1-20260125-1"), "渝北区")
	for _, c := range []struct {
		name  string
		other *normal.Record
		want  bool
	}{
		{"the child, another telephone", at(rec("万子墨", "2026-01-25", "13900000001"), "渝北区"), true},
		{"another district", at(rec("万子墨", "2026-01-25", "13900000001"), "江北区"), false},
		{"another day", at(rec("万子墨", "2026-01-24", "13900000001"), "渝北区"), false},
	} {
		if got := meet(born, c.other); got != c.want {
			t.Errorf("%s: meet %v", c.name, got)
		}
	}
	for _, k := range block.Keys(at(rec("万子墨", "1999-01-25", ""), "渝北区"), now) {
		if k.Pass == block.ByChild {
			t.Error("a grown-up has the key of a child")
		}
	}
}

func TestWideHoldsKeys(t *testing.T) {
	t.Parallel()
	r := rec("张伟", "1980-05-01", "13812345678", profiles.CitizenID, "11010519491231002X")
	wide := map[block.Key]bool{}
	for _, k := range block.Wide(r, now) {
		if wide[k] {
			t.Errorf("%s twice", k.Pass)
		}
		wide[k] = true
	}
	for _, k := range block.Keys(r, now) {
		if !wide[k] {
			t.Errorf("%s is missing", k.Pass)
		}
	}
}
