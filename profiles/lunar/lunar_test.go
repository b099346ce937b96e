package lunar_test

import (
	"testing"
	"time"

	"hutong/profiles/lunar"
)

// Days on which years are known to have begun, and days within leap months.
func TestKnownDays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		y, m, d int
		want    lunar.Date
	}{
		{1900, 1, 31, lunar.Date{Year: 1900, Month: 1, Day: 1}},
		{1949, 10, 1, lunar.Date{Year: 1949, Month: 8, Day: 10}},
		{1949, 1, 29, lunar.Date{Year: 1949, Month: 1, Day: 1}},
		{1976, 1, 31, lunar.Date{Year: 1976, Month: 1, Day: 1}},
		{1980, 2, 16, lunar.Date{Year: 1980, Month: 1, Day: 1}},
		{2000, 2, 5, lunar.Date{Year: 2000, Month: 1, Day: 1}},
		{2008, 2, 7, lunar.Date{Year: 2008, Month: 1, Day: 1}},
		{2020, 5, 23, lunar.Date{Year: 2020, Month: 4, Day: 1, Leap: true}},
		{2023, 3, 22, lunar.Date{Year: 2023, Month: 2, Day: 1, Leap: true}},
		{2024, 2, 10, lunar.Date{Year: 2024, Month: 1, Day: 1}},
		{2025, 1, 29, lunar.Date{Year: 2025, Month: 1, Day: 1}},
		{2026, 2, 17, lunar.Date{Year: 2026, Month: 1, Day: 1}},
		{2026, 2, 16, lunar.Date{Year: 2025, Month: 12, Day: 29}},
	} {
		if got, ok := lunar.From(c.y, c.m, c.d); !ok || got != c.want {
			t.Errorf("%d-%d-%d: got %+v %v, want %+v", c.y, c.m, c.d, got, ok, c.want)
		}
	}
}

// Every day of the table comes back.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	for day := time.Date(1900, 1, 31, 0, 0, 0, 0, time.UTC); day.Year() < 2030; day = day.AddDate(0, 0, 1) {
		d, ok := lunar.From(day.Year(), int(day.Month()), day.Day())
		y, m, n, back := d.Gregorian()
		if !ok || !back || y != day.Year() || m != int(day.Month()) || n != day.Day() {
			t.Fatalf("%s is %+v, which is %d-%d-%d", day.Format("2006-01-02"), d, y, m, n)
		}
	}
	for _, d := range []lunar.Date{{Year: 1899, Month: 1, Day: 1}, {Year: 2024, Month: 13, Day: 1}, {Year: 2024, Month: 1, Day: 31}, {Year: 2024, Month: 4, Day: 1, Leap: true}} {
		if _, _, _, ok := d.Gregorian(); ok {
			t.Errorf("%+v is no day", d)
		}
	}
	if _, ok := lunar.From(1850, 1, 1); ok {
		t.Error("1850 is outside of the table")
	}
}
