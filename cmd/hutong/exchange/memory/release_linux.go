package memory

import (
	"bufio"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// releaseBinary lets go of the pages of our own binary that are mapped but held
// in no memory of ours: its code and tables, of which the start touches most and
// serving little. The kernel keeps them in its page cache and maps again, without
// a read, what is used. A mapping of which any page was written (relocations) is
// left alone, since its content would be lost. What cannot be read is no loss.
func releaseBinary() {
	own, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer f.Close()
	var from, to uintptr // of the mapping that is being read; to is 0 if it is none of these
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) >= 5 && strings.Contains(fields[0], "-"):
			from, to = 0, 0
			if len(fields) == 6 && fields[5] == own && (fields[1] == "r--p" || fields[1] == "r-xp") {
				from, to = bounds(fields[0])
			}
		case to != 0 && len(fields) == 3 && fields[0] == "Anonymous:" && fields[1] == "0":
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED) // advice: a refusal changes nothing
		}
	}
}

// bounds reads "7f00-7fff"; 0, 0 for anything else.
func bounds(s string) (from, to uintptr) {
	lo, hi, _ := strings.Cut(s, "-")
	a, errA := strconv.ParseUint(lo, 16, 64)
	b, errB := strconv.ParseUint(hi, 16, 64)
	if errA != nil || errB != nil || b < a {
		return 0, 0
	}
	return uintptr(a), uintptr(b)
}
