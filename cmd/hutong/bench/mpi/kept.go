package mpi

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"

	"hutong/fhir"
	"hutong/testdata/people"
)

// keptPeople is the file beside a kept store: whom the run asks for and feeds.
const keptPeople = "people.json"

// kept is what stays of a fill for the next run.
type kept struct {
	Seed           uint64
	Persons, Taken int
	Asked          []json.RawMessage
	Last           []keptRecord
}

type keptRecord struct {
	Key    fhir.Key
	Record *people.Record
}

// keep writes what the next run on the store in dir needs, at the end of a fill:
// without the file the store counts as half filled.
func (c *Cmd) keep(dir string, n int, src *hospitals) error {
	k := kept{Seed: c.Seed, Persons: n, Taken: src.taken}
	for _, body := range src.asked {
		k.Asked = append(k.Asked, body)
	}
	for _, r := range src.last {
		k.Last = append(k.Last, keptRecord{r.key, r.record})
	}
	doc, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, keptPeople), doc, 0o600)
}

// recall reads what keep wrote; false if the folder holds no filled store.
func (c *Cmd) recall(dir string, n int, src *hospitals) (bool, error) {
	doc, err := os.ReadFile(filepath.Join(dir, keptPeople))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	var k kept
	if err := errors.Join(err, json.Unmarshal(doc, &k)); err != nil {
		return false, err
	}
	if k.Seed != c.Seed || k.Persons != n || len(k.Asked) < c.Queries {
		return false, errors.New("the kept store is of another seed, of other persons or of fewer queries")
	}
	src.taken = k.Taken
	for _, body := range k.Asked[:c.Queries] {
		src.asked = append(src.asked, body)
	}
	for _, r := range k.Last {
		src.last = append(src.last, sent{r.Key, r.Record})
	}
	return true, nil
}

// profiled does a stage, and writes a profile of its processor time if one was
// asked for.
func (c *Cmd) profiled(stage string, do func() error) error {
	if c.Profiles == "" {
		return do()
	}
	if err := os.MkdirAll(c.Profiles, 0o755); err != nil {
		return err
	}
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, stage)
	f, err := os.Create(filepath.Join(c.Profiles, name+".pprof"))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return do()
}
