package bulk

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"hutong/fhir"
)

// writer appends resources to the files of a job. What it wrote counts once
// save has made it durable; what a crash left behind that is cut off by the
// next writer.
type writer struct {
	dir   string
	limit int64 // of a file, in bytes
	files []file
	open  *os.File
	buf   *bufio.Writer
	line  []byte
}

// add appends one resource; files hold one type each.
func (w *writer) add(r *fhir.Resource) error {
	last := len(w.files) - 1
	if last < 0 || w.files[last].Type != r.Type || w.files[last].Bytes >= w.limit {
		if err := w.save(); err != nil {
			return err
		}
		w.close()
		w.files = append(w.files, file{Type: r.Type, Name: w.name(r.Type)})
		last++
	}
	if w.open == nil {
		if err := w.reopen(&w.files[last]); err != nil {
			return err
		}
	}
	w.line = append(r.AppendJSON(w.line[:0]), '\n')
	n, err := w.buf.Write(w.line)
	w.files[last].Bytes += int64(n)
	w.files[last].Count++
	return err
}

// name of the next file of a type: Observation-1.ndjson.
func (w *writer) name(t fhir.Type) string {
	n := 1
	for _, f := range w.files {
		if f.Type == t {
			n++
		}
	}
	return string(t) + "-" + strconv.Itoa(n) + ".ndjson"
}

// reopen opens a file behind its durable end.
func (w *writer) reopen(f *file) error {
	o, err := os.OpenFile(filepath.Join(w.dir, f.Name), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	size, err := o.Seek(0, io.SeekEnd)
	if err == nil && size < f.Bytes {
		err = errors.New("bulk: a file is shorter than what was written to it")
	}
	if err == nil {
		err = o.Truncate(f.Bytes)
	}
	if err == nil {
		_, err = o.Seek(f.Bytes, io.SeekStart)
	}
	if err != nil {
		return errors.Join(err, o.Close())
	}
	w.open, w.buf = o, bufio.NewWriterSize(o, 256<<10)
	return nil
}

// save makes durable what was added.
func (w *writer) save() error {
	if w.open == nil {
		return nil
	}
	if err := w.buf.Flush(); err != nil {
		return err
	}
	return w.open.Sync()
}

// close lets go of the open file; what was not saved does not count.
func (w *writer) close() {
	if w.open != nil {
		_ = w.open.Close() // after save there is nothing left to fail
		w.open, w.buf = nil, nil
	}
}
