package main

import (
	"context"
	"os"
	"testing"
)

// TestMain lets the test binary stand in for the hutong binary, so that a test
// can kill a real process.
func TestMain(m *testing.M) {
	if os.Getenv(asMain) == "1" {
		main()
		return
	}
	os.Exit(m.Run())
}

const asMain = "HUTONG_TEST_AS_MAIN"

// TestCrash is a short `make crash`: kill -9 of a serving exchange under mixed
// load, and races of conditional creates.
func TestCrash(t *testing.T) {
	t.Setenv(asMain, "1")
	args := []string{"crash", "--rounds", "5", "--life", "3", "--every", "2", "--races", "10", "--dir", t.TempDir(), "--out", t.TempDir()}
	if err := run(context.Background(), args); err != nil {
		t.Fatal(err)
	}
}
