package normal_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"hutong/mpi/normal"
	"hutong/profiles"
)

var now = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

func TestCitizenID(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in      string
		problem normal.Problem
		value   string
		sex     normal.Sex
		kind    normal.CitizenKind
	}{
		{"11010519491231002X", "", "11010519491231002X", normal.Female, normal.Mainland},
		{"440524188001010014", "", "440524188001010014", normal.Male, normal.Mainland},
		{"110105194912310021", normal.BadCheck, "110105194912310021", normal.Female, normal.Mainland},
		{"11010519491231002x", "", "11010519491231002X", normal.Female, normal.Mainland},
		{"１１０１０５１９４９１２３１００２Ｘ", "", "11010519491231002X", normal.Female, normal.Mainland},
		{"110105194902300020", normal.BadDate, "110105194902300020", normal.Female, normal.Mainland},
		{"110105299901010022", normal.FutureDate, "110105299901010022", normal.Female, normal.Mainland},
		{"990105194912310023", normal.BadArea, "990105194912310023", normal.Female, 0},
		{"810000199408230021", "", "810000199408230021", normal.Female, normal.HongKong},
		{"820000199009130025", "", "820000199009130025", normal.Female, normal.Macao},
		{"830000199201300022", "", "830000199201300022", normal.Female, normal.Taiwan},
		{"110105491231002", "", "11010519491231002X", normal.Female, normal.Mainland},
		{"130503670401001", "", "130503196704010016", normal.Male, normal.Mainland},
		{"130503670401997", normal.CentenarianCode, "130503670401997", 0, 0},
		{"11010519491231002", normal.BadForm, "11010519491231002", 0, 0},
		{"", normal.BadForm, "", 0, 0},
	} {
		id, p := normal.ParseCitizenID(c.in, now)
		if p != c.problem || id.Value != c.value || id.Sex != c.sex || id.Kind != c.kind {
			t.Errorf("%s: got %q %+v, want %+v", c.in, p, id, c)
		}
	}
}

func TestRepairs(t *testing.T) {
	t.Parallel()
	const right = "11010519491231002X"
	for _, typo := range []string{"11010519491213002X", "11010519491231003X", "11010519419231002X", "110105194912310029"} {
		if got := normal.Repairs(typo, normal.Date{Year: 1949, Month: 12, Day: 31}, normal.Female, now); !slices.Contains(got, right) {
			t.Errorf("%s: %v does not hold %s", typo, got, right)
		}
	}
	if got := normal.Repairs("12345", normal.Date{}, 0, now); got != nil {
		t.Errorf("repairs of a fragment: %v", got)
	}
}

func TestUSCC(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"91350100M000100Y43": true, "11500000MB1670604W": true, "11500103MB1849823N": true,
		"12330000470051726F": true, "11500000MB1670604%": false, "11500000MB1670604": false, "11500000MB1670605W": false,
	} {
		if got := normal.ValidUSCC(s); got != want {
			t.Errorf("%s: %v", s, got)
		}
	}
}

func TestHealthRecordNo(t *testing.T) {
	t.Parallel()
	n, ok := normal.ParseHealthRecordNo("50011200510100001")
	if !ok || n != (normal.HealthRecordNo{County: "500112", Town: "005", Village: "101", Seq: "00001"}) {
		t.Errorf("%+v %v", n, ok)
	}
	if _, ok := normal.ParseHealthRecordNo("5001120051010001"); ok {
		t.Error("16 digits pass")
	}
}

