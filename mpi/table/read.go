package table

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"hutong/mpi/intern"
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
	Name   string
	Dates  int // birth dates that were not readable, and so not used
	DateAt int // line of the first of them
	Blank  int // rows of empty cells, which say nothing and were passed over

	ids   *intern.Pool // trimmed; the number of row i's is i+1
	lines []uint32     // of each row
}

// Len is how many rows were read.
func (f *File) Len() int { return len(f.lines) }

// ID is the id of row i, from 0: trimmed, and no other row's.
func (f *File) ID(i int) string { return f.ids.Get(uint32(i) + 1) }

// Has reports whether a row has the id.
func (f *File) Has(id string) bool { return f.ids.Has(id) }

// Read reads a CSV file (RFC 4180, comma, UTF-8 with or without a byte order
// mark, first row the header) row by row. ready makes of each good row's record
// what is wanted of it, several at a time; take gets it, one at a time in the
// order of the rows. progress, if not nil, is told the count of rows now and
// then. The error joins a RowError for each bad row, 20 at most, or is the
// context's.
func Read[T any](ctx context.Context, name string, src io.Reader, m *Mapping, now time.Time, ready func(*normal.Record) T, take func(T), progress func(rows int)) (*File, error) {
	r := &reader{name: name, now: now}
	if err := r.open(src, m); err != nil {
		return nil, err
	}
	inner, stop := context.WithCancel(ctx)
	p := &pipe[T]{reader: r, work: make(chan *chunk[T], ahead), order: make(chan *chunk[T], ahead), ready: ready}
	var g errgroup.Group
	g.Go(func() error { p.read(inner); return nil })
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error { p.normalise(); return nil })
	}
	file, err := p.collect(ctx, take, progress)
	stop()
	for range p.order { // what was under way when reading stopped
	}
	_ = g.Wait() // none of them fails
	if file != nil {
		file.Blank = p.blank
	}
	return file, err
}

// Sizes of the pipe: rows that are normalised together, and how many such
// chunks may wait.
const (
	chunkRows = 1024
	ahead     = 8
)

// pipe reads rows in one goroutine, normalises them in several and hands them
// on in order.
type pipe[T any] struct {
	*reader
	ready       func(*normal.Record) T
	work, order chan *chunk[T]
	blank       int // the reading goroutine's, until it ends
}

// chunk is rows that follow each other.
type chunk[T any] struct {
	cells [][]string
	lines []int
	last  error // that ended the file, after these rows
	rows  []outcome[T]
	done  chan struct{}
}

// outcome is what became of a row.
type outcome[T any] struct {
	id      string
	value   T
	badDate bool
	err     error
}

// read fills chunks until the file ends, is damaged, or ctx is done.
func (p *pipe[T]) read(ctx context.Context) {
	defer close(p.order)
	defer close(p.work)
	for ctx.Err() == nil {
		c := &chunk[T]{done: make(chan struct{})}
		more := true
		for more && len(c.cells) < chunkRows {
			cells, err := p.csv.Read()
			if err != nil && !errors.Is(err, csv.ErrFieldCount) {
				if more = false; err != io.EOF {
					c.last = p.damaged(err)
				}
				break
			}
			if blank(cells) {
				p.blank++
				continue
			}
			line, _ := p.csv.FieldPos(0)
			c.cells, c.lines = append(c.cells, cells), append(c.lines, line)
		}
		p.work <- c
		p.order <- c
		if !more {
			return
		}
	}
}

func (p *pipe[T]) normalise() {
	known := names{}
	for c := range p.work {
		c.rows = make([]outcome[T], len(c.cells))
		for i := range c.cells {
			c.rows[i] = p.row(c.cells[i], c.lines[i], known)
		}
		c.cells = nil
		close(c.done)
	}
}

func (p *pipe[T]) row(cells []string, line int, known names) (o outcome[T]) {
	r := row{reader: p.reader, cells: cells, line: line, names: known}
	if o.id, o.err = r.check(); o.err != nil {
		return o
	}
	o.value, o.badDate = p.ready(r.record()), r.badDate
	return o
}

