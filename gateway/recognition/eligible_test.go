package recognition

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/profiles"
)

var now = time.Date(2026, 11, 20, 10, 0, 0, 0, china)

func rules(t testing.TB) *Rules {
	t.Helper()
	c, err := profiles.NewCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	return &Rules{Catalogue: c, Units: table{"mmol/L": {"umol/L"}}}
}

// table lists, for each unit, what converts to it beside itself.
type table map[string][]string

func (t table) Convertible(from, to string) bool {
	return from != "" && (from == to || slices.Contains(t[to], from))
}

func loinc(code string) []fhir.Coding { return []fhir.Coding{{System: profiles.LOINC, Code: code}} }

func round(item string, from time.Time, pass bool) Assessment {
	return Assessment{Item: item, Scope: nation, From: from, To: from.AddDate(0, 7, 0), Pass: pass}
}

// potassium is an eligible result of three days ago.
func potassium() Result {
	taken := now.AddDate(0, 0, -3)
	return Result{
		Status: "final", ReportStatus: "final", Codes: loinc("2823-3"), Specimen: "SER", Collected: taken, Issued: taken.Add(3 * time.Hour),
		Numeric: true, Unit: "mmol/L", Certain: true, Permitted: true,
		Assessments: []Assessment{round("K", taken.AddDate(0, -2, 0), true)},
	}
}

func order(code string) Order { return Order{Codes: loinc(code), Area: "500233", Purpose: "TREAT"} }

// chest is an eligible CT of ten days ago.
func chest() Result {
	r := potassium()
	r.Codes, r.Specimen, r.Numeric, r.Unit = loinc("29252-4"), "", false, ""
	r.Collected = now.AddDate(0, 0, -10)
	r.Assessments = []Assessment{round("CT-CHEST", r.Collected.AddDate(0, -1, 0), true)}
	r.Modality, r.BodySite, r.Series, r.Signed = "CT", "51185008", []bool{true, true}, true
	return r
}

// count is an eligible blood count: a panel.
func count() Result {
	r := potassium()
	r.Codes, r.Specimen, r.Numeric = loinc("58410-2"), "BLD", false
	units := map[string]string{"6690-2": "10*9/L", "789-8": "10*12/L", "718-7": "g/L", "777-3": "10*9/L", "4544-3": "%"}
	items := map[string]string{"6690-2": "WBC", "789-8": "RBC", "718-7": "Hb", "777-3": "PLT", "4544-3": "HCT"}
	for _, code := range []string{"6690-2", "789-8", "718-7", "777-3", "4544-3"} {
		p := potassium()
		p.Codes, p.Specimen, p.Unit, p.ReportStatus = loinc(code), "BLD", units[code], ""
		p.Assessments = []Assessment{round(items[code], p.Collected.AddDate(0, -2, 0), true)}
		r.Parts = append(r.Parts, p)
	}
	return r
}

