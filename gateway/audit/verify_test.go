package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/rs/zerolog"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/fhir/store/disk"
	"hutong/gateway/audit"
)

// chainOf writes a chain of n records and closes everything.
func chainOf(t *testing.T, n int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	st := openStore(t, dir)
	l := openLog(t, st, nil)
	for range n {
		must(t, l.Record(t.Context(), disclosure("a1")))
	}
	closeAll(t, l, st)
	return dir
}

// tamper changes the engine's rows behind its back: for each row whose value
// holds the text, f gives the new value, nil to delete.
func tamper(t *testing.T, dir, text string, f func(value []byte) []byte) (rows int) {
	t.Helper()
	db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: pebble.FormatNewest, Logger: quiet{}})
	must(t, err)
	defer func() { must(t, db.Close()) }()
	it, err := db.NewIter(nil)
	must(t, err)
	batch := db.NewBatch()
	for it.First(); it.Valid(); it.Next() {
		value, err := it.ValueAndErr()
		must(t, err)
		if !bytes.Contains(value, []byte(text)) {
			continue
		}
		rows++
		if v := f(bytes.Clone(value)); v != nil {
			must(t, batch.Set(it.Key(), v, nil))
		} else {
			must(t, batch.Delete(it.Key(), nil))
		}
	}
	must(t, it.Close())
	must(t, batch.Commit(pebble.Sync))
	return rows
}

type quiet struct{}

func (quiet) Infof(string, ...any)      {}
func (quiet) Errorf(string, ...any)     {}
func (quiet) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

func verify(t *testing.T, dir string) audit.Report {
	t.Helper()
	st := openStore(t, dir)
	defer func() { must(t, st.Close()) }()
	report, err := audit.Verify(t.Context(), st)
	must(t, err)
	return report
}

func record(seq int) string { return fmt.Sprintf(`"id":"audit-%012d"`, seq) }

// TestOneChangedByteIsFound changes single bytes of one stored body, anywhere
// in it and of each record in turn, and restores them.
func TestOneChangedByteIsFound(t *testing.T) {
	t.Parallel()
	const n = 5
	dir := chainOf(t, n)
	if report := verify(t, dir); !report.Whole || report.Chains[0].Records != n {
		t.Fatalf("untouched: %+v", report)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for seq := 1; seq <= n; seq++ {
		for range 8 {
			var before []byte
			rows := tamper(t, dir, record(seq), func(v []byte) []byte {
				before = bytes.Clone(v)
				at := bytes.IndexByte(v, '{') + r.IntN(len(v)-bytes.IndexByte(v, '{'))
				v[at] ^= 1 << r.IntN(8)
				return v
			})
			if rows != 1 {
				t.Fatalf("the record stands in %d rows", rows)
			}
			st := openStore(t, dir)
			report, err := audit.Verify(t.Context(), st)
			must(t, err)
			must(t, st.Close())
			if report.Whole || len(report.Faults) != 1 || report.Faults[0].Seq != uint64(seq) {
				t.Errorf("a byte of record %d: %+v", seq, report)
			}
			restore(t, dir, before)
		}
	}
	if report := verify(t, dir); !report.Whole {
		t.Errorf("restored: %+v", report)
	}
}

// restore puts a value back into the row that differs from it by one byte.
func restore(t *testing.T, dir string, want []byte) {
	t.Helper()
	db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: pebble.FormatNewest, Logger: quiet{}})
	must(t, err)
	defer func() { must(t, db.Close()) }()
	it, err := db.NewIter(nil)
	must(t, err)
	defer func() { must(t, it.Close()) }()
	for it.First(); it.Valid(); it.Next() {
		value, err := it.ValueAndErr()
		must(t, err)
		if len(value) == len(want) && differences(value, want) == 1 {
			must(t, db.Set(it.Key(), want, pebble.Sync))
			return
		}
	}
	t.Fatal("nothing to restore")
}

