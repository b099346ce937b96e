package memory

import (
	"os"
	"strings"
	"testing"
)

// The process goes on after its binary was let go, and less of it is resident.
func TestReleaseBinary(t *testing.T) {
	before := fileResident(t)
	releaseBinary()
	if after := fileResident(t); after >= before {
		t.Errorf("%s resident before, %s after", before, after)
	}
	Settle()
}

// fileResident gives the line of /proc/self/status, whose number is padded to
// the left, so that texts compare as numbers.
func fileResident(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(raw), "RssFile:")
	if !ok {
		t.Skip("this kernel does not tell what is resident of files")
	}
	line, _, _ := strings.Cut(rest, "\n")
	return line
}