func TestClauses(t *testing.T) {
	t.Parallel()
	r := rules(t)
	type fail = []ClauseCode
	for name, tt := range map[string]struct {
		result func() Result
		order  string
		change func(*Result, *Order)
		want   fail
	}{
		"eligible":                {potassium, "2823-3", func(*Result, *Order) {}, nil},
		"amended":                 {potassium, "2823-3", func(r *Result, _ *Order) { r.Status = "amended" }, nil},
		"preliminary":             {potassium, "2823-3", func(r *Result, _ *Order) { r.Status = "preliminary" }, fail{StatusClause}},
		"entered in error":        {potassium, "2823-3", func(r *Result, _ *Order) { r.Status = "entered-in-error" }, fail{StatusClause}},
		"report cancelled":        {potassium, "2823-3", func(r *Result, _ *Order) { r.ReportStatus = "cancelled" }, fail{StatusClause}},
		"no report":               {potassium, "2823-3", func(r *Result, _ *Order) { r.ReportStatus = "" }, nil},
		"another item":            {potassium, "2951-2", func(*Result, *Order) {}, fail{ItemClause, EQAClause, ScopeClause}},
		"order outside catalogue": {potassium, "99999-9", func(*Result, *Order) {}, fail{ItemClause, CatalogueClause, EQAClause, ScopeClause, WindowClause, UnitClause}},
		"local code": {potassium, "2823-3", func(r *Result, _ *Order) {
			r.Codes = []fhir.Coding{{System: profiles.LabSystem("125001034501000106"), Code: "LIS1001"}}
		}, nil},
		"hr-item code":           {potassium, "2823-3", func(_ *Result, o *Order) { o.Codes = []fhir.Coding{{System: profiles.HRItem, Code: "K"}} }, nil},
		"another specimen":       {potassium, "2823-3", func(r *Result, _ *Order) { r.Specimen = "UR" }, fail{ItemClause}},
		"specimen not said":      {potassium, "2823-3", func(r *Result, _ *Order) { r.Specimen = "" }, nil},
		"ordered on plasma":      {potassium, "2823-3", func(_ *Result, o *Order) { o.Specimen = "PLAS" }, fail{ItemClause}},
		"before the catalogue":   {potassium, "2823-3", func(r *Result, _ *Order) { r.Collected = time.Date(2023, 10, 31, 23, 59, 59, 0, china) }, fail{CatalogueClause, EQAClause, ScopeClause, WindowClause}},
		"no assessment":          {potassium, "2823-3", func(r *Result, _ *Order) { r.Assessments = nil }, fail{EQAClause, ScopeClause}},
		"assessed another item":  {potassium, "2823-3", func(r *Result, _ *Order) { r.Assessments[0].Item = "Na" }, fail{EQAClause, ScopeClause}},
		"failed round":           {potassium, "2823-3", func(r *Result, _ *Order) { r.Assessments[0].Pass = false }, fail{EQAClause}},
		"expired round":          {potassium, "2823-3", func(r *Result, _ *Order) { r.Assessments[0].To = r.Collected.Add(-time.Second) }, fail{EQAClause}},
		"round ends at sampling": {potassium, "2823-3", func(r *Result, _ *Order) { r.Assessments[0].To = r.Collected }, nil},
		"newer failure": {potassium, "2823-3", func(r *Result, _ *Order) {
			r.Assessments = append(r.Assessments, round("K", r.Collected.Add(-time.Hour), false))
		}, fail{EQAClause}},
		"failure afterwards": {potassium, "2823-3", func(r *Result, _ *Order) {
			r.Assessments = append(r.Assessments, round("K", r.Collected.Add(time.Hour), false))
		}, nil},
		"failure made good": {potassium, "2823-3", func(r *Result, _ *Order) {
			r.Assessments = append(r.Assessments, round("K", r.Collected.AddDate(0, -8, 0), false))
		}, nil},
		"mark beyond assessment":    {potassium, "2823-3", func(r *Result, _ *Order) { r.Claimed = nation; r.Assessments[0].Scope = Scope{profiles.Area, "500000"} }, fail{EQAClause}},
		"mark within assessment":    {potassium, "2823-3", func(r *Result, _ *Order) { r.Claimed = Scope{profiles.Area, "500233"} }, nil},
		"province":                  {potassium, "2823-3", func(r *Result, _ *Order) { r.Assessments[0].Scope = Scope{profiles.Area, "500000"} }, nil},
		"alliance":                  {potassium, "2823-3", func(r *Result, _ *Order) { r.Assessments[0].Scope = Scope{profiles.HRScopeTag, "chuanyu"} }, nil},
		"another alliance":          {potassium, "2823-3", func(r *Result, _ *Order) { r.Assessments[0].Scope = Scope{profiles.HRScopeTag, "jingjinjilu"} }, fail{ScopeClause}},
		"another province":          {potassium, "2823-3", func(r *Result, _ *Order) { r.Assessments[0].Scope = Scope{profiles.Area, "510000"} }, fail{ScopeClause}},
		"unknown scope":             {potassium, "2823-3", func(r *Result, _ *Order) { r.Assessments[0].Scope = Scope{profiles.HRScopeTag, "moon"} }, fail{ScopeClause}},
		"area of orderer unknown":   {potassium, "2823-3", func(r *Result, o *Order) { o.Area = ""; r.Assessments[0].Scope = Scope{profiles.Area, "500000"} }, fail{ScopeClause}},
		"nation, area unknown":      {potassium, "2823-3", func(_ *Result, o *Order) { o.Area = "" }, nil},
		"exactly seven days":        {potassium, "2823-3", func(r *Result, _ *Order) { r.Collected = now.Add(-7 * 24 * time.Hour) }, nil},
		"a second more":             {potassium, "2823-3", func(r *Result, _ *Order) { r.Collected = now.Add(-7*24*time.Hour - time.Second) }, fail{WindowClause}},
		"sampled in the future":     {potassium, "2823-3", func(r *Result, _ *Order) { r.Collected = now.Add(time.Minute) }, fail{WindowClause}},
		"sampling time unknown":     {potassium, "2823-3", func(r *Result, _ *Order) { r.Collected = time.Time{} }, fail{CatalogueClause, EQAClause, ScopeClause, WindowClause}},
		"possible match":            {potassium, "2823-3", func(r *Result, _ *Order) { r.Certain = false }, fail{IdentityClause}},
		"emergency treatment":       {potassium, "2823-3", func(_ *Result, o *Order) { o.Purpose = "ETREAT" }, nil},
		"research":                  {potassium, "2823-3", func(_ *Result, o *Order) { o.Purpose = "HRESCH" }, fail{PurposeClause}},
		"consent denies":            {potassium, "2823-3", func(r *Result, _ *Order) { r.Permitted = false }, fail{PurposeClause}},
		"convertible unit":          {potassium, "2823-3", func(r *Result, _ *Order) { r.Unit = "umol/L" }, nil},
		"inconvertible unit":        {potassium, "2823-3", func(r *Result, _ *Order) { r.Unit = "mg/dL" }, fail{UnitClause}},
		"unit without system":       {potassium, "2823-3", func(r *Result, _ *Order) { r.Unit = "" }, fail{UnitClause}},
		"words for a number":        {potassium, "2823-3", func(r *Result, _ *Order) { r.Numeric = false }, fail{UnitClause}},
		"imaging":                   {chest, "29252-4", func(*Result, *Order) {}, nil},
		"a series is missing":       {chest, "29252-4", func(r *Result, _ *Order) { r.Series[1] = false }, fail{ImagingClause}},
		"no series":                 {chest, "29252-4", func(r *Result, _ *Order) { r.Series = nil }, fail{ImagingClause}},
		"unsigned report":           {chest, "29252-4", func(r *Result, _ *Order) { r.Signed = false }, fail{ImagingClause}},
		"another modality":          {chest, "29252-4", func(r *Result, _ *Order) { r.Modality = "DX" }, fail{ItemClause}},
		"another body site":         {chest, "29252-4", func(_ *Result, o *Order) { o.BodySite = "69536005" }, fail{ItemClause}},
		"panel":                     {count, "58410-2", func(*Result, *Order) {}, nil},
		"panel lacks a member":      {count, "58410-2", func(r *Result, _ *Order) { r.Parts = r.Parts[1:] }, fail{ItemClause}},
		"a member is preliminary":   {count, "58410-2", func(r *Result, _ *Order) { r.Parts[2].Status = "preliminary" }, fail{StatusClause}},
		"a member failed":           {count, "58410-2", func(r *Result, _ *Order) { r.Parts[3].Assessments[0].Pass = false }, fail{EQAClause}},
		"a member is old":           {count, "58410-2", func(r *Result, _ *Order) { r.Parts[3].Collected = now.AddDate(0, 0, -8) }, fail{WindowClause}},
		"a member's unit":           {count, "58410-2", func(r *Result, _ *Order) { r.Parts[4].Unit = "mol/L" }, fail{UnitClause}},
		"a member of a wider scope": {count, "58410-2", func(r *Result, _ *Order) { r.Parts[1].Assessments[0].Scope = Scope{profiles.Area, "510000"} }, fail{ScopeClause}},
		"panel without members":     {count, "58410-2", func(r *Result, _ *Order) { r.Parts = nil }, fail{ItemClause, EQAClause, ScopeClause, WindowClause}},
	} {
		res, o := tt.result(), order(tt.order)
		tt.change(&res, &o)
		d := r.Eligible(res, o, now)
		if got := d.Failed(); !slices.Equal(got, tt.want) {
			t.Errorf("%s: failed %v, want %v", name, got, tt.want)
		}
		if d.Eligible != (len(tt.want) == 0) || len(d.Clauses) != 10 {
			t.Errorf("%s: eligible %v with %d clauses", name, d.Eligible, len(d.Clauses))
		}
		for _, c := range d.Clauses {
			if c.Why.ZH == "" || c.Why.EN == "" {
				t.Errorf("%s: clause %s gives no reason", name, c.Code)
			}
		}
	}
}

