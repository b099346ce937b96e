// Package report keeps and reads what the index tells its stewards beside the
// persons: duplicates and overlays of each hospital, and how a shadow model
// would have judged. The index stages the writes in the change that they follow
// from; a Reader reads them. Nothing here is acted on, and nothing holds a value
// of a person: ids, rules and numbers only.
package report

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/mpi/link"
)

// The Space holds, beside what package mpi describes:
//
//	du/<organization>\0<person>  Duplicates
//	ov/<organization>\0<journal> Overlay
//	sm/<model>\0<patient>\0<patient> Shadow
const (
	duplicatesPrefix, overlayPrefix, shadowPrefix = "du/", "ov/", "sm/"
	sep                                           = "\x00"
)

// Duplicates are records of one hospital that are one person.
type Duplicates struct {
	Organization string    `json:"organization"`
	Person       string    `json:"person"` // its id
	Patients     []string  `json:"patients"`
	Since        time.Time `json:"since"` // the last change of this list
}

// Record is a member of a person as duplicates count it.
type Record struct {
	ID, Organization string
	Active           bool // a record that its hospital retired is no duplicate any more
}

// DuplicateWrites brings the report up to date for a person: before and after
// are its members. It reads nothing.
func DuplicateWrites(person string, before, after []Record, at time.Time) (out []store.Write) {
	was, now := byOrganization(before), byOrganization(after)
	for _, org := range slices.Concat(keys(was), keys(now)) {
		key := []byte(duplicatesPrefix + org + sep + person)
		live := now[org].active
		if slices.ContainsFunc(out, func(w store.Write) bool { return string(w.Key) == string(key) }) || len(was[org].all) < 2 && len(now[org].all) < 2 {
			continue
		}
		if len(live) < 2 {
			out = append(out, store.Write{Key: key})
			continue
		}
		out = append(out, put(key, Duplicates{Organization: org, Person: person, Patients: live, Since: at.UTC()}))
	}
	return out
}

type own struct{ all, active []string }

func byOrganization(rs []Record) map[string]own {
	out := map[string]own{}
	for _, r := range rs {
		o := out[r.Organization]
		o.all = append(o.all, r.ID)
		if r.Active {
			o.active = append(o.active, r.ID)
		}
		out[r.Organization] = o
	}
	return out
}

// Overlay is an update that made a record speak of another human: one patient's
// data was written over another's.
type Overlay struct {
	ID           string        `json:"id"`
	Organization string        `json:"organization"`
	Patient      string        `json:"patient"`
	Version      uint64        `json:"version"` // that was written over
	By           uint64        `json:"by"`      // the version that wrote
	At           time.Time     `json:"at"`
	Before       string        `json:"before"` // the person before; may be the same
	After        string        `json:"after"`
	Reasons      []link.Reason `json:"reasons"`
}

// OverlayWrite puts an overlay into the report.
func OverlayWrite(o Overlay) store.Write {
	return put([]byte(overlayPrefix+o.Organization+sep+o.ID), o)
}

// Shadow is a pair as the model in force and a shadow model judge it.
type Shadow struct {
	Model       string    `json:"model"` // of the shadow
	A           string    `json:"a"`
	B           string    `json:"b"`
	Live        string    `json:"live"` // link, review, none or never
	Shadow      string    `json:"shadow"`
	Probability float64   `json:"probability"` // of the model in force
	Other       float64   `json:"shadowProbability"`
	At          time.Time `json:"at"`
}

// ShadowWrite records a pair's two verdicts; a later one takes its place.
func ShadowWrite(s Shadow) store.Write {
	s.A, s.B = link.Order(s.A, s.B)
	return put([]byte(shadowPrefix+s.Model+sep+s.A+sep+s.B), s)
}

func put(key []byte, v any) store.Write {
	value, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("report: %T does not marshal", v))
	}
	return store.Write{Key: key, Value: value}
}

// Reader reads the reports. Safe for concurrent use.
type Reader struct{ Space store.Space }

// Duplicates lists an organisation's, or everybody's if organization is "", in
// order of organisation and person, from behind the cursor after ("" is the
// first); next is "" on the last page.
func (r Reader) Duplicates(ctx context.Context, organization, after string, limit int) (out []Duplicates, next string, err error) {
	return list[Duplicates](ctx, r.Space, duplicatesPrefix, organization, after, limit)
}

// Overlays lists an organisation's, or everybody's, the oldest first.
func (r Reader) Overlays(ctx context.Context, organization, after string, limit int) (out []Overlay, next string, err error) {
	return list[Overlay](ctx, r.Space, overlayPrefix, organization, after, limit)
}

// list pages through the values below prefix. The cursor is the key of the last
// value: ids, so it needs no secrecy.
func list[T any](ctx context.Context, s store.Space, prefix, organization, after string, limit int) (out []T, next string, err error) {
	from := prefix
	if organization != "" {
		from += organization + sep
	}
	end := from
	if after != "" {
		at, err := base64.RawURLEncoding.DecodeString(after)
		if err != nil || !strings.HasPrefix(string(at), from) {
			return nil, "", fhir.Errorf(fhir.Invalid, "not a page of this list").At("after")
		}
		from = string(at) + sep
	}
	kvs, err := s.Scan(ctx, []byte(from), behind(end), limit+1)
	if err != nil {
		return nil, "", err
	}
	if len(kvs) > limit {
		kvs = kvs[:limit]
		next = base64.RawURLEncoding.EncodeToString(kvs[limit-1].Key)
	}
	for _, kv := range kvs {
		var v T
		if err := json.Unmarshal(kv.Value, &v); err != nil {
			return nil, "", fmt.Errorf("report: stored value cannot be read: %w", err)
		}
		out = append(out, v)
	}
	return out, next, nil
}

// behind is the first key after all that begin with prefix, which is not empty
// and ends in no 0xff.
func behind(prefix string) []byte {
	end := []byte(prefix)
	end[len(end)-1]++
	return end
}

// Count is a hospital's line of the summary.
type Count struct {
	Organization string `json:"organization"`
	Duplicates   int    `json:"duplicates"` // persons of whom it has several records
	Records      int    `json:"records"`    // of these persons
	Overlays     int    `json:"overlays"`
}

// counted is how many entries of each kind a summary reads at most; the rest is
// left uncounted.
const counted = 1_000_000

// Summary counts by organisation, in order of their ids.
func (r Reader) Summary(ctx context.Context) ([]Count, error) {
	by := map[string]*Count{}
	of := func(org string) *Count {
		if by[org] == nil {
			by[org] = &Count{Organization: org}
		}
		return by[org]
	}
	for after, read := "", 0; read < counted; {
		page, next, err := r.Duplicates(ctx, "", after, 10_000)
		if err != nil {
			return nil, err
		}
		for _, d := range page {
			c := of(d.Organization)
			c.Duplicates++
			c.Records += len(d.Patients)
		}
		read += len(page)
		if after = next; next == "" {
			break
		}
	}
	for after, read := "", 0; read < counted; {
		page, next, err := r.Overlays(ctx, "", after, 10_000)
		if err != nil {
			return nil, err
		}
		for _, o := range page {
			of(o.Organization).Overlays++
		}
		read += len(page)
		if after = next; next == "" {
			break
		}
	}
	var out []Count
	for _, org := range slices.Sorted(maps.Keys(by)) {
		out = append(out, *by[org])
	}
	return out, nil
}
