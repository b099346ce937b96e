package head_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"hutong/mpi/head"
	"hutong/mpi/link"
	"hutong/mpi/normal"
	"hutong/mpi/source"
)

// TestHead: a head is read as it was written, also that of rows of before, and
// damage is told.
func TestHead(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 1, 8, 0, 3, 42_000, time.UTC)
	for _, h := range []head.Head{
		{},
		{Rev: 3, Version: 1 << 40, Person: "person-1", Origin: "person-0", Custodian: "org-muni", Updated: at},
		{Inactive: true, Updated: at, Links: []source.Link{{Other: "b", Type: "replaced-by"}}},
		{Deleted: true, Life: link.Life{Dead: true, Died: normal.Date{Year: 2020, Month: 2, Day: 29}}},
	} {
		before, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		for _, raw := range [][]byte{h.Encode(), before} {
			var got head.Head
			if !got.Decode(raw) || !reflect.DeepEqual(got, h) {
				t.Errorf("%+v became %+v", h, got)
			}
			for cut := range raw {
				got = head.Head{}
				if got.Decode(raw[:cut]) && reflect.DeepEqual(got, h) {
					t.Errorf("%+v is read from %d of %d bytes", h, cut, len(raw))
				}
			}
		}
	}
}
