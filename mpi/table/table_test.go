package table_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"hutong/mpi/normal"
	"hutong/mpi/table"
)

var now = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// people is a file with its records.
type people struct {
	*table.File
	Records []*normal.Record
}

func readAll(ctx context.Context, m *table.Mapping, name, text string) (*people, error) {
	p := &people{}
	var err error
	p.File, err = table.Read(ctx, name, strings.NewReader(text), m, now,
		func(r *normal.Record) *normal.Record { return r }, func(r *normal.Record) { p.Records = append(p.Records, r) }, nil)
	return p, err
}

func read(t *testing.T, mapping, text string) (*people, error) {
	t.Helper()
	m, err := table.ParseMapping([]byte(mapping))
	if err != nil {
		t.Fatal(err)
	}
	return readAll(t.Context(), m, "a.csv", text)
}

func TestDates(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"1980-05-31": "1980-05-31", "19800531": "1980-05-31", "1980/5/31": "1980-05-31", "31/05/1980": "1980-05-31", "5/31/1980": "1980-05-31",
		"04.05.1980": "1980-05-04", "1980年5月1日": "1980-05-01", "1980": "1980", "1980-05": "1980-05", "1980-05-31T10:00:00Z": "1980-05-31", "1980-05-31 00:00": "1980-05-31",
		"soon": "", "5/6/80": "", "1/2/3/4": "",
	} {
		f, err := read(t, "id: i\nbirthDate: d\n", "i,d\n1,"+text+"\n")
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Records[0].Birth.String(); got != want || (f.Dates == 1) != (want == "") {
			t.Errorf("%s: got %q, want %q; %d unreadable", text, got, want, f.Dates)
		}
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	f, err := read(t, "id: i\nname: n\nfamily: f\ngiven: g\ngender: s\nphone: [p, q]\nline: [no, st]\ncity: c\nbirthPlace: bp\noccupation: o\nidentifiers: [x, y]\n",
		"i,n,f,g,s,p,q,no,st,c,bp,o,x,y,unused\n"+
			"1,张伟,,,男,13812345678,,12,High Street,重庆市,Paris ,Sculptor,11010519491231002X,A-77123,zz\n"+
			"2,\"Smith, Anna\",,,F,,,,,NULL,,,,,\n"+
			"3,,,Anna,,,,,,,,,,,\n")
	if err != nil {
		t.Fatal(err)
	}
	a, b, c := f.Records[0], f.Records[1], f.Records[2]
	switch {
	case a.Names[0].Family != "张" || a.Sex != normal.Male || len(a.Phones) != 1 || a.Addresses[0].Line != "12 high street" || a.Addresses[0].City != "重庆":
		t.Errorf("%+v", a)
	case a.BirthPlace != "paris" || a.Occupation != "sculptor" || a.CitizenID() == "" || len(a.IDs) != 2 || a.IDs[1].Kind != normal.National:
		t.Errorf("%+v", a)
	case b.Names[0].Family != "smith" || b.Names[0].Given != "anna" || b.Sex != normal.Female || len(b.Addresses) != 0 || len(b.IDs) != 0:
		t.Errorf("%+v", b)
	case c.Names[0].Family != "" || c.Names[0].Given != "anna":
		t.Errorf("a given name became a family name: %+v", c.Names[0])
	}
}

// Rows that spreadsheets leave behind are nobody, and the .0 that tables with
// gaps give their numbers is not part of them.
func TestWhatToolsLeaveBehind(t *testing.T) {
	t.Parallel()
	f, err := read(t, "id: i\nbirthDate: d\nphone: p\npostalCode: z\nidentifiers: x\n",
		"i,d,p,z,x\n1.0,19800531.0,2101234567.0,4011.0,5911105.0\n,,,,\n   \n ,\t,,,\n2,19800531,2101234567,4011,5911105\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Records) != 2 || f.Blank != 3 || f.ID(0) != "1.0" || f.Dates != 0 {
		t.Fatalf("%d records, %d blank rows, first id %q, %d dates unreadable", len(f.Records), f.Blank, f.ID(0), f.Dates)
	}
	a, b := f.Records[0], f.Records[1]
	if a.Birth != b.Birth || a.Phones[0] != b.Phones[0] || a.Addresses[0].PostalCode != b.Addresses[0].PostalCode || a.IDs[0].Value != b.IDs[0].Value {
		t.Errorf("%+v\n%+v", a, b)
	}
}

// Each bad row is told, up to a bound.
func TestBadRows(t *testing.T) {
	t.Parallel()
	_, err := read(t, "id: i\ngiven: g\n", "i,g\n,a\n1,b\n1,c\n2\n3,d\n"+strings.Repeat(",x\n", 50))
	var row *table.RowError
	if !errors.As(err, &row) || row.Line != 2 || row.Column != "i" {
		t.Fatalf("%v", err)
	}
	if n := strings.Count(err.Error(), "a.csv:"); n != 20 {
		t.Errorf("%d rows told, want 20", n)
	}
}

func TestReadStops(t *testing.T) {
	t.Parallel()
	m, err := table.ParseMapping([]byte("id: i\ngiven: g\n"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var rows strings.Builder
	rows.WriteString("i,g\n")
	for i := range 5000 {
		rows.WriteString(strings.Repeat("x", i%7) + time.Duration(i).String() + ",a\n")
	}
	if _, err := readAll(ctx, m, "a.csv", rows.String()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// FuzzRead: no file makes the reader fail in another way than by an error.
func FuzzRead(f *testing.F) {
	f.Add("i,g,d\n1,a,1980-01-01\n", "id: i\ngiven: g\nbirthDate: d\n")
	f.Add("\ufeffi,g\n\"1\",\"a\"\"b\"\n,\n", "id: i\nname: [g]\nidentifiers: [i]\n")
	f.Fuzz(func(t *testing.T, text, mapping string) {
		m, err := table.ParseMapping([]byte(mapping))
		if err != nil {
			return
		}
		if r, err := readAll(t.Context(), m, "f", text); err == nil && r.Len() != len(r.Records) {
			t.Error("ids and records part")
		}
	})
}
