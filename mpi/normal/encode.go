package normal

import (
	"encoding/binary"
	"errors"
)

// ErrEncoding says that bytes are no encoded Record.
var ErrEncoding = errors.New("normal: not an encoded record")

// encodingVersion leads every encoded record; a reader of another version
// refuses it and the record is made anew from its Patient.
const encodingVersion = 1

// Append encodes r behind dst: a version byte, then counted, length-prefixed
// strings. Sounds are not kept: they follow from the names.
func (r *Record) Append(dst []byte) []byte {
	w := writer{append(dst, encodingVersion)}
	w.num(len(r.Names))
	for i := range r.Names {
		n := &r.Names[i]
		w.strs(n.Text, n.Family, n.Given, n.Use)
		w.flag(n.Temp)
	}
	w.num(r.Birth.Year, r.Birth.Month, r.Birth.Day, int(r.Sex), r.Order, len(r.IDs))
	for i := range r.IDs {
		id := &r.IDs[i]
		w.strs(id.System, id.Value, id.Why)
		w.num(int(id.Kind))
		w.flag(id.Valid, id.Ended)
	}
	w.num(len(r.Phones))
	w.strs(r.Phones...)
	w.num(len(r.Addresses))
	for _, a := range r.Addresses {
		w.strs(a.State, a.City, a.District, a.PostalCode, a.Line)
	}
	w.flag(r.Multiple, r.Deceased)
	return w.b
}

// DecodeRecord reads what Append wrote and gives the bytes behind it. The texts
// of the record share one copy of b, which they keep alive.
func DecodeRecord(b []byte) (*Record, []byte, error) {
	if len(b) == 0 || b[0] != encodingVersion {
		return nil, nil, ErrEncoding
	}
	d := reader{b: string(b[1:])}
	r := &Record{Names: make([]Name, d.count())}
	for i := range r.Names {
		r.Names[i] = Name{Text: d.str(), Family: d.str(), Given: d.str(), Use: d.str(), Temp: d.flag()}
		r.Names[i].sound()
	}
	r.Birth = Date{d.num(), d.num(), d.num()}
	r.Sex, r.Order = Sex(min(d.num(), int(OtherSex))), d.num()
	r.IDs = make([]Identifier, d.count())
	for i := range r.IDs {
		r.IDs[i] = Identifier{System: d.str(), Value: d.str(), Why: d.str(), Kind: Kind(min(d.num(), int(Visit))), Valid: d.flag(), Ended: d.flag()}
	}
	r.Phones = make([]string, d.count())
	for i := range r.Phones {
		r.Phones[i] = d.str()
	}
	r.Addresses = make([]Address, d.count())
	for i := range r.Addresses {
		r.Addresses[i] = Address{d.str(), d.str(), d.str(), d.str(), d.str()}
	}
	r.Multiple, r.Deceased = d.flag(), d.flag()
	if d.bad {
		return nil, nil, ErrEncoding
	}
	return r, b[len(b)-len(d.b):], nil
}

type writer struct{ b []byte }

func (w *writer) num(ns ...int) {
	for _, n := range ns {
		w.b = binary.AppendUvarint(w.b, uint64(n))
	}
}

func (w *writer) strs(ss ...string) {
	for _, s := range ss {
		w.b = append(binary.AppendUvarint(w.b, uint64(len(s))), s...)
	}
}

func (w *writer) flag(fs ...bool) {
	for _, f := range fs {
		n := 0
		if f {
			n = 1
		}
		w.num(n)
	}
}

type reader struct {
	b   string
	bad bool
}

func (d *reader) fail() int {
	d.bad, d.b = true, ""
	return 0
}

// num reads a number below 2^31, as binary.AppendUvarint writes it.
func (d *reader) num() int {
	n := 0
	for i := 0; i < len(d.b) && i < 5; i++ {
		n |= int(d.b[i]&0x7f) << (7 * i)
		if d.b[i] < 0x80 {
			d.b = d.b[i+1:]
			if n > 1<<31 {
				return d.fail()
			}
			return n
		}
	}
	return d.fail()
}

// count is a number of things that each take at least one byte.
func (d *reader) count() int {
	n := d.num()
	if n > len(d.b) {
		return d.fail()
	}
	return n
}

func (d *reader) str() string {
	n := d.count()
	s := d.b[:n]
	d.b = d.b[n:]
	return s
}

func (d *reader) flag() bool { return d.num() != 0 }
