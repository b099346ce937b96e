// Package layout holds the documents of the resources' collections. It does no
// I/O.
package layout

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.mongodb.org/mongo-driver/v2/bson"

	"hutong/fhir"
	"hutong/fhir/store/mongo/page"
	"hutong/fhir/store/mongo/terms"
)

// OpenEnd is the end of a version that nothing has superseded.
const OpenEnd = math.MaxInt64

// head is what every document about a version carries.
type Head struct {
	Type   string `bson:"type"`    // "" for what is deleted, so that no search finds it
	Home   string `bson:"patient"` // the shard key: Patient/id, or the resource's own key
	T      int64  `bson:"t"`       // the commit; 0 while it is staged
	Number int64  `bson:"n"`       // versionId
	At     int64  `bson:"at"`      // lastUpdated, milliseconds
	Ord    int64  `bson:"ord"`     // page.Ord
	Method int32  `bson:"m"`
	Facts  Facts  `bson:"f"`
}

// Version is one version. Its _id is the transaction's token and the place
// in it, so that a transaction that its node left half-written is in nobody's
// way.
type Version struct {
	ID     string `bson:"_id"`
	Key    string `bson:"k"`
	Head   `bson:",inline"`
	Place  int32  `bson:"i"`  // in the commit
	To     int64  `bson:"to"` // the commit that superseded it
	Staged int64  `bson:"s"`  // when it was staged, milliseconds: for the sweeper
	Body   []byte `bson:"b,omitempty"`
}

// Current is the newest version of a resource, with what searches ask for.
type Current struct {
	ID          string `bson:"_id"` // Type/id
	Head        `bson:",inline"`
	Version     string   `bson:"v"`  // _id of its Version
	VersionHome string   `bson:"vh"` // and the shard key of that
	Patients    []string `bson:"pt,omitempty"`
	Custodian   string   `bson:"cu,omitempty"`
	Tokens      []string `bson:"tok,omitempty"`
	Ranges      bson.D   `bson:"r,omitempty"`
	Body        []byte   `bson:"b,omitempty"`
}

// Record is a record of the log. It covers the commits T to T+Count-1.
type Record struct {
	ID      string   `bson:"_id"` // of the first T
	Owner   string   `bson:"g"`   // who inserted it: told apart by chance
	Count   int64    `bson:"c"`
	Ops     []Op     `bson:"ops,omitempty"`    // until Done
	Chunks  int32    `bson:"chunks,omitempty"` // that hold the ops instead
	Done    bool     `bson:"done"`             // its versions are visible
	Undo    bool     `bson:"undo"`             // it supersedes some version
	Aborted []string `bson:"aborted,omitempty"`
	Wall    int64    `bson:"wall"` // milliseconds, for people
}

// Op says what becomes of one version, so that any node can do it.
type Op struct {
	Key      string `bson:"k"`
	T        int64  `bson:"t"`
	Place    int32  `bson:"i"`
	Number   int64  `bson:"n"`
	At       int64  `bson:"at"`
	Ord      int64  `bson:"ord"`
	Method   int32  `bson:"m"`
	Version  string `bson:"v"` // _id of the staged version
	Home     string `bson:"h"` // shard key of that
	CurHome  string `bson:"ch"`
	Prev     string `bson:"pv,omitempty"` // _id of the version it supersedes
	PrevHome string `bson:"ph,omitempty"`
	Facts    *Facts `bson:"f,omitempty"` // of a deletion: those of what it deletes
	Last     bool   `bson:"last"`        // no later op of the record has the same key
}

// Chunk holds some of a record's ops.
type Chunk struct {
	ID     string `bson:"_id"`
	Owner  string `bson:"g"`
	Nth    int32  `bson:"j"`
	Staged int64  `bson:"s"`
	Ops    []Op   `bson:"ops"`
}

// Facts is fhir.Facts.
type Facts struct {
	Custodian  string      `bson:"o,omitempty"`
	Patients   []string    `bson:"p,omitempty"`
	Authors    []string    `bson:"a,omitempty"`
	Categories []codingDoc `bson:"g,omitempty"`
	Codes      []codingDoc `bson:"c,omitempty"`
	Labels     []codingDoc `bson:"l,omitempty"`
	Clinical   *int64      `bson:"d,omitempty"` // milliseconds
}

type codingDoc struct {
	System string `bson:"s"`
	Code   string `bson:"c"`
}

func FactsOf(f *fhir.Facts) Facts {
	d := Facts{Custodian: f.Custodian, Patients: KeyStrings(f.Patients), Authors: KeyStrings(f.Authors),
		Categories: codingDocs(f.Categories), Codes: codingDocs(f.Codes), Labels: codingDocs(f.Labels)}
	if !f.Clinical.IsZero() {
		ms := f.Clinical.UnixMilli()
		d.Clinical = &ms
	}
	return d
}

