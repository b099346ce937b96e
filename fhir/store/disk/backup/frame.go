// Package backup copies a running store and archives what it commits
// afterwards, so that it can be restored as of any moment between the copy and
// the last archived commit. See DESIGN.md beside it.
package backup

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// A segment of the archive is a magic line, the sum of the last frame of the
// segment before (zeros in the first) and frames. A frame is
//
//	length of the payload, 4 bytes; CRC-32C of the length, 4 bytes
//	SHA-256 of the previous frame's sum and the payload, 32 bytes
//	payload: zstd of a Batch in JSON
//
// The sums chain all frames of all segments of an epoch, so that none can be
// changed, left out or moved without being noticed.
const (
	magic      = "hutong archive 1\n"
	headLen    = len(magic) + sha256.Size
	frameHead  = 8 + sha256.Size
	maxPayload = 256 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type sum = [sha256.Size]byte

func chain(before sum, payload []byte) sum {
	h := sha256.New()
	h.Write(before[:])
	h.Write(payload)
	return sum(h.Sum(nil))
}

// DamageError says where an archive or a copy is not what was written.
type DamageError struct {
	File   string
	Offset int64
	What   string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("%s is damaged at byte %d: %s", e.File, e.Offset, e.What)
}

// segmentName names the n-th segment of an epoch.
func segmentName(epoch string, n int) string { return fmt.Sprintf("%s-%08d.archive", epoch, n) }

// segments lists the files of an epoch in order.
func segments(dir, epoch string) ([]string, error) {
	names, err := filepath.Glob(filepath.Join(dir, epoch+"-*.archive"))
	slices.Sort(names)
	return names, err
}

// writer appends frames to the newest segment of an epoch.
type writer struct {
	dir, epoch string
	max        int64 // bytes after which a new segment begins
	n          int   // number of the segment
	f          *os.File
	size       int64
	dirty      bool // behind size lies what a failed write left
	last       sum
	enc        *zstd.Encoder
}

// append writes a batch and makes it durable.
func (w *writer) append(b *Batch) error {
	raw, err := json.Marshal(b)
	if err != nil {
		return err
	}
	payload := w.enc.EncodeAll(raw, nil)
	if len(payload) > maxPayload {
		return fmt.Errorf("backup: a batch of %d bytes is too large to archive", len(payload))
	}
	if w.f == nil || w.size > w.max && !w.dirty {
		if err := w.rotate(); err != nil {
			return err
		}
	}
	next := chain(w.last, payload)
	frame := make([]byte, 8, frameHead+len(payload))
	binary.BigEndian.PutUint32(frame, uint32(len(payload)))
	binary.BigEndian.PutUint32(frame[4:], crc32.Checksum(frame[:4], castagnoli))
	frame = append(append(frame, next[:]...), payload...)
	if err := w.put(frame); err != nil {
		return err
	}
	w.last = next
	return nil
}

// put writes whole or not at all: what a failure left is cut off first.
func (w *writer) put(frame []byte) error {
	if w.dirty {
		if err := w.f.Truncate(w.size); err != nil {
			return err
		}
	}
	w.dirty = true
	if _, err := w.f.Write(frame); err != nil {
		return err
	}
	if err := w.f.Sync(); err != nil {
		return err
	}
	w.dirty = false
	w.size += int64(len(frame))
	return nil
}

// rotate begins a new segment.
func (w *writer) rotate() error {
	if err := w.close(); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(w.dir, segmentName(w.epoch, w.n+1)), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(append([]byte(magic), w.last[:]...)); err == nil {
		err = errors.Join(f.Sync(), syncDir(w.dir))
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	w.n, w.f, w.size = w.n+1, f, int64(headLen)
	return nil
}

func (w *writer) close() error {
	if w.f == nil {
		return nil
	}
	f := w.f
	w.f = nil
	return f.Close()
}

// reader gives the batches of an epoch in order and verifies each.
type reader struct {
	files []string
	begun bool // last is known
	last  sum
	dec   *zstd.Decoder
	// torn is set by a frame that ends with the newest file before it is whole:
	// what a crash of the writer leaves. It was never acknowledged.
	torn *DamageError
}

// each calls visit with every batch until it says stop. where is the end of
// the batch's frame.
func (r *reader) each(visit func(b *Batch, file string, end int64) (more bool, err error)) error {
	for i, name := range r.files {
		more, err := r.file(name, i == len(r.files)-1, visit)
		if !more || err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) file(name string, newest bool, visit func(*Batch, string, int64) (bool, error)) (bool, error) {
	f, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<20)
	at := int64(0)
	cut := func(what string) (bool, error) {
		damage := &DamageError{filepath.Base(name), at, what}
		if newest {
			r.torn = damage
			return false, nil
		}
		return false, damage
	}
	head := make([]byte, headLen)
	n, err := io.ReadFull(in, head)
	if err != nil && string(head[:min(n, len(magic))]) == magic[:min(n, len(magic))] {
		return cut("the beginning is cut off")
	}
	if err != nil || string(head[:len(magic)]) != magic {
		return false, &DamageError{filepath.Base(name), 0, "this is no segment of an archive"}
	}
	if before := sum(head[len(magic):]); !r.begun {
		r.last, r.begun = before, true
	} else if before != r.last {
		return false, &DamageError{filepath.Base(name), int64(len(magic)), "it does not follow the segment before"}
	}
	at = int64(headLen)
	for {
		payload, next, what, err := r.frame(in)
		switch {
		case err == io.EOF:
			return true, nil
		case err == io.ErrUnexpectedEOF:
			return cut("the frame is cut off")
		case err != nil:
			return false, err
		case what != "":
			return false, &DamageError{filepath.Base(name), at, what}
		}
		var b Batch
		if err := r.decode(payload, &b); err != nil {
			return false, &DamageError{filepath.Base(name), at, err.Error()}
		}
		r.last = next
		at += int64(frameHead + len(payload))
		if more, err := visit(&b, name, at); !more || err != nil {
			return false, err
		}
	}
}

// frame reads one frame; what says how it is damaged.
func (r *reader) frame(in io.Reader) (payload []byte, next sum, what string, err error) {
	var head [frameHead]byte
	if n, err := io.ReadFull(in, head[:]); err != nil {
		if n >= 8 && crc32.Checksum(head[:4], castagnoli) != binary.BigEndian.Uint32(head[4:]) {
			return nil, next, "the length of a frame does not fit its sum", nil
		}
		return nil, next, "", err
	}
	size := binary.BigEndian.Uint32(head[:])
	if crc32.Checksum(head[:4], castagnoli) != binary.BigEndian.Uint32(head[4:]) || size > maxPayload {
		return nil, next, "the length of a frame does not fit its sum", nil
	}
	var buf bytes.Buffer // grows with what is there, not with what is promised
	if n, err := io.CopyN(&buf, in, int64(size)); err != nil {
		if err == io.EOF || n < int64(size) {
			err = io.ErrUnexpectedEOF
		}
		return nil, next, "", err
	}
	next = chain(r.last, buf.Bytes())
	if next != sum(head[8:]) {
		return nil, next, "the content does not fit its sum, or a frame before it is missing", nil
	}
	return buf.Bytes(), next, "", nil
}

func (r *reader) decode(payload []byte, b *Batch) error {
	raw, err := r.dec.DecodeAll(payload, nil)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, b)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
