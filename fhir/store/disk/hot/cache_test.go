package hot_test

import (
	"encoding/binary"
	"testing"

	"hutong/fhir/store/disk/hot"
)

// TestWants: a list is wanted when as much of it was read as it is long, and
// many short reads of other lists do not change that.
func TestWants(t *testing.T) {
	t.Parallel()
	c := hot.New(1<<20, 0, 0)
	long := []byte("long")
	wants := func(length int64) bool {
		yes, err := c.Wants(long, func() (int64, error) { return length, nil })
		if err != nil {
			t.Fatal(err)
		}
		return yes
	}
	c.Used(long, 4000)
	if wants(6000) {
		t.Error("it is wanted after 4000 postings")
	}
	for i := range uint32(5000) {
		c.Used(binary.BigEndian.AppendUint32(nil, i), 20)
	}
	c.Used(long, 1000)
	if wants(6000) {
		t.Error("it is wanted after 5000 postings, but has 6000")
	}
	if c.Used(long, 1000); !wants(6000) {
		t.Error("it is not wanted after as many postings as it has")
	}
	huge := hot.New(1<<20, 0, 0)
	huge.Used(long, 1<<20)
	if yes, err := huge.Wants(long, func() (int64, error) { return 1 << 16, nil }); yes || err != nil {
		t.Errorf("a list that takes all memory is wanted: %v, %v", yes, err)
	}
}
