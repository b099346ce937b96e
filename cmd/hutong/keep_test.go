package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hutong/gateway/auth"
	"hutong/gateway/principal"
)

// TestKeep is a life with backups: a stopped exchange is proven and copied, a
// running one archives and copies itself when an operator asks, and both come
// back whole, accounts and audit chain included; damage is refused.
func TestKeep(t *testing.T) {
	s := raise(t, 2)
	s.do("resident", "GET", "/fhir/Patient", nil).is(200)
	password := filepath.Join(s.dir, "password")
	secret, err := os.ReadFile(password)
	if err != nil {
		t.Fatal(err)
	}
	u := auth.User{Login: "ops", Name: "Ops", Roles: []principal.Role{principal.Admin}}
	if err := s.e.Auth.AddUser(t.Context(), u, strings.TrimSpace(string(secret))); err != nil {
		t.Fatal(err)
	}
	s.stop()
	data, cold := filepath.Join(s.dir, "data"), filepath.Join(s.dir, "cold")
	hutong := func(args ...string) error { return run(context.Background(), args) }
	ok := func(args ...string) {
		t.Helper()
		if err := hutong(args...); err != nil {
			t.Fatalf("hutong %v: %v", args, err)
		}
	}
	ok("fsck", "-q", data)
	ok("migrate", data)
	for _, command := range [][]string{{"migrate"}, {"fsck", "-q"}, {"backup", "--to", filepath.Join(s.dir, "none")}, {"verify-audit", "--data"}} {
		empty := t.TempDir() // as of a disk that is not mounted
		err := hutong(append(command, empty)...)
		if left, _ := os.ReadDir(empty); err == nil || !strings.Contains(err.Error(), "no store") && command[0] != "verify-audit" || len(left) != 0 {
			t.Errorf("%s of an empty folder: %v, and %d files are in it now", command[0], err, len(left))
		}
	}
	if err := hutong("backup", data, "--to", filepath.Join(data, "store", "copies")); err == nil {
		t.Error("a copy went into the store itself")
	}
	ok("backup", data, "--to", cold)
	ok("restore", "--from", cold, "--to", filepath.Join(s.dir, "one"))

	s.archive, s.keepDays = filepath.Join(s.dir, "warm"), 1
	s.start()
	s.tokens = map[string]string{}
	s.do("resident", "POST", "/api/admin/backup", nil).is(403)
	s.do("", "POST", "/api/admin/backup", nil).is(401)
	before := time.Now().UTC()
	s.do("resident", "GET", "/fhir/Patient", nil).is(200)
	ok("backup", "--url", s.url, "--user", "ops", "--password-file", password)
	s.do("ops", "GET", "/api/admin/backup", nil).is(200)
	s.do("ops", "POST", "/api/admin/retention", nil).is(200)
	s.do("resident", "POST", "/api/admin/retention", nil).is(403)
	s.do("resident", "GET", "/fhir/Patient", nil).is(200)
	s.stop()
	two := filepath.Join(s.dir, "two")
	ok("restore", "--from", s.archive, "--to", two)
	ok("fsck", "-q", two)
	ok("restore", "--from", s.archive, "--to", filepath.Join(s.dir, "three"), "--at", before.Format(time.RFC3339Nano))
	if err := hutong("restore", "--from", s.archive, "--to", two); err == nil {
		t.Error("a restore overwrote a store")
	}

	flipOne(t, s.archive)
	err = hutong("restore", "--from", s.archive, "--to", filepath.Join(s.dir, "four"))
	if err == nil || !strings.Contains(err.Error(), "damaged at byte") {
		t.Errorf("a damaged archive: %v", err)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "four")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a restore that failed left its folder: %v", err)
	}
	changeOneByte(t, filepath.Join(two, "store"))
	if err := hutong("fsck", "-q", two); err == nil {
		t.Error("fsck did not find a changed audit record")
	}
}

// flipOne changes a byte in the middle of the first segment of an archive.
func flipOne(t *testing.T, dir string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.archive"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no segments: %v", err)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.Clone(b)
	b[len(b)/2] ^= 1
	if err := os.WriteFile(names[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
}
