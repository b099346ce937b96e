package drive

import (
	"syscall"
	"time"
)

// pause sleeps on the calling thread, to within some 50 µs. A signal may end
// it early; the caller looks at the clock.
func pause(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&ts, nil)
}
