//go:build !linux

package drive

import "time"

func pause(d time.Duration) { time.Sleep(d) }