func differences(a, b []byte) (n int) {
	for i := range a {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}

func TestChainsThatAreNotWhole(t *testing.T) {
	t.Parallel()
	const n = 6
	for name, c := range map[string]struct {
		text   string
		change func(t *testing.T, dir string)
		seq    uint64
		reason string
	}{
		"the tail is cut off": {seq: 6, reason: "cannot be read", change: func(t *testing.T, dir string) {
			tamper(t, dir, record(6), func([]byte) []byte { return nil })
		}},
		"one is missing": {seq: 3, reason: "cannot be read", change: func(t *testing.T, dir string) {
			tamper(t, dir, record(3), func([]byte) []byte { return nil })
		}},
		"two are exchanged": {seq: 2, reason: "", change: func(t *testing.T, dir string) {
			var two, three []byte
			tamper(t, dir, record(2), func(v []byte) []byte { two = bytes.Clone(v); return v })
			tamper(t, dir, record(3), func(v []byte) []byte { three = bytes.Clone(v); return two })
			done := false
			tamper(t, dir, record(2), func(v []byte) []byte {
				if done {
					return v
				}
				done = true
				return three
			})
		}},
		"deleted through the store": {seq: 4, reason: "deleted", change: func(t *testing.T, dir string) {
			commit(t, dir, store.Op{Key: fhir.Key{Type: "AuditEvent", ID: "audit-000000000004"}, Method: fhir.Deleted})
		}},
		"changed through the store": {seq: 4, reason: "version 2", change: func(t *testing.T, dir string) {
			b := []byte(`{"resourceType":"AuditEvent","id":"audit-000000000004","meta":{}}`)
			commit(t, dir, store.Op{Key: fhir.Key{Type: "AuditEvent", ID: "audit-000000000004"}, Method: fhir.Updated, Body: fhir.Body{Raw: b, MetaAt: uint32(bytes.Index(b, []byte(`{}`)) + 1)}})
		}},
		"the head is gone": {seq: 1, reason: "no head", change: func(t *testing.T, dir string) {
			st := openStore(t, dir)
			must(t, st.Space("audit").Apply(t.Context(), []store.Write{{Key: []byte("head/audit")}}))
			must(t, st.Close())
		}},
		"the head is not JSON": {seq: 0, reason: "head record", change: func(t *testing.T, dir string) {
			tamper(t, dir, `{"seq":6`, func(v []byte) []byte { return bytes.Replace(v, []byte("{"), []byte("["), 1) })
		}},
		"the head names another record": {seq: 6, reason: "head", change: func(t *testing.T, dir string) {
			tamper(t, dir, `{"seq":6`, func(v []byte) []byte {
				at := bytes.Index(v, []byte(`"hash":"`)) + 8
				v[at] ^= 1
				return v
			})
		}},
		"a record is put behind the end": {seq: 7, reason: "follow", change: func(t *testing.T, dir string) {
			b := []byte(`{"resourceType":"AuditEvent","id":"audit-000000000007","meta":{}}`)
			commit(t, dir, store.Op{Key: fhir.Key{Type: "AuditEvent", ID: "audit-000000000007"}, Method: fhir.Created, Body: fhir.Body{Raw: b, MetaAt: uint32(bytes.Index(b, []byte(`{}`)) + 1)}})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := chainOf(t, n)
			c.change(t, dir)
			report := verify(t, dir)
			if report.Whole || len(report.Faults) != 1 || report.Faults[0].Seq != c.seq || !strings.Contains(report.Faults[0].String(), c.reason) {
				t.Errorf("%+v", report)
			}
		})
	}
}

func commit(t *testing.T, dir string, op store.Op) {
	t.Helper()
	st := openStore(t, dir)
	_, err := st.Commit(t.Context(), store.Tx{Ops: []store.Op{op}})
	must(t, err)
	must(t, st.Close())
}

// TestBrokenChainIsNotContinued: a log refuses to build on what is broken.
func TestBrokenChainIsNotContinued(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(t *testing.T, dir string){
		"the last record changed": func(t *testing.T, dir string) {
			tamper(t, dir, record(3), func(v []byte) []byte { return bytes.Replace(v, []byte("dr.lin"), []byte("dr.han"), 1) })
		},
		"the head is gone": func(t *testing.T, dir string) {
			st := openStore(t, dir)
			must(t, st.Space("audit").Apply(t.Context(), []store.Write{{Key: []byte("head/audit")}}))
			must(t, st.Close())
		},
	} {
		dir := chainOf(t, 3)
		change(t, dir)
		st := openStore(t, dir)
		if l, err := audit.Open(t.Context(), audit.Config{Store: st, Extractor: extractor(), Custodian: "x", Log: zerolog.Nop()}); err == nil {
			t.Errorf("%s: opened", name)
			must(t, l.Close(t.Context()))
		}
		must(t, st.Close())
	}
}

// TestCrashBetweenRecordsAndHead: what was committed behind the head is adopted
// at the next start, and the chain goes on behind it.
func TestCrashBetweenRecordsAndHead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	st := openStore(t, dir)
	f := &faulty{Store: st}
	l := openLog(t, f, nil)
	must(t, l.Record(t.Context(), disclosure("a1")))
	closeAll(t, l, f.Store)
	st = openStore(t, dir)
	f = &faulty{Store: st}
	l = openLog(t, f, func(c *audit.Config) { c.HeadEvery = time.Hour })
	f.failHeads(errors.New("crash"))
	must(t, l.Record(t.Context(), disclosure("a1")))
	closeAll(t, l, st)
	report := verify(t, dir)
	if !report.Whole || report.Chains[0].Behind != 1 || report.Chains[0].Records != 2 {
		t.Errorf("after the crash: %+v", report)
	}
	st = openStore(t, dir)
	l = openLog(t, st, nil)
	must(t, l.Record(t.Context(), disclosure("a1")))
	if h := l.Head(); h.Seq != 3 {
		t.Errorf("head %+v", h)
	}
	closeAll(t, l, st)
	if report := verify(t, dir); !report.Whole || report.Chains[0].Records != 3 || report.Chains[0].Behind != 0 {
		t.Errorf("after the restart: %+v", report)
	}
}

