package warm_test

import (
	"encoding/binary"
	"testing"

	"hutong/fhir"
	"hutong/fhir/store/disk/layout"
	"hutong/fhir/store/disk/warm"
)

// row is one of version ver that commit t made, of so many bytes.
func row(ver, t uint64, size int) []byte {
	return append(binary.AppendUvarint(binary.AppendUvarint(nil, ver), t), make([]byte, size)...)
}

func verOf(row []byte) uint64 {
	ver, _ := layout.VersionOf(row)
	return ver
}

// TestLateReadersKeepNothingOld: who reads at a moment from before a change may
// have seen what the change replaced, however late he comes to keep it.
func TestLateReadersKeepNothingOld(t *testing.T) {
	t.Parallel()
	c := warm.New(1 << 20)
	const rid = layout.RID(7)
	c.Keep(rid, 10, row(1, 5, 20))
	if got := verOf(c.Row(rid, 10)); got != 1 {
		t.Fatalf("version %d is kept, want 1", got)
	}
	if c.Row(rid, 4) != nil {
		t.Error("a reading of before the version finds it")
	}
	c.Changed(rid, 12)
	if c.Row(rid, 11) != nil || c.Row(rid, 12) != nil {
		t.Error("a changed row is kept")
	}
	if c.Keep(rid, 11, row(1, 5, 20)); c.Row(rid, 20) != nil {
		t.Error("a reading of before the change brought the old row back")
	}
	if c.Keep(rid, 11, row(2, 12, 20)); c.Row(rid, 20) != nil {
		t.Error("a reading keeps a row of after its moment")
	}
	c.Keep(rid, 12, row(2, 12, 20))
	if got := verOf(c.Row(rid, 13)); got != 2 {
		t.Errorf("version %d is kept, want 2", got)
	}
	c.KeepBody(rid, 1, []byte("old"))
	if c.Body(rid, 1) != nil || c.Body(rid, 2) != nil {
		t.Error("the body of another version is kept")
	}
	c.KeepBody(rid, 2, []byte("new"))
	if string(c.Body(rid, 2)) != "new" {
		t.Error("the body is not kept")
	}
}

// TestLimit: what is read again and again stays, whatever else passes through, and
// the bytes stay within the limit.
func TestLimit(t *testing.T) {
	t.Parallel()
	const limit = 4 << 20
	c := warm.New(limit)
	body := make([]byte, 1000)
	found := 0
	for i := range layout.RID(200_000) {
		for _, rid := range []layout.RID{i % 500, 1_000_000 + i} { // five hundred are read by turns
			if c.Row(rid, 1) != nil {
				if rid < 500 && i >= 5000 {
					found++
				}
				continue
			}
			c.Keep(rid, 1, row(1, 1, 100))
			c.KeepBody(rid, 1, body)
		}
	}
	if found < 150_000 {
		t.Errorf("of 195,000 readings of what is read often %d were found", found)
	}
	held := int64(0)
	for i := range layout.RID(1_200_000) {
		if b := c.Body(i, 1); b != nil {
			held += int64(len(b))
		}
	}
	if held > limit {
		t.Errorf("%d bytes of bodies are held, the limit is %d", held, limit)
	}
	c.KeepBody(1_199_999, 1, make([]byte, 1<<20))
	if len(c.Body(1_199_999, 1)) > 1<<16 {
		t.Error("a body that takes all memory is kept")
	}
	var none *warm.Cache
	none.Keep(1, fhir.T(1), row(1, 1, 1))
	none.KeepBody(1, 1, body)
	none.Changed(1, 1)
	if none.Row(1, 1) != nil || none.Body(1, 1) != nil {
		t.Error("a cache that is none holds something")
	}
}

// TestPairs: what was found of a patient holds until something of him changes,
// whoever comes to keep it late.
func TestPairs(t *testing.T) {
	t.Parallel()
	p := warm.NewPairs(5)
	pair := warm.Pair{Patient: layout.NewRID("p", 3), Token: 9}
	some := warm.First{Some: true, Class: 4}
	holds := func(what string, at fhir.T, want bool) {
		t.Helper()
		if first, known := p.First(pair, at); known != want || known && first != some {
			t.Errorf("%s at %d: %+v, %v", what, at, first, known)
		}
	}
	p.Keep(pair, 4, p.Epoch(), some)
	holds("of before the store was opened", 10, false)
	p.Keep(pair, 10, p.Epoch(), some)
	holds("kept", 10, true)
	holds("of before", 9, false)
	if _, known := p.First(warm.Pair{Patient: pair.Patient, Token: 8}, 10); known {
		t.Error("another token is known")
	}
	p.Changed(layout.HashOf("p"), 12)
	holds("changed", 12, false)
	p.Keep(pair, 11, p.Epoch(), some)
	holds("kept late", 12, false)
	begun := p.Epoch()
	p.Keep(pair, 12, begun, some)
	holds("kept again", 13, true)
	p.Reset()
	holds("reset", 13, false)
	p.Keep(pair, 13, begun, some)
	holds("kept by one who began before", 13, false)
	var none *warm.Pairs
	none.Keep(pair, 1, none.Epoch(), some)
	none.Changed(1, 1)
	none.Reset()
	if _, known := none.First(pair, 1); known {
		t.Error("none knows something")
	}
}
