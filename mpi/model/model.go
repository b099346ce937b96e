// Package model loads trained models from files, so that what weighs evidence is
// always known by a version and a checksum.
package model

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/mpi/score"
)

// Loaded is a model with the checksum of its file.
type Loaded struct {
	*score.Model
	Checksum string // SHA-256, hexadecimal
}

// maxSize bounds a model file, in bytes.
const maxSize = 64 << 20

// Load reads a model that `hutong mpi train` wrote. If there is a file of the
// same name with .sha256 behind it (as sha256sum writes it), it must agree.
func Load(path string) (*Loaded, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if info.Size() > maxSize {
		return nil, fmt.Errorf("model %s: larger than %d bytes", path, maxSize)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	sum := sha256.Sum256(data)
	l := &Loaded{Checksum: hex.EncodeToString(sum[:])}
	if err := l.verify(path + ".sha256"); err != nil {
		return nil, err
	}
	if l.Model, err = score.Load(data); err != nil {
		return nil, fmt.Errorf("model %s: %w", path, err)
	}
	return l, nil
}

func (l *Loaded) verify(path string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("model: %w", err)
	}
	want, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	if !strings.EqualFold(want, l.Checksum) {
		return fmt.Errorf("model: the file does not have the checksum that %s gives", path)
	}
	return nil
}

// Pin remembers in s which content a version has. A version that was used with
// another content is refused: the journal names models by their version.
func Pin(ctx context.Context, s store.Space, l *Loaded) error {
	key := []byte("model/" + l.Version)
	err := s.Apply(ctx, []store.Write{{Key: key, Value: []byte(l.Checksum), If: store.IfAbsent}})
	if !errors.Is(err, fhir.E(fhir.Conflict)) {
		return err
	}
	was, err := s.Get(ctx, key)
	if err == nil && string(was) != l.Checksum {
		err = fmt.Errorf("model %s: it was used before with another content (SHA-256 %.12s, now %.12s): give the new one a version of its own", l.Version, was, l.Checksum)
	}
	return err
}
