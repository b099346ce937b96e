package memory

import (
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// Available is the memory that this process may use, in bytes: the machine's,
// or less where a control group (of either version, or one above it) or
// GOMEMLIMIT says so. 0 where nothing of that can be read.
func Available() int64 {
	least := available("/proc/meminfo", "/proc/self/cgroup", "/sys/fs/cgroup")
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 && (least == 0 || limit < least) {
		least = limit
	}
	return least
}

func available(meminfo, cgroup, root string) (least int64) {
	note := func(n int64, err error) {
		if err == nil && n > 0 && (least == 0 || n < least) {
			least = n
		}
	}
	if _, rest, ok := strings.Cut(text(meminfo), "MemTotal:"); ok {
		line, _, _ := strings.Cut(rest, "\n")
		kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(line), " kB"), 10, 64)
		note(kb<<10, err)
	}
	// A line is "0::/path" in version 2, "4:memory:/path" in version 1. In a
	// container the path may be the host's, so the root is looked at, too.
	for line := range strings.Lines(text(cgroup)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		top, name := root, "memory.max"
		if parts[0] != "0" {
			if parts[1] != "memory" {
				continue
			}
			top, name = filepath.Join(root, "memory"), "memory.limit_in_bytes"
		}
		for path := filepath.Join("/", parts[2]); ; path = filepath.Dir(path) {
			note(strconv.ParseInt(strings.TrimSpace(text(filepath.Join(top, path, name))), 10, 64)) // "max" is none
			if path == "/" {
				break
			}
		}
	}
	return least
}

// text reads a file; "" if it cannot be read.
func text(name string) string {
	raw, _ := os.ReadFile(name)
	return string(raw)
}
