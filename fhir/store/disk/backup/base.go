package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/rs/zerolog"

	"hutong/fhir"
	"hutong/fhir/store/disk/health"
	"hutong/fhir/store/disk/layout"
)

// Manifest says what a copy (a base) holds. It is written last.
type Manifest struct {
	Format  uint64    `json:"format"` // of the engine
	Epoch   string    `json:"epoch"`  // of the spaces' journal, "" if none was kept
	T       fhir.T    `json:"t"`      // newest commit
	Seq     uint64    `json:"seq"`    // newest entry of the journal
	At      time.Time `json:"at"`     // newest lastUpdated
	Created time.Time `json:"created"`
	Files   []File    `json:"files"`
	Sum     string    `json:"sum"` // SHA-256 of the manifest with an empty sum
}

// File is one file of a copy.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

const manifestName = "manifest.json"

// Checkpointer is what is copied: disk.Store.
type Checkpointer interface {
	Checkpoint(ctx context.Context, dir string) error
}

// Copy makes a base of a running store in dir. staging is a folder on the
// store's disk that is free for use. Files that the newest base in dir already
// holds are linked to it.
func Copy(ctx context.Context, s Checkpointer, staging, dir string, now time.Time) (m Manifest, err error) {
	if err := os.RemoveAll(staging); err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(staging)) }()
	if err := s.Checkpoint(ctx, staging); err != nil {
		return m, err
	}
	if m, err = Describe(staging); err != nil {
		return m, err
	}
	m.Created = now.UTC()
	partial := filepath.Join(dir, ".partial")
	if err := errors.Join(os.RemoveAll(partial), os.MkdirAll(partial, 0o700)); err != nil {
		return m, err
	}
	if m.Files, err = copyAll(ctx, staging, partial, newestBase(dir)); err != nil {
		return m, err
	}
	if err := m.write(partial); err != nil {
		return m, err
	}
	final := filepath.Join(dir, baseName(m))
	return m, errors.Join(os.Rename(partial, final), syncDir(dir))
}

func baseName(m Manifest) string {
	return fmt.Sprintf("base-%020d-%s", m.T, m.Created.Format("20060102T150405.000"))
}

// bases lists the copies in dir that are complete, oldest first.
func bases(dir string) ([]string, error) {
	all, err := filepath.Glob(filepath.Join(dir, "base-*", manifestName))
	for i := range all {
		all[i] = filepath.Dir(all[i])
	}
	slices.Sort(all)
	return all, err
}

// newestBase is a copy to link from; none is needed.
func newestBase(dir string) map[string]linkable {
	all, _ := bases(dir)
	known := map[string]linkable{}
	if len(all) == 0 {
		return known
	}
	m, err := readManifest(all[len(all)-1])
	if err != nil {
		return known
	}
	for _, f := range m.Files {
		known[f.Name] = linkable{f, filepath.Join(all[len(all)-1], f.Name)}
	}
	return known
}

type linkable struct {
	File
	path string
}

func copyAll(ctx context.Context, from, to string, known map[string]linkable) ([]File, error) {
	entries, err := os.ReadDir(from)
	if err != nil {
		return nil, err
	}
	var out []File
	for _, e := range entries {
		if !e.Type().IsRegular() || e.Name() == "LOCK" {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		f, err := copyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name()), known[e.Name()])
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, syncDir(to)
}

// copyFile copies and sums a file; one that is known is read to be sure, and
// linked.
func copyFile(from, to string, known linkable) (File, error) {
	f := File{Name: filepath.Base(from)}
	if known.path != "" {
		var err error
		if f.SHA256, f.Size, err = sumFile(from, io.Discard); err != nil {
			return f, err
		}
		if f == known.File && os.Link(known.path, to) == nil {
			return f, nil
		}
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return f, err
	}
	f.SHA256, f.Size, err = sumFile(from, out)
	return f, errors.Join(err, out.Sync(), out.Close())
}

// sumFile reads a file, copies it to w and gives its sum and size.
func sumFile(name string, w io.Writer) (string, int64, error) {
	in, err := os.Open(name)
	if err != nil {
		return "", 0, err
	}
	defer in.Close()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), in)
	return hex.EncodeToString(h.Sum(nil)), n, err
}

func (m Manifest) sum() (string, error) {
	m.Sum = ""
	raw, err := json.Marshal(m)
	s := sha256.Sum256(raw)
	return hex.EncodeToString(s[:]), err
}

func (m *Manifest) write(dir string) (err error) {
	if m.Sum, err = m.sum(); err != nil {
		return err
	}
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, manifestName), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(raw, '\n'))
	return errors.Join(err, f.Sync(), f.Close(), syncDir(dir))
}

// readManifest reads the manifest of a copy and verifies its own sum.
func readManifest(dir string) (m Manifest, err error) {
	name := filepath.Join(dir, manifestName)
	raw, err := os.ReadFile(name)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, &DamageError{name, 0, err.Error()}
	}
	if s, err := m.sum(); err != nil || s != m.Sum {
		return m, &DamageError{name, 0, "the manifest does not fit its sum"}
	}
	return m, nil
}

// verifyFiles reads every file of a copy.
func (m *Manifest) verifyFiles(ctx context.Context, dir string) error {
	for _, f := range m.Files {
		if err := ctx.Err(); err != nil {
			return err
		}
		got, size, err := sumFile(filepath.Join(dir, f.Name), io.Discard)
		switch {
		case err != nil:
			return err
		case size != f.Size:
			return &DamageError{filepath.Join(filepath.Base(dir), f.Name), size, fmt.Sprintf("%d bytes are there, %d were copied", size, f.Size)}
		case got != f.SHA256:
			return &DamageError{filepath.Join(filepath.Base(dir), f.Name), 0, "the file does not fit its sum"}
		}
	}
	return nil
}

// Describe reads what a store or a copy holds, without writing to it; its server
// is stopped. Files are left out.
func Describe(dir string) (m Manifest, err error) {
	db, err := pebble.Open(dir, &pebble.Options{ReadOnly: true, Logger: &health.Monitor{Log: zerolog.Nop()}, FormatMajorVersion: pebble.FormatNewest})
	if err != nil {
		return m, fmt.Errorf("backup: the copy cannot be read: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	row := func(key []byte) []byte {
		v, closer, gerr := db.Get(key)
		if errors.Is(gerr, pebble.ErrNotFound) {
			return nil
		}
		if gerr != nil {
			err = errors.Join(err, gerr)
			return nil
		}
		defer func() { err = errors.Join(err, closer.Close()) }()
		return bytes.Clone(v)
	}
	m.Format, _ = binary.Uvarint(row(layout.FormatKey()))
	m.Epoch = string(row([]byte("Mjournal")))
	last := func(prefix byte) (key, val []byte) {
		it, ierr := db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}})
		if ierr != nil {
			err = errors.Join(err, ierr)
			return nil, nil
		}
		if it.Last() {
			key, val = bytes.Clone(it.Key()), bytes.Clone(it.Value())
		}
		err = errors.Join(err, it.Close())
		return key, val
	}
	if key, val := last('L'); key != nil {
		var c layout.Commit
		err = errors.Join(err, c.Read(val))
		m.T, m.At = layout.LogTime(key), time.UnixMilli(c.High).UTC()
	}
	if key, _ := last('J'); key != nil {
		m.Seq = binary.BigEndian.Uint64(key[1:])
	}
	return m, err
}
