// Package layout is the byte form of every row of the disk engine: keys that
// sort as the engine wants to read them, and compact row values. It does no
// I/O. All integers in keys are big-endian, so that bytes sort as numbers.
//
//	M <name>                                      store-wide facts: format, horizon
//	N <name>           -> id                      interned names, ids from 1
//	n <id4>            -> name
//	I <type4> <id>     -> rid8                    resource id to row id
//	F <rid8>           -> Row                     newest version: header and facts
//	G <rid8> <^ver8>   -> Row                     older versions, newest first
//	B <rid8> <^ver8>   -> body                    content of a version, written once
//	L <t8>             -> Commit                  the change log: one row a commit
//	H <type4> <t8>     -> Commit                  the same, only the versions of one type
//	X <list4> <value> <ord6> <rid8> -> from class current postings
//	Y <list4> <to8> <value> <ord6> <rid8> -> from class superseded postings: the undo rows
//	S <name> 0 <key>   -> value                   spaces
//	J <seq8>           -> Entry                   journal of the spaces' writes, while an archive follows (keyspace)
package layout

import (
	"encoding/binary"
	"math"
	"time"

	"hutong/fhir"
)

// RID is the engine's number of a resource: the hash of its patient
// compartment in the high 24 bits, so that a patient's rows lie together, and
// a sequence that makes it unique in the low 40.
type RID uint64

// MaxSeq is the number of resources that a store can ever hold.
const MaxSeq = 1<<40 - 1

// NewRID makes the RID of the seq-th resource; compartment is "" if none.
func NewRID(compartment string, seq uint64) RID {
	h := uint32(2166136261) // FNV-1a: even spread is all that is asked of it
	for i := 0; i < len(compartment); i++ {
		h = (h ^ uint32(compartment[i])) * 16777619
	}
	return RID(uint64(h>>8^h&0xff)<<40 | seq&MaxSeq)
}

// Ord orders postings: the moment in milliseconds, inverted into 48 bits, so
// that the newest come first.
type Ord uint64

const ordBias = 1 << 47

// OrdOf gives the order of a moment.
func OrdOf(at time.Time) Ord {
	ms := max(-ordBias, min(ordBias-1, at.UnixMilli()))
	return Ord(ordBias - 1 - ms)
}

// Place is where a resource stands in every posting list of one version of it.
type Place struct {
	Ord Ord
	RID RID
}

// PlaceLen is the length of a place at the end of a posting's key.
const PlaceLen = 14

// Compare orders places: newest first, then by rid.
func (p Place) Compare(q Place) int {
	switch {
	case p.Ord < q.Ord || p.Ord == q.Ord && p.RID < q.RID:
		return -1
	case p == q:
		return 0
	}
	return 1
}

// AppendPlace appends the 14 bytes of a place.
func AppendPlace(b []byte, p Place) []byte {
	b = append(b, byte(p.Ord>>40), byte(p.Ord>>32), byte(p.Ord>>24), byte(p.Ord>>16), byte(p.Ord>>8), byte(p.Ord))
	return binary.BigEndian.AppendUint64(b, uint64(p.RID))
}

// PlaceOf reads the place at the end of a posting's key.
func PlaceOf(key []byte) Place {
	k := key[len(key)-PlaceLen:]
	return Place{
		Ord: Ord(uint64(binary.BigEndian.Uint16(k))<<32 | uint64(binary.BigEndian.Uint32(k[2:]))),
		RID: RID(binary.BigEndian.Uint64(k[6:])),
	}
}

// The key builders below append to b[:0], so that one buffer serves many.

// FormatKey is the row that holds the format version.
func FormatKey() []byte { return []byte("Mformat") }

// HorizonKey is the row that holds the oldest T that can be read. There is none
// while all history is kept.
func HorizonKey() []byte { return []byte("Mhorizon") }

// NameKey is the row of an interned name.
func NameKey(b []byte, name string) []byte { return append(append(b[:0], 'N'), name...) }

// NameIDKey is the row that gives a name back.
func NameIDKey(b []byte, id uint32) []byte {
	return binary.BigEndian.AppendUint32(append(b[:0], 'n'), id)
}

// IDKey is the row that maps type and id to a RID.
func IDKey(b []byte, typ uint32, id string) []byte {
	return append(binary.BigEndian.AppendUint32(append(b[:0], 'I'), typ), id...)
}

// RowKey is the newest version's row.
func RowKey(b []byte, r RID) []byte {
	return binary.BigEndian.AppendUint64(append(b[:0], 'F'), uint64(r))
}

