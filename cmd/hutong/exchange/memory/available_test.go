package memory

import (
	"os"
	"path/filepath"
	"testing"
)

// The least of the machine's memory and of the limits of all groups counts.
func TestAvailable(t *testing.T) {
	for name, c := range map[string]struct {
		cgroup string
		files  map[string]string
		want   int64
	}{
		"machine":               {"", nil, 8 << 30},
		"no limit":              {"0::/a\n", map[string]string{"a/memory.max": "max\n"}, 8 << 30},
		"limit":                 {"0::/a/b\n", map[string]string{"a/b/memory.max": "1073741824\n"}, 1 << 30},
		"of a group above":      {"0::/a/b\n", map[string]string{"a/memory.max": "1073741824\n", "a/b/memory.max": "2147483648\n"}, 1 << 30},
		"container":             {"0::/host/path\n", map[string]string{"memory.max": "1073741824\n"}, 1 << 30},
		"version 1":             {"5:cpu,cpuacct:/a\n4:memory:/a\n", map[string]string{"memory/a/memory.limit_in_bytes": "536870912\n"}, 512 << 20},
		"version 1 without one": {"4:memory:/a\n", map[string]string{"memory/a/memory.limit_in_bytes": "9223372036854771712\n"}, 8 << 30},
		"more than the machine": {"0::/\n", map[string]string{"memory.max": "17179869184\n"}, 8 << 30},
		"damaged":               {"0:\n", map[string]string{"memory.max": "1\n"}, 8 << 30},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write := func(name, content string) string {
				name = filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
				return name
			}
			for name, content := range c.files {
				write(name, content)
			}
			meminfo := write("meminfo", "MemTotal:        8388608 kB\nMemFree:  1 kB\n")
			if got := available(meminfo, write("cgroup", c.cgroup), dir); got != c.want {
				t.Errorf("%d, want %d", got, c.want)
			}
		})
	}
	if got := available("nothing", "nothing", "nothing"); got != 0 {
		t.Errorf("%d where nothing can be read", got)
	}
	if os.Getenv("GOMEMLIMIT") == "" && fileExists("/proc/meminfo") && Available() < 64<<20 {
		t.Errorf("this machine has %d", Available())
	}
}

func fileExists(name string) bool { _, err := os.Stat(name); return err == nil }