// collect takes the rows in order.
func (p *pipe[T]) collect(ctx context.Context, take func(T), progress func(rows int)) (*File, error) {
	f := &File{Name: p.name, ids: intern.New()}
	var bad []error
	for c := range p.order {
		<-c.done
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		for i := range c.rows {
			o := &c.rows[i]
			if o.err == nil {
				if n := int(f.ids.Put(o.id)); n <= f.Len() {
					o.err = &RowError{p.name, c.lines[i], p.header[p.at[ID][0]], fmt.Sprintf("the id of line %d again", f.lines[n-1])}
				}
			}
			if o.err != nil {
				if bad = append(bad, o.err); len(bad) == maxErrors {
					return f, errors.Join(bad...)
				}
				continue
			}
			f.lines = append(f.lines, uint32(c.lines[i]))
			f.date(o.badDate, c.lines[i])
			take(o.value)
		}
		if c.last != nil {
			bad = append(bad, c.last)
		}
		if progress != nil {
			progress(f.Len())
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return f, errors.Join(bad...)
}

// date counts a birth date that was not readable.
func (f *File) date(bad bool, line int) {
	if !bad {
		return
	}
	if f.Dates++; f.Dates == 1 {
		f.DateAt = line
	}
}

// reader knows the file's header.
type reader struct {
	name   string
	csv    *csv.Reader
	header []string
	at     map[string][]int
	now    time.Time
}

func (r *reader) open(src io.Reader, m *Mapping) error {
	in := bufio.NewReaderSize(src, 1<<16)
	if mark, _ := in.Peek(3); bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = in.Discard(3)
	}
	r.csv = csv.NewReader(in)
	r.csv.TrimLeadingSpace = true
	cells, err := r.csv.Read()
	if err == io.EOF {
		return &RowError{File: r.name, Line: 1, Reason: "the file is empty; a header is needed"}
	}
	if err != nil {
		return r.damaged(err)
	}
	for _, c := range cells {
		r.header = append(r.header, strings.TrimSpace(c))
	}
	if reason := foreign(r.header); reason != "" {
		return &RowError{File: r.name, Line: 1, Reason: reason}
	}
	if r.at, err = m.place(r.header); err != nil {
		return fmt.Errorf("%s:1: %w", r.name, err)
	}
	return nil
}

// foreign says what makes a header that of another kind of file, if it is one:
// with line ends of CR alone the whole file would be taken for it and told.
func foreign(header []string) string {
	all := strings.Join(header, ",")
	switch {
	case !utf8.ValidString(all) || strings.ContainsRune(all, 0):
		return "the header is not UTF-8"
	case strings.ContainsRune(all, '\r'):
		return "the lines end in CR alone; LF or CRLF is needed"
	case len(header) == 1 && strings.ContainsAny(all, ";\t|"):
		return "the header is one cell: cells are separated by commas, not by semicolons, tabs or bars"
	}
	return ""
}

func (r *reader) damaged(err error) error {
	var p *csv.ParseError
	if errors.As(err, &p) {
		return &RowError{File: r.name, Line: p.Line, Column: fmt.Sprint(p.Column), Reason: p.Err.Error()}
	}
	return fmt.Errorf("%s: %w", r.name, err)
}

type row struct {
	*reader
	cells   []string
	line    int
	names   names
	badDate bool
}

// check says whether the row can be used, and gives its id.
func (r *row) check() (id string, err error) {
	if len(r.cells) != len(r.header) {
		return "", &RowError{File: r.name, Line: r.line, Reason: fmt.Sprintf("%d cells, but the header has %d", len(r.cells), len(r.header))}
	}
	for _, at := range r.at {
		for _, i := range at {
			if !utf8.ValidString(r.cells[i]) {
				return "", r.bad(i, "not UTF-8")
			}
		}
	}
	if id = strings.TrimSpace(r.cells[r.at[ID][0]]); id == "" {
		return "", r.bad(r.at[ID][0], "empty id")
	}
	return id, nil
}

func (r *row) bad(column int, reason string) error {
	return &RowError{File: r.name, Line: r.line, Column: r.header[column], Reason: reason}
}

// get is a field's cells, trimmed and joined; what systems write for nothing
// is nothing.
func (r *row) get(field string) string {
	out := ""
	for _, i := range r.at[field] {
		if c := cell(r.cells[i]); !nothing(c) {
			out += " " + c
		}
	}
	return strings.TrimPrefix(out, " ")
}

// cell is what a cell says: trimmed, and a whole number without the .0 that
// tools append to all of a column's numbers when some are missing.
func cell(s string) string {
	s = strings.TrimSpace(s)
	if whole, ok := strings.CutSuffix(s, ".0"); ok && whole != "" && strings.Trim(whole, "0123456789") == "" {
		return whole
	}
	return s
}

func blank(cells []string) bool {
	return !slices.ContainsFunc(cells, func(c string) bool { return strings.TrimSpace(c) != "" })
}

func nothing(s string) bool {
	switch strings.ToLower(s) {
	case "", "-", "null", "nan", "n/a", "<na>", "none", "unknown", "不详", "未知", "无":
		return true
	}
	return false
}