// Changes that each touch one clause fail exactly these clauses, in any
// combination: clauses do not lean on each other.
func TestClausesAreIndependent(t *testing.T) {
	t.Parallel()
	r := rules(t)
	changes := []struct {
		clause ClauseCode
		apply  func(*Result, *Order)
	}{
		{StatusClause, func(r *Result, _ *Order) { r.ReportStatus = "registered" }},
		{ItemClause, func(r *Result, _ *Order) { r.Specimen = "UR" }},
		{EQAClause, func(r *Result, _ *Order) { r.Assessments[0].Pass = false }},
		{ScopeClause, func(_ *Result, o *Order) { o.Area = "110101" }},
		{IdentityClause, func(r *Result, _ *Order) { r.Certain = false }},
		{PurposeClause, func(_ *Result, o *Order) { o.Purpose = "HMARKT" }},
		{UnitClause, func(r *Result, _ *Order) { r.Unit = "[IU]/L" }},
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		res, o := potassium(), order("2823-3")
		res.Assessments[0].Scope = Scope{profiles.Area, "500000"}
		var want []ClauseCode
		for _, c := range changes {
			if random.IntN(2) == 0 {
				c.apply(&res, &o)
				want = append(want, c.clause)
			}
		}
		at := now
		if random.IntN(2) == 0 {
			at = now.AddDate(0, 0, 5)
			want = append(want, WindowClause)
		}
		d := r.Eligible(res, o, at)
		got := d.Failed()
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("failed %v, want %v", got, want)
		}
	}
}

