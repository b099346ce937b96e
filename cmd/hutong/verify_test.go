package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// TestVerifyAudit is the last chapter of the story by the command: the chain of
// a stopped exchange is whole, and one changed byte is found.
func TestVerifyAudit(t *testing.T) {
	s := raise(t, 2)
	s.do("resident", "GET", "/fhir/Patient", nil).is(200)
	s.stop()
	verify := func() error {
		return run(context.Background(), []string{"verify-audit", "--data", filepath.Join(s.dir, "data"),
			"--timezone", "Asia/Shanghai", "--operator", s.demo.settings().Operator, "--log-level", "error"})
	}
	if err := verify(); err != nil {
		t.Fatalf("the untouched chain: %v", err)
	}
	changeOneByte(t, filepath.Join(s.dir, "data", "store"))
	if err := verify(); err == nil || !strings.Contains(err.Error(), "audit") {
		t.Errorf("one byte was changed and the verification says %v", err)
	}
}

// changeOneByte alters one letter inside a stored AuditEvent, below the engine.
func changeOneByte(t *testing.T, dir string) {
	t.Helper()
	db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: pebble.FormatNewest})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	rows, err := db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for ok := rows.First(); ok; ok = rows.Next() {
		at := bytes.Index(rows.Value(), []byte(`"action":"`))
		if at < 0 || !bytes.Contains(rows.Value(), []byte(`"resourceType":"AuditEvent"`)) {
			continue
		}
		changed := bytes.Clone(rows.Value())
		changed[at+len(`"action":"`)] ^= 1
		if err := db.Set(bytes.Clone(rows.Key()), changed, pebble.Sync); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("no stored AuditEvent was found")
}
