package table

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"hutong/mpi/normal"
)

// RowError is a row that cannot be used. Column is a name, or the character in
// the line where the CSV itself is damaged; empty for the row as a whole.
type RowError struct {
	File   string
	Line   int // 1-based; the header is line 1
	Column string
	Reason string
}

// Error is file:line, column, reason.
func (e *RowError) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason)
	}
	return fmt.Sprintf("%s:%d: column %s: %s", e.File, e.Line, e.Column, e.Reason)
}

// maxErrors is how many bad rows are told before reading stops.
const maxErrors = 20

// File is a file as read.
type File struct {
	Name    string
	IDs     []string // trimmed; each once
	Records []*normal.Record
	Dates   int // birth dates that were not readable, and so not used
	DateAt  int // line of the first of them
}

// Read reads a CSV file (RFC 4180, comma, UTF-8 with or without a byte order
// mark, first row the header) row by row; only comparison forms are kept.
// progress, if not nil, is told the count of rows now and then. The error
// joins a RowError for each bad row, 20 at most, or is the context's.
func Read(ctx context.Context, name string, src io.Reader, m *Mapping, now time.Time, progress func(rows int)) (*File, error) {
	r := &reader{file: &File{Name: name}, now: now, lines: map[string]int{}}
	if err := r.open(src, m); err != nil {
		return nil, err
	}
	for n := 1; len(r.bad) < maxErrors; n++ {
		if n%4096 == 0 {
			if progress != nil {
				progress(len(r.file.IDs))
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
		}
		more, err := r.row()
		if err != nil {
			r.bad = append(r.bad, err)
		}
		if !more {
			break
		}
	}
	return r.file, errors.Join(r.bad...)
}

type reader struct {
	file   *File
	csv    *csv.Reader
	header []string
	at     map[string][]int
	now    time.Time
	lines  map[string]int // id -> line
	bad    []error
}

func (r *reader) open(src io.Reader, m *Mapping) error {
	in := bufio.NewReaderSize(src, 1<<16)
	if mark, _ := in.Peek(3); bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = in.Discard(3)
	}
	r.csv = csv.NewReader(in)
	r.csv.TrimLeadingSpace, r.csv.ReuseRecord = true, true
	cells, err := r.csv.Read()
	if err == io.EOF {
		return &RowError{File: r.file.Name, Line: 1, Reason: "the file is empty; a header is needed"}
	}
	if err != nil {
		return r.damaged(err)
	}
	for _, c := range cells {
		r.header = append(r.header, strings.TrimSpace(c))
	}
	if r.at, err = m.place(r.header); err != nil {
		return fmt.Errorf("%s:1: %w", r.file.Name, err)
	}
	return nil
}

// row reads one row; more is false at the end, or where the CSV is damaged so
// that the next row cannot be found.
func (r *reader) row() (more bool, err error) {
	cells, err := r.csv.Read()
	if err == io.EOF {
		return false, nil
	}
	if err != nil && !errors.Is(err, csv.ErrFieldCount) {
		return false, r.damaged(err)
	}
	line, _ := r.csv.FieldPos(0)
	if err != nil {
		return true, &RowError{File: r.file.Name, Line: line, Reason: fmt.Sprintf("%d cells, but the header has %d", len(cells), len(r.header))}
	}
	row := row{reader: r, cells: cells, line: line}
	for _, at := range r.at {
		for _, i := range at {
			if !utf8.ValidString(cells[i]) {
				return true, row.bad(i, "not UTF-8")
			}
		}
	}
	id := strings.TrimSpace(cells[r.at[ID][0]])
	if id == "" {
		return true, row.bad(r.at[ID][0], "empty id")
	}
	if before, twice := r.lines[id]; twice {
		return true, row.bad(r.at[ID][0], fmt.Sprintf("the id of line %d again", before))
	}
	r.lines[id] = line
	r.file.IDs = append(r.file.IDs, id)
	r.file.Records = append(r.file.Records, row.record())
	return true, nil
}

func (r *reader) damaged(err error) error {
	var p *csv.ParseError
	if errors.As(err, &p) {
		return &RowError{File: r.file.Name, Line: p.Line, Column: fmt.Sprint(p.Column), Reason: p.Err.Error()}
	}
	return fmt.Errorf("%s: %w", r.file.Name, err)
}

type row struct {
	*reader
	cells []string
	line  int
}

func (r *row) bad(column int, reason string) error {
	return &RowError{File: r.file.Name, Line: r.line, Column: r.header[column], Reason: reason}
}

// get is a field's cells, trimmed and joined; what systems write for nothing
// is nothing.
func (r *row) get(field string) string {
	out := ""
	for _, i := range r.at[field] {
		if c := strings.TrimSpace(r.cells[i]); !nothing(c) {
			out += " " + c
		}
	}
	return strings.TrimPrefix(out, " ")
}

func nothing(s string) bool {
	switch strings.ToLower(s) {
	case "", "-", "null", "nan", "n/a", "<na>", "none", "unknown", "不详", "未知", "无":
		return true
	}
	return false
}
