//go:build !linux

package drive

import "time"

// metronome wakes its owner at every beat, to within what Go's timers give.
type metronome struct{ *time.Ticker }

func newMetronome(gap time.Duration) (*metronome, error) {
	return &metronome{time.NewTicker(gap)}, nil
}

func (m *metronome) wait() error {
	<-m.C
	return nil
}

func (m *metronome) stop() { m.Stop() }