// The predicate reads its arguments and nothing else, and changes none.
func TestEligibleIsPure(t *testing.T) {
	t.Parallel()
	r := rules(t)
	res, o := count(), order("58410-2")
	first := r.Eligible(res, o, now)
	second := r.Eligible(res, o, now)
	if first.ValidUntil != now.AddDate(0, 0, 4) || first.ValidUntil != second.ValidUntil || len(first.Failed()) != len(second.Failed()) {
		t.Errorf("%+v, then %+v", first, second)
	}
	if first.Scope != nation {
		t.Errorf("scope %v", first.Scope)
	}
}

func TestVerifyMark(t *testing.T) {
	t.Parallel()
	r := rules(t)
	for name, tt := range map[string]struct {
		change func(*Result)
		want   MarkStatus
		warned bool
	}{
		"no mark":           {func(*Result) {}, Unmarked, false},
		"verified":          {func(r *Result) { r.Claimed = nation }, Verified, false},
		"no assessment":     {func(r *Result) { r.Claimed, r.Assessments = nation, nil }, Asserted, true},
		"failed":            {func(r *Result) { r.Claimed, r.Assessments[0].Pass = nation, false }, Refused, true},
		"claims too much":   {func(r *Result) { r.Claimed, r.Assessments[0].Scope = nation, Scope{profiles.Area, "500000"} }, Refused, true},
		"outside catalogue": {func(r *Result) { r.Claimed, r.Codes = nation, loinc("99999-9") }, Asserted, true},
	} {
		res := potassium()
		tt.change(&res)
		v := r.VerifyMark(res)
		if v.Status != tt.want || (len(v.Warnings) > 0) != tt.warned {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

func TestPrefix(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"500000": "50", "500100": "5001", "500233": "500233", "110000": "11", "": ""} {
		if got := prefix(in); got != want {
			t.Errorf("prefix(%q) = %q, want %q", in, got, want)
		}
	}
}
