package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"hutong/cmd/hutong/bench/machine"
	"hutong/cmd/hutong/bench/report"
)

// kept is what a run on a kept region cannot measure again.
type kept struct {
	Seed         uint64
	Load         report.Load
	EmptyStartMs float64
	PeakRSS      int64

	there bool // in the folder of --keep
}

// keptAs are the region's data in the folder of --keep, and beside them, when
// they are whole, the kept of its load.
func (x *session) keptAs(patients int) (data, load string) {
	dir := filepath.Join(x.cmd.Keep, fmt.Sprint(patients))
	return filepath.Join(dir, "data"), filepath.Join(dir, "load.json")
}

// recall makes data those of the kept region; nil if there is none.
func (x *session) recall(patients int, data string) (*kept, error) {
	if x.cmd.Keep == "" {
		return nil, nil
	}
	from, load := x.keptAs(patients)
	doc, err := os.ReadFile(load)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	k := &kept{there: true}
	if err := errors.Join(err, json.Unmarshal(doc, k)); err != nil {
		return nil, err
	}
	if k.Seed != x.cmd.Seed {
		return nil, fmt.Errorf("%s: the kept region is of seed %d", x.cmd.Keep, k.Seed)
	}
	x.say("%d patients are kept", patients)
	return k, machine.Clone(from, data)
}

// keep keeps the region of a stopped server, if that was asked for.
func (x *session) keep(patients int, data string, k *kept) error {
	if x.cmd.Keep == "" || k.there {
		return nil
	}
	to, load := x.keptAs(patients)
	if err := errors.Join(os.RemoveAll(to), machine.Clone(data, to)); err != nil {
		return err
	}
	doc, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return os.WriteFile(load, doc, 0o600)
}
