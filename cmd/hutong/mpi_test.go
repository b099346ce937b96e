package main

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hutong/mpi/batch"
	"hutong/mpi/link"
	"hutong/mpi/model"
	"hutong/mpi/normal"
	"hutong/mpi/score"
)

const peopleMap = "id: rec\ngiven: first\nfamily: last\nbirthDate: born\ncity: town\nline: [no, street]\nphone: tel\nidentifiers: [card]\n"

const peopleHead = " rec , first, last,born,town,no,street,tel,card\n"

// peopleRows are three persons, two of whom are twice in the file, and a
// fourth who shares a name with the first.
const peopleRows = "a1, Livia,Biggs ,19220322,Woody Point,39,Fremantle Drive,0261234567,K123456\n" +
	"a2,Livia,Bigs,1922-03-22,Woodypoint,39,Fremantle Drive,0261234567,K123456\n" +
	"b1,Matthew,Cawston,1911-05-27,Port Sorell,5,Young Crescent,0398765432,K777123\n" +
	"b2,Mathew,Cawston,1911-05-27,Port Sorell,5,Yuong Crescent,0398765432,K777123\n" +
	"c1,Aiden,Roberto,1917-10-18,Elanora,72,Lake Windemere,,\n" +
	"d1,Livia,Nguyen,1961-01-09,Chadstone,18,Birrell Street,0755512345,K909090\n"

