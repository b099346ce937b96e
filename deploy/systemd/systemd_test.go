// Package systemd_test has systemd itself look at the unit.
package systemd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// unit copies the unit with a program that exists in place of the binary.
func unit(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("no systemd-analyze on this machine")
	}
	text, err := os.ReadFile("hutong.service")
	if err != nil {
		t.Fatal(err)
	}
	program := regexp.MustCompile(`(?m)^ExecStart=(\S+) serve `).FindSubmatch(text)
	if program == nil {
		t.Fatal("the unit does not start the server")
	}
	name := filepath.Join(t.TempDir(), "hutong.service")
	if err := os.WriteFile(name, []byte(strings.ReplaceAll(string(text), string(program[1]), "/bin/true")), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// The unit loads without a complaint: systemd tells of unknown settings, too.
func TestSystemdTakesTheUnit(t *testing.T) {
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", unit(t)).CombinedOutput()
	for line := range strings.SplitSeq(string(out), "\n") {
		if strings.Contains(line, "hutong.service") {
			t.Error(line)
		}
	}
	if err != nil && len(out) == 0 {
		t.Error(err)
	}
}

// systemd rates what the service could do if it were taken over, from 0 to 10.
func TestTheServiceIsConfined(t *testing.T) {
	name := unit(t)
	if err := exec.Command("systemd-analyze", "security", "--offline=yes", "--threshold=100", name).Run(); err != nil {
		t.Skipf("this systemd-analyze cannot rate a file: %v", err)
	}
	out, err := exec.Command("systemd-analyze", "security", "--offline=yes", "--threshold=20", name).CombinedOutput()
	if err != nil {
		t.Errorf("exposure is more than 2.0: %v\n%s", err, out)
	}
}
