// Package machine tells what a benchmark ran on, and what a process used.
package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Info describes the machine, at the start of a run.
type Info struct {
	Cores   int    `json:"cores"`
	Model   string `json:"model"`
	Memory  int64  `json:"memoryBytes"`
	System  string `json:"system"`
	Kernel  string `json:"kernel"`
	Go      string `json:"go"`
	Load    string `json:"loadAverage"` // 1, 5 and 15 minutes
	Fsync   Fsync  `json:"fsync"`
	Started string `json:"started"` // UTC
}

// Fsync is how fast the disk makes small writes durable, one after the other.
type Fsync struct {
	PerSecond float64 `json:"perSecond"`
	P50       float64 `json:"p50ms"`
	P99       float64 `json:"p99ms"`
}

// Describe looks at the machine and probes the disk under dir for half a
// second. What the system does not tell is left empty.
func Describe(dir string) (Info, error) {
	i := Info{
		Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(),
		Model: field("/proc/cpuinfo", "model name"), Kernel: line("/proc/sys/kernel/osrelease"),
		Load: strings.Join(first(strings.Fields(line("/proc/loadavg")), 3), " "), Started: time.Now().UTC().Format(time.RFC3339),
	}
	if kb, err := strconv.ParseInt(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB"), 10, 64); err == nil {
		i.Memory = kb << 10
	}
	var err error
	i.Fsync, err = probe(dir, 500*time.Millisecond)
	return i, err
}

func first(s []string, n int) []string { return s[:min(len(s), n)] }

// line is the first line of a file, "" where there is none.
func line(name string) string {
	b, _ := os.ReadFile(name)
	s, _, _ := strings.Cut(string(b), "\n")
	return s
}

// field is the value of the first line "name : value" of a file.
func field(file, name string) string {
	b, _ := os.ReadFile(file)
	for l := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// probe appends 4 KiB and syncs, over and over.
func probe(dir string, length time.Duration) (out Fsync, err error) {
	f, err := os.CreateTemp(dir, "fsync-*")
	if err != nil {
		return out, err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if rerr := os.Remove(f.Name()); err == nil {
			err = rerr
		}
	}()
	block := make([]byte, 4096)
	var took []time.Duration
	for start := time.Now(); time.Since(start) < length; {
		at := time.Now()
		if _, err = f.Write(block); err != nil {
			return out, err
		}
		if err = f.Sync(); err != nil {
			return out, err
		}
		took = append(took, time.Since(at))
	}
	slices.Sort(took)
	var sum time.Duration
	for _, d := range took {
		sum += d
	}
	ms := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))].Microseconds()) / 1e3 }
	return Fsync{PerSecond: float64(len(took)) / sum.Seconds(), P50: ms(0.5), P99: ms(0.99)}, nil
}

// DiskUsage adds up the sizes of the files under dir, and of those among them
// whose name ends in suffix. Files that vanish while it looks do not count.
func DiskUsage(dir, suffix string) (bytes, some int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		bytes += info.Size()
		if strings.HasSuffix(d.Name(), suffix) {
			some += info.Size()
		}
		return nil
	})
	if os.IsNotExist(err) {
		err = nil
	}
	return bytes, some, err
}

// Usage is what a process has used since its start, and holds now.
type Usage struct {
	CPU     time.Duration
	RSS     int64 // bytes
	Files   int64 // of RSS: pages of files, as of the binary, that the kernel can drop
	Peak    int64 // bytes: the highest RSS so far
	Read    int64 // bytes that the disk had to give: those in the page cache do not count
	Written int64 // bytes sent to the disk
}

// Of reads the usage of a process from /proc.
func Of(pid int) (Usage, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return Usage{}, fmt.Errorf("usage of the process: %w", err)
	}
	cpu, err := cpuOf(string(stat))
	if err != nil {
		return Usage{}, err
	}
	u := Usage{CPU: cpu, RSS: kilobytes(dir, "VmRSS"), Files: kilobytes(dir, "RssFile"), Peak: kilobytes(dir, "VmHWM")}
	u.Read, _ = strconv.ParseInt(field(dir+"/io", "read_bytes"), 10, 64)
	u.Written, _ = strconv.ParseInt(field(dir+"/io", "write_bytes"), 10, 64)
	return u, nil
}

func kilobytes(dir, name string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSuffix(field(dir+"/status", name), " kB"), 10, 64)
	return n << 10
}

// Busy is the CPU time that the whole machine has used since it started, that
// of its neighbours on the same host (steal) included; 0 where it is not told.
func Busy() time.Duration {
	return busyOf(line("/proc/stat"))
}

// busyOf adds up the first line of /proc/stat (proc(5)): user, nice, system,
// idle, iowait, irq, softirq, steal. Guests are in user already.
func busyOf(cpu string) (sum time.Duration) {
	f := strings.Fields(cpu)
	for _, i := range []int{1, 2, 3, 6, 7, 8} {
		if i < len(f) {
			n, _ := strconv.ParseInt(f[i], 10, 64)
			sum += time.Duration(n) * tick
		}
	}
	return sum
}

// tick is USER_HZ, in which /proc/PID/stat counts: 100 on every Linux that Go
// runs on.
const tick = time.Second / 100

// cpuOf reads user and system time from the text of /proc/PID/stat (proc(5):
// fields 14 and 15; the second field, in brackets, may hold blanks).
func cpuOf(stat string) (time.Duration, error) {
	end := strings.LastIndexByte(stat, ')')
	f := strings.Fields(stat[end+1:])
	if end < 0 || len(f) < 13 {
		return 0, fmt.Errorf("usage of the process: /proc/PID/stat is not as expected")
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("usage of the process: /proc/PID/stat is not as expected")
	}
	return time.Duration(user+system) * tick, nil
}