func (d *Facts) Facts() fhir.Facts {
	f := fhir.Facts{Custodian: d.Custodian, Patients: keysOf(d.Patients), Authors: keysOf(d.Authors),
		Categories: codingsOf(d.Categories), Codes: codingsOf(d.Codes), Labels: codingsOf(d.Labels)}
	if d.Clinical != nil {
		f.Clinical = time.UnixMilli(*d.Clinical).UTC()
	}
	return f
}

func KeyStrings(keys []fhir.Key) []string {
	var out []string
	for _, k := range keys {
		out = append(out, k.String())
	}
	return out
}

func keysOf(list []string) []fhir.Key {
	var out []fhir.Key
	for _, s := range list {
		if k, ok := fhir.ParseKey(s); ok {
			out = append(out, k)
		}
	}
	return out
}

func codingDocs(list []fhir.Coding) []codingDoc {
	var out []codingDoc
	for _, c := range list {
		out = append(out, codingDoc(c))
	}
	return out
}

func codingsOf(list []codingDoc) []fhir.Coding {
	var out []fhir.Coding
	for _, c := range list {
		out = append(out, fhir.Coding(c))
	}
	return out
}

// homeOf is the shard key of a new resource.
func HomeOf(k fhir.Key, f *fhir.Facts) string {
	if k.Type != "Patient" && len(f.Patients) > 0 {
		return f.Patients[0].String()
	}
	return k.String()
}

// knownHome is the shard key of a resource as far as its key tells it.
func KnownHome(k fhir.Key) string {
	if k.Type == "Patient" {
		return k.String()
	}
	return ""
}

// VersionOf gives the document's version; k is its key.
func (h *Head) VersionOf(k fhir.Key) fhir.Version {
	return fhir.Version{Key: k, VersionID: uint64(h.Number), T: fhir.T(h.T),
		LastUpdated: time.UnixMilli(h.At).UTC(), Method: fhir.Method(h.Method)}
}

// currentOf makes the current document of a version that a commit made.
func CurrentOf(op *Op, facts Facts, body []byte, ix *terms.Index) Current {
	k, _ := fhir.ParseKey(op.Key)
	d := Current{ID: op.Key, Version: op.Version, VersionHome: op.Home, Head: Head{
		Type: string(k.Type), Home: op.CurHome, T: op.T, Number: op.Number, At: op.At, Ord: op.Ord, Method: op.Method, Facts: facts,
	}}
	if fhir.Method(op.Method) == fhir.Deleted {
		d.Type = ""
		return d
	}
	d.Patients, d.Custodian = facts.Patients, facts.Custodian
	d.Tokens, d.Ranges, d.Body = ix.Tokens, ix.BSON(), body
	return d
}

// recordID is the _id of the record that begins with commit t: strings of one
// length sort as their numbers do.
func RecordID(t int64) string { return fmt.Sprintf("%016x", t) }

func RecordT(id string) (int64, error) {
	b, err := hex.DecodeString(id)
	if err != nil || len(b) != 8 {
		return 0, errors.New("a commit record with a strange _id")
	}
	return int64(binary.BigEndian.Uint64(b)), nil
}

func OrdOf(f *fhir.Facts, at time.Time) int64 { return int64(page.OrdOf(f.Clinical, at)) }

// Codec compresses bodies. Both directions are safe for concurrent use.
type Codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

// maxBody bounds what a damaged or hostile body can decompress to.
const maxBody = 256 << 20

func NewCodec() (*Codec, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(256<<10))
	if err != nil {
		return nil, err
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxBody), zstd.WithDecoderConcurrency(0))
	return &Codec{enc, dec}, err
}

func (c *Codec) Close() { c.dec.Close() }

// Pack gives the stored form: the offset of meta, then the JSON, compressed.
func (c *Codec) Pack(b fhir.Body) []byte {
	raw := append(binary.AppendUvarint(make([]byte, 0, len(b.Raw)+4), uint64(b.MetaAt)), b.Raw...)
	return c.enc.EncodeAll(raw, make([]byte, 0, len(raw)/2))
}

func (c *Codec) Unpack(b []byte) (fhir.Body, error) {
	raw, err := c.dec.DecodeAll(b, nil)
	if err != nil {
		return fhir.Body{}, fhir.Errorf(fhir.Internal, "storage: a body cannot be read: %w", err)
	}
	at, n := binary.Uvarint(raw)
	if n <= 0 || at >= uint64(len(raw)-n) {
		return fhir.Body{}, fhir.Errorf(fhir.Internal, "storage: a body cannot be read")
	}
	return fhir.Body{Raw: raw[n:], MetaAt: uint32(at)}, nil
}