func TestFold(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"張偉": "张伟", " 张 伟 ": "张伟", "ＺＨＡＮＧ　Ｗｅｉ": "zhang wei", "买买提·艾山": "买买提艾山", "买买提・艾山": "买买提艾山",
		"买买提．艾山": "买买提艾山", "买买提‧艾山": "买买提艾山", "买买提.艾山": "买买提艾山", "Lü Bu": "lu bu", "O'Brien": "obrien",
		"Mary-Ann  SMITH": "mary ann smith", "𠅤": "𠅤", "José": "jose", "": "", "葉": "叶", "Ｘ": "x",
	} {
		if got := normal.Fold(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, family, given, sound string }{
		{"欧阳修", "欧阳", "修", "ouyang xiu"},
		{"欧阳", "欧", "阳", "ou yang"}, // two characters: no compound
		{"单雄信", "单", "雄信", "shan xiongxin"},
		{"曾国藩", "曾", "国藩", "zeng guofan"},
		{"仇英", "仇", "英", "qiu ying"},
		{"爱新觉罗溥仪", "爱新觉罗", "溥仪", "aixinjueluo puyi"},
		{"Zhang Wei", "zhang", "wei", "zhang wei"},
		{"Ouyang Xiu", "xiu", "ouyang", ""}, // a Latin text that is no syllable first
		{"John Smith", "smith", "john", "smith john"},
		{"张伟先生", "张", "伟", "zhang wei"},
	} {
		n := normal.NewName(c.text, "", "", "")
		if n.Family != c.family || n.Given != c.given {
			t.Errorf("%s: got %q %q", c.text, n.Family, n.Given)
		}
		if c.sound != "" && !slices.Contains(n.FamilySound, strings.Fields(c.sound)[0]) {
			t.Errorf("%s: sounds %v", c.text, n.FamilySound)
		}
		if c.sound != "" && !slices.ContainsFunc(n.GivenSound, func(r normal.Reading) bool { return r.Plain == strings.Fields(c.sound)[1] }) {
			t.Errorf("%s: sounds %v", c.text, n.GivenSound)
		}
	}
	if n := normal.NewName("买买提·艾山", "", "", ""); n.Family != "" || n.Text != "买买提艾山" {
		t.Errorf("a dotted name was split: %+v", n)
	}
	for _, temp := range []string{"张某之子", "李芳之女", "无名氏", "无名氏2号", "Baby of Li"} {
		if n := normal.NewName(temp, "", "", ""); n.Usable() {
			t.Errorf("%s counts as a name", temp)
		}
	}
	if n := normal.NewName("", "张", "伟", ""); n.Text != "张伟" {
		t.Errorf("parts: %+v", n)
	}
	if got := normal.SurnameReadings("chan"); !slices.Contains(got, "chen") {
		t.Errorf("chan reads %v", got)
	}
	if got := normal.Initials("张伟"); got != "zw" {
		t.Errorf("initials %q", got)
	}
}

func TestPhone(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"+86 138-1234-5678": "13812345678", "008613812345678": "13812345678", "013812345678": "13812345678",
		"１３８１２３４５６７８": "13812345678", "023-67891234转8": "02367891234", "12345": "", "0000000000": "", "02 51056140": "0251056140",
	} {
		if got := normal.Phone(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestDate(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"1980-05-01": "1980-05-01", "19800501": "1980-05-01", "1980-05": "1980-05", "1980": "1980", "1980-5-1": "", "": "", "abcd": "", "0000": "",
		"1980-05-01T08:00:00+08:00": "1980-05-01",
	} {
		d, ok := normal.ParseDate(in)
		if d.String() != want || ok != (want != "") {
			t.Errorf("%q: got %q %v", in, d, ok)
		}
	}
	if d := (normal.Date{Year: 1980, Month: 2, Day: 30}); d.Real() {
		t.Error("30 February is real")
	}
	if d := (normal.Date{Year: 1980, Month: 5, Day: 1}).Swapped(); d.String() != "1980-01-05" {
		t.Errorf("swapped %s", d)
	}
}

func TestIdentifier(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		raw    normal.RawIdentifier
		kind   normal.Kind
		system string
		ok     bool
	}{
		{normal.RawIdentifier{System: profiles.CitizenID, Value: "110105491231002"}, normal.Citizen, profiles.CitizenID, true},
		{normal.RawIdentifier{System: profiles.MRN("12500103450100010X"), Value: "42"}, normal.MRN, profiles.MRN("12500103450100010X"), true},
		{normal.RawIdentifier{System: "urn:oid:2.16.156.10011.1.13", Value: "42"}, normal.MRN, "urn:oid:2.16.156.10011.1.13@org-muni", true},
		{normal.RawIdentifier{System: "urn:oid:2.16.156.10011.1.11", Value: "42", Assigner: "org-dist"}, normal.Visit, "urn:oid:2.16.156.10011.1.11@org-dist", true},
		{normal.RawIdentifier{System: "http://hl7.org/fhir/sid/passport-CHN", TypeCode: "PPN", Value: "E12345678"}, normal.Passport, "http://hl7.org/fhir/sid/passport-CHN", true},
		{normal.RawIdentifier{System: profiles.SocialCard, Value: "无"}, normal.OtherID, "", false},
		{normal.RawIdentifier{System: profiles.SocialCard, Value: "000000000"}, normal.OtherID, "", false},
		{normal.RawIdentifier{System: profiles.SocialCard, Value: ""}, normal.OtherID, "", false},
	} {
		id, ok := normal.NewIdentifier(c.raw, "org-muni", now)
		if ok != c.ok || ok && (id.Kind != c.kind || id.System != c.system) {
			t.Errorf("%+v: got %+v %v", c.raw, id, ok)
		}
	}
	if got := normal.Lookup(profiles.CitizenID, "110105491231002", now); got != "11010519491231002X" {
		t.Errorf("lookup %s", got)
	}
}

