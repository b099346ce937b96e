//go:build !linux

package memory

func releaseBinary() {}