// TestByteInAFile flips bytes in the engine's table files, most of which hold
// records: the engine's own checksums refuse the block, and verification says
// so instead of whole.
func TestByteInAFile(t *testing.T) {
	t.Parallel()
	dir := chainOf(t, 50)
	db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: pebble.FormatNewest, Logger: quiet{}})
	must(t, err)
	must(t, db.Flush())
	must(t, db.Compact(t.Context(), []byte{0}, []byte{0xff}, false))
	must(t, db.Close())
	files, err := os.ReadDir(dir)
	must(t, err)
	found := 0
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".sst") {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(dir, f.Name()))
		must(t, err)
		if len(raw) < 4096 {
			continue
		}
		for part := 1; part < 6; part++ {
			broken := bytes.Clone(raw)
			broken[len(raw)*part/6] ^= 0x40
			other := t.TempDir()
			must(t, os.CopyFS(other, os.DirFS(dir)))
			must(t, os.WriteFile(filepath.Join(other, f.Name()), broken, 0o600))
			if whole, err := tryVerify(t, other); err != nil || !whole {
				found++
			}
		}
	}
	if found == 0 {
		t.Error("no flipped byte was found")
	}
	if whole, err := tryVerify(t, dir); err != nil || !whole {
		t.Errorf("untouched: %v %v", whole, err)
	}
}

// tryVerify opens and verifies a damaged directory. Opening may fail already,
// or end the goroutine that does it: that is not whole either.
func tryVerify(t *testing.T, dir string) (whole bool, err error) {
	t.Helper()
	done := make(chan struct{})
	err = errors.New("the engine gave up")
	go func() {
		defer close(done)
		st, oerr := disk.Open(dir, disk.Options{Extract: extractor().ExtractBody})
		if oerr != nil {
			err = oerr
			return
		}
		report, verr := audit.Verify(context.Background(), st)
		whole, err = report.Whole, errors.Join(verr, st.Close())
	}()
	<-done
	return whole, err
}