// OldRowKey is an older version's row.
func OldRowKey(b []byte, r RID, ver uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(append(b[:0], 'G'), uint64(r)), ^ver)
}

// BodyKey is the content of a version.
func BodyKey(b []byte, r RID, ver uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(append(b[:0], 'B'), uint64(r)), ^ver)
}

// LogKey is a commit's row in the change log.
func LogKey(b []byte, t fhir.T) []byte {
	return binary.BigEndian.AppendUint64(append(b[:0], 'L'), uint64(t))
}

// TypeLogKey is a commit's row in one type's log.
func TypeLogKey(b []byte, typ uint32, t fhir.T) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(append(b[:0], 'H'), typ), uint64(t))
}

// LogTime reads the commit time at the end of a log key.
func LogTime(key []byte) fhir.T { return fhir.T(binary.BigEndian.Uint64(key[len(key)-8:])) }

// PostingKey is a current posting; listValue is the list's four bytes and the
// value, as Postings hold them.
func PostingKey(b []byte, listValue []byte, p Place) []byte {
	return AppendPlace(append(append(b[:0], 'X'), listValue...), p)
}

// UndoKey is a posting that the commit at to superseded.
func UndoKey(b []byte, listValue []byte, p Place, to fhir.T) []byte {
	b = append(append(b[:0], 'Y'), listValue[:4]...)
	b = binary.BigEndian.AppendUint64(b, uint64(to))
	return AppendPlace(append(b, listValue[4:]...), p)
}

// PostingHead is the length of 'X' and the list in a posting's key, UndoHead
// that of 'Y', the list and the time.
const (
	PostingHead = 5
	UndoHead    = 13
)

// SpacePrefix starts the keys of a space.
func SpacePrefix(name string) []byte { return append(append([]byte{'S'}, name...), 0) }

// After is the first key behind every key that starts with prefix; nil if
// there is none.
func After(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			out := append(make([]byte, 0, i+1), prefix[:i+1]...)
			out[i]++
			return out
		}
	}
	return nil
}

// Strings in keys end with 0 1 (whole) or 0 2 (cut); a zero byte inside is 0 255.

// AppendString appends s, escaped and ended, so that strings sort as they are
// and none is the start of another.
func AppendString(b []byte, s string) []byte { return append(AppendOpen(b, s), 0, 1) }

// AppendOpen appends s escaped without its end: the prefix of all strings that
// start so.
func AppendOpen(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if b = append(b, s[i]); s[i] == 0 {
			b = append(b, 0xff)
		}
	}
	return b
}

// CutString reads a string that AppendString or AppendCut wrote, and tells
// whether it was cut. ok is false if b holds none.
func CutString(b []byte) (s string, cut bool, rest []byte, ok bool) {
	out := make([]byte, 0, len(b))
	for i := 0; i+1 < len(b); i++ {
		if b[i] != 0 {
			out = append(out, b[i])
			continue
		}
		switch b[i+1] {
		case 0xff:
			out = append(out, 0)
			i++
		case 1, 2:
			return string(out), b[i+1] == 2, b[i+2:], true
		default:
			return "", false, nil, false
		}
	}
	return "", false, nil, false
}

// MaxString is where long strings are cut in keys.
const MaxString = 160

// AppendCut appends s like AppendString, cut to MaxString bytes if longer:
// whoever finds a cut string compares the resource itself.
func AppendCut(b []byte, s string) []byte {
	if len(s) <= MaxString {
		return AppendString(b, s)
	}
	return append(AppendOpen(b, s[:MaxString]), 0, 2)
}

// AppendInt appends an integer so that bytes sort as numbers.
func AppendInt(b []byte, v int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(v)^1<<63) }

// IntOf reads AppendInt.
func IntOf(b []byte) int64 { return int64(binary.BigEndian.Uint64(b) ^ 1<<63) }

// AppendFloat appends a number so that bytes sort as numbers; -0 equals 0.
func AppendFloat(b []byte, f float64) []byte {
	if f == 0 {
		f = 0
	}
	u := math.Float64bits(f)
	if u>>63 != 0 {
		u = ^u
	} else {
		u |= 1 << 63
	}
	return binary.BigEndian.AppendUint64(b, u)
}

// FloatOf reads AppendFloat.
func FloatOf(b []byte) float64 {
	u := binary.BigEndian.Uint64(b)
	if u>>63 != 0 {
		return math.Float64frombits(u &^ (1 << 63))
	}
	return math.Float64frombits(^u)
}