func TestMask(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{normal.MaskCode("11010519491231002X"), "110105********002X"}, {normal.MaskCode("A12345678"), "A1*****78"}, {normal.MaskCode("42"), "**"},
		{normal.MaskName("张伟"), "张*"}, {normal.MaskName("欧阳修文"), "欧阳**"}, {normal.MaskName("John Smith"), "J*** S****"}, {normal.MaskName(""), ""},
		{normal.MaskPhone("13812345678"), "138****5678"}, {normal.MaskPhone("12345"), "*****"},
	} {
		if c[0] != c[1] {
			t.Errorf("got %q, want %q", c[0], c[1])
		}
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	a := normal.NewAddress("重庆市", "重庆", "渝中区", "400010", "中山四路十二号", "")
	b := normal.NewAddress("重庆", "重庆市", "渝中", "400010", "中山四路12号", "")
	if a.State != b.State || a.City != b.City || a.District != b.District {
		t.Errorf("%+v and %+v", a, b)
	}
}

func TestRecordRoundTrip(t *testing.T) {
	t.Parallel()
	id, _ := normal.NewIdentifier(normal.RawIdentifier{System: profiles.CitizenID, Value: "11010519491231002X"}, "", now)
	r := &normal.Record{
		Names: []normal.Name{normal.NewName("张伟", "", "", "official"), normal.NewName("Zhang Wei", "", "", "")},
		Birth: normal.Date{Year: 1949, Month: 12, Day: 31}, Sex: normal.Male, IDs: []normal.Identifier{id},
		Phones: []string{"13812345678"}, Addresses: []normal.Address{{State: "重庆", Line: "x"}}, Order: 2, Multiple: true, Deceased: true,
	}
	got, rest, err := normal.DecodeRecord(append(r.Append(nil), 7))
	if err != nil || !reflect.DeepEqual(got, r) || len(rest) != 1 {
		t.Errorf("got %+v, want %+v, %v", got, r, err)
	}
	if x := r.CrossCheck(now); !slices.Equal(x, []string{"sex"}) {
		t.Errorf("cross-check %v", x)
	}
}

func FuzzFold(f *testing.F) {
	for _, s := range []string{"張偉", "买买提·艾山", "Lü", "ǖ̈", "\xff", "İ", "ﬃ", "𠅤 a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := normal.Fold(s)
		if twice := normal.Fold(once); twice != once {
			t.Errorf("%q folds to %q and then to %q", s, once, twice)
		}
		normal.NewName(s, "", "", "")
		normal.Phone(s)
		normal.MaskName(s)
	})
}

func FuzzCitizenID(f *testing.F) {
	for _, s := range []string{"11010519491231002X", "130503670401001", "81", "９１０１０５１９４９１２３１００２"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, p := normal.ParseCitizenID(s, now)
		if p == normal.NoProblem && (len(id.Value) != 18 || !id.Birth.Real() || id.Kind == 0) {
			t.Errorf("%q passes as %+v", s, id)
		}
		normal.Repairs(s, normal.Date{}, 0, now)
		normal.ParseDate(s)
		normal.ValidUSCC(s)
		normal.MaskCode(s)
		normal.NewIdentifier(normal.RawIdentifier{System: "x", Value: s}, "", now)
	})
}

func FuzzDecodeRecord(f *testing.F) {
	r := normal.Record{Names: []normal.Name{normal.NewName("张伟", "", "", "")}, Phones: []string{"1"}}
	f.Add(r.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, _, err := normal.DecodeRecord(b); err == nil {
			if again, _, err := normal.DecodeRecord(r.Append(nil)); err != nil || len(again.Names) != len(r.Names) {
				t.Errorf("does not survive a round trip: %v", err)
			}
		}
	})
}