// mpiRun writes the files, runs the command with them and gives what it wrote.
func mpiRun(t *testing.T, mapping, in, with string, more ...string) (pairs, clusters string, err error) {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	args := []string{"mpi", "match", "--in", at("a.csv"), "--map", at("map.yaml"), "--pairs", at("pairs.csv"), "--clusters", at("clusters.csv")}
	files := map[string]string{"a.csv": in, "map.yaml": mapping}
	if with != "" {
		files["b.csv"] = with
		args = append(args, "--with", at("b.csv"))
	}
	for name, text := range files {
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	err = run(context.Background(), append(args, more...))
	p, _ := os.ReadFile(at("pairs.csv"))
	c, _ := os.ReadFile(at("clusters.csv"))
	return string(p), string(c), err
}

func TestMPIMatchOneFile(t *testing.T) {
	t.Parallel()
	pairs, clusters, err := mpiRun(t, peopleMap, "\ufeff"+peopleHead+peopleRows, "")
	if err != nil {
		t.Fatal(err)
	}
	if want := "id,cluster\na1,1\na2,1\nb1,2\nb2,2\nc1,3\nd1,4\n"; clusters != want {
		t.Errorf("clusters\n%s", clusters)
	}
	if !strings.HasPrefix(pairs, "a,b,probability,decision\n") || strings.Count(pairs, ",auto\n") != 2 || !strings.Contains(pairs, "\na1,a2,") || !strings.Contains(pairs, "\nb1,b2,") {
		t.Errorf("pairs\n%s", pairs)
	}
}

func TestMPIMatchTwoFiles(t *testing.T) {
	t.Parallel()
	other := peopleHead + "x1,Livia,Biggs,1922-03-22,Woody Point,39,Fremantle Drive,0261234567,K123456\nx2,Livia,Biggs,1922-03-22,Woody Point,39,Fremantle Drv,0261234567,K123456\n"
	pairs, _, err := mpiRun(t, peopleMap, peopleHead+peopleRows, other)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(pairs, ",auto\n") != 4 || strings.Contains(pairs, "a1,a2") || strings.Contains(pairs, "x1,x2") {
		t.Errorf("pairs within a file, or not all across:\n%s", pairs)
	}
	pairs, _, err = mpiRun(t, peopleMap, peopleHead+peopleRows, other, "--one-to-one")
	if err != nil {
		t.Fatal(err)
	}
	partners := map[string]int{}
	for line := range strings.SplitSeq(pairs, "\n") {
		if cells := strings.Split(line, ","); len(cells) == 4 && cells[3] == "auto" {
			partners[cells[0]]++
			partners[cells[1]]++
		}
	}
	if len(partners) != 4 {
		t.Errorf("two partners each way are wanted:\n%s", pairs)
	}
	for id, n := range partners {
		if n != 1 {
			t.Errorf("%s has %d partners", id, n)
		}
	}
	same := strings.ReplaceAll(other, "x1,", "a1,")
	if _, clusters, err := mpiRun(t, peopleMap, peopleHead+peopleRows, same); err != nil || !strings.HasPrefix(clusters, "id,cluster,file\na1,1,a.csv\n") || !strings.Contains(clusters, "a1,1,b.csv\n") {
		t.Errorf("ids of two files are mixed up: %v\n%s", err, clusters)
	}
}

// What is wrong is said with its place, nothing of the cells is repeated, and
// nothing is written.
func TestMPIMatchRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, mapping, in, want string }{
		{"unknown field", "id: rec\nsurname: last\n", peopleHead + peopleRows, `map.yaml: line 2: unknown field "surname"`},
		{"no id", "given: first\n", peopleHead + peopleRows, "id must name one column"},
		{"nothing to compare", "id: rec\n", peopleHead + peopleRows, "nothing to compare"},
		{"no such column", "id: rec\ngiven: vorname\n", peopleHead + peopleRows, `a.csv:1: given is mapped to column "vorname"`},
		{"not YAML", "id: [rec\n", peopleHead + peopleRows, "map.yaml: yaml"},
		{"empty", peopleMap, "", "a.csv:1: the file is empty"},
		{"few cells", peopleMap, peopleHead + "a1,Secretname\n" + peopleRows, "a.csv:2: 2 cells, but the header has 9"},
		{"no value of id", peopleMap, peopleHead + " ,Livia,,,,,,,\n", "a.csv:2: column rec: empty id"},
		{"id twice", peopleMap, peopleHead + peopleRows + "a1,Secretname,,,,,,,\n", "a.csv:8: column rec: the id of line 2 again"},
		{"quotes", peopleMap, peopleHead + "a1,Li\"via,,,,,,,\n", "a.csv:2: column 6: bare \" in non-quoted-field"},
		{"no header", peopleMap, strings.TrimPrefix(peopleRows, " "), `a.csv:1: id is mapped to column "rec", which the file does not have`},
		{"semicolons", peopleMap, strings.ReplaceAll(peopleHead+peopleRows, ",", ";"), "a.csv:1: the header is one cell"},
		{"old line ends", peopleMap, strings.ReplaceAll(peopleHead+"a1,Secretname,,,,,,,\n", "\n", "\r"), "a.csv:1: the lines end in CR alone"},
		{"UTF-16", peopleMap, "\xff\xfer\x00e\x00c\x00", "a.csv:1: the header is not UTF-8"},
		{"Latin-1", peopleMap, peopleHead + "a1,Ren\xe9,,,,,,,\n", "a.csv:2: column first: not UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			pairs, clusters, err := mpiRun(t, c.mapping, c.in, "")
			switch {
			case err == nil || !strings.Contains(err.Error(), c.want):
				t.Errorf("got %v, want %s", err, c.want)
			case strings.Contains(err.Error(), "Secretname"):
				t.Errorf("a cell is repeated: %v", err)
			case pairs != "" || clusters != "":
				t.Errorf("something was written")
			}
		})
	}
	for _, target := range []string{"a.csv", "map.yaml", "pairs.csv", ".", "missing/clusters.csv"} { // instead of clusters.csv
		dir := t.TempDir()
		at := func(name string) string { return filepath.Join(dir, name) }
		for name, text := range map[string]string{"a.csv": peopleHead + peopleRows, "map.yaml": peopleMap} {
			if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		err := run(context.Background(), []string{"mpi", "match", "--in", at("a.csv"), "--map", at("map.yaml"), "--pairs", at("pairs.csv"), "--clusters", at(target)})
		left, _ := filepath.Glob(at("*"))
		in, _ := os.ReadFile(at("a.csv"))
		if err == nil || len(left) != 2 || string(in) != peopleHead+peopleRows {
			t.Errorf("clusters to %s: %v, and the folder holds %v", target, err, left)
		}
	}
	if _, _, err := mpiRun(t, peopleMap, peopleHead+peopleRows, "", "--one-to-one"); err == nil || !strings.Contains(err.Error(), "--with") {
		t.Errorf("--one-to-one within one file: %v", err)
	}
}

