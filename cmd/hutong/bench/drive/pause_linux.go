package drive

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// metronome wakes its owner at every beat, to within some 50 µs: Go's own timers
// round short waits up to a millisecond. It is a timer of the system that Go's
// poller waits for, so that waiting occupies no thread.
type metronome struct {
	timer *os.File
	count [8]byte // of the beats since it was last read
}

func newMetronome(gap time.Duration) (*metronome, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	m := &metronome{timer: os.NewFile(uintptr(fd), "timer")}
	every := unix.NsecToTimespec(int64(gap))
	if err := unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: every, Value: every}, nil); err != nil {
		m.stop()
		return nil, os.NewSyscallError("timerfd_settime", err)
	}
	return m, nil
}

// wait returns at the next beat, at once if one has passed.
func (m *metronome) wait() error {
	_, err := m.timer.Read(m.count[:])
	return err
}

func (m *metronome) stop() { _ = m.timer.Close() }
