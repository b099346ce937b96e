package bulk

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"

	"hutong/fhir"
)

// lines reads ndjson: one resource a line, blank lines aside.
type lines struct {
	r     *bufio.Reader
	limit int // bytes of a line
	n     int // lines read so far
}

// next gives the next line with its number, from 1, in memory of its own.
// Errors: io.EOF at the end; TooLarge for a line that was skipped, after which
// reading goes on; Structure or Invalid if the stream itself cannot be read.
func (l *lines) next() (line []byte, number int, err error) {
	for {
		line, err = l.read()
		if err != nil && (!errors.Is(err, io.EOF) || len(line) == 0) {
			return nil, l.n, err
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return line, l.n, nil
		}
	}
}

// read gives one line; io.EOF only with nothing left.
func (l *lines) read() ([]byte, error) {
	var line []byte
	for long := false; ; {
		part, err := l.r.ReadSlice('\n')
		if len(line) == 0 && len(part) == 0 && errors.Is(err, io.EOF) && !long {
			return nil, io.EOF
		}
		if long = long || len(line)+len(part) > l.limit; long {
			line = nil
		} else {
			line = append(slices.Grow(line, len(part)), part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && !errors.Is(err, io.EOF):
			return nil, unreadable(err)
		}
		l.n++
		if long {
			return nil, fhir.Errorf(fhir.TooLarge, "the line is longer than %d bytes", l.limit)
		}
		return line, nil
	}
}

// unreadable says why a stream broke off.
func unreadable(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fhir.Errorf(fhir.Structure, "the body ends too early")
	}
	return fhir.Errorf(fhir.Invalid, "the body could not be read: it breaks off or is not what its headers say")
}