// What stops a command before its end is not its success.
func TestMPIMatchInterrupted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"a.csv": peopleHead + peopleRows, "map.yaml": peopleMap} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	err := run(ctx, []string{"mpi", "match", "--in", filepath.Join(dir, "a.csv"), "--map", filepath.Join(dir, "map.yaml"), "--pairs", filepath.Join(dir, "p.csv"), "--clusters", filepath.Join(dir, "c.csv")})
	if left, _ := os.ReadDir(dir); err == nil || !strings.Contains(err.Error(), "interrupted") || len(left) != 2 {
		t.Errorf("%v; %d files are left", err, len(left))
	}
}

func TestMPITrain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in, mapping, out := filepath.Join(dir, "a.csv"), filepath.Join(dir, "map.yaml"), filepath.Join(dir, "model.json")
	for name, text := range map[string]string{in: peopleHead + peopleRows, mapping: peopleMap} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(context.Background(), []string{"mpi", "train", "--in", in, "--map", mapping, "--out", out}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	m, err := score.Load(text)
	if err != nil || !strings.HasPrefix(m.Version, "trained-") {
		t.Fatalf("%v %+v", err, m)
	}
	for _, few := range []string{peopleHead, peopleHead + "a1,Livia,,,,,,,\n", peopleHead + "a1,,,,,,,,\na2,,,,,,,,\n"} {
		if err := os.WriteFile(in, []byte(few), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := run(context.Background(), []string{"mpi", "train", "--in", in, "--map", mapping, "--out", out}); !errors.Is(err, batch.ErrNothingMet) {
			t.Errorf("a model of %d lines: %v", strings.Count(few, "\n"), err)
		}
	}
	if again, err := json.Marshal(m); err != nil || len(again) == 0 {
		t.Error(err)
	}
}

// TestMPIRegion: the model of a region lets records link that the one it was made
// from asks a human about, and says in its version what was chosen.
func TestMPIRegion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	town, province := filepath.Join(dir, "town.json"), filepath.Join(dir, "province.json")
	region := func(args ...string) error {
		return run(context.Background(), append([]string{"mpi", "region"}, args...))
	}
	if err := region("--population", "20000", "--link", "0.99", "--out", town); err != nil {
		t.Fatal(err)
	}
	if err := region("--population", "20000000", "--link", "0.999", "--model", town, "--out", province); err != nil {
		t.Fatal(err)
	}
	base, err := score.Default()
	if err != nil {
		t.Fatal(err)
	}
	record := func() *normal.Record {
		born, _ := normal.ParseDate("1971-03-09")
		return &normal.Record{Names: []normal.Name{normal.NewName("王伟", "", "", "")}, Birth: born, Sex: normal.Male}
	}
	for _, c := range []struct {
		file, version string
		prior, link   float64
		want          link.Kind
	}{
		{town, base.Version + "-region-20000-link-0.99", 1.0 / 20_000, 0.99, link.Link},
		{province, base.Version + "-region-20000-link-0.99-region-20000000-link-0.999", 1.0 / 20_000_000, 0.999, link.None},
	} {
		m, err := model.Load(c.file)
		if err != nil {
			t.Fatal(err)
		}
		if m.Version != c.version || math.Abs(m.Prior/c.prior-1) > 1e-9 || m.Thresholds.Link != c.link {
			t.Errorf("%s: prior %g, link %g", m.Version, m.Prior, m.Thresholds.Link)
		}
		if v := link.NewRules(m.Model).Decide(record(), record(), time.Now()); v.Kind != c.want {
			t.Errorf("%s: one common name and birth date: %s, probability %.6f", m.Version, v.Kind, v.Score.Probability)
		}
	}
	if v := link.NewRules(base).Decide(record(), record(), time.Now()); v.Kind == link.Link {
		t.Error("linked without the region's word")
	}
	bad := filepath.Join(dir, "bad.json")
	for _, args := range [][]string{
		{"--population", "1", "--out", bad}, {"--population", "20000", "--link", "1.5", "--out", bad},
		{"--population", "20000", "--model", town, "--out", town}, {"--out", bad},
	} {
		if err := region(args...); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
	if _, err := os.Stat(bad); err == nil {
		t.Error("a model was written in spite of an error")
	}
}
