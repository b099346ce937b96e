package auth

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"hutong/fhir"
	"hutong/fhir/store"
)

// The kinds of records in the space; each is the first part of a key.
const (
	kindClient  = "client/"  // client id -> Client
	kindUser    = "user/"    // login -> User
	kindFail    = "fail/"    // hash of a login, existing or not -> attempts
	kindTOTP    = "totp/"    // login -> last time step used
	kindSession = "session/" // hash of the cookie -> session
	kindCode    = "code/"    // signature -> grant
	kindPKCE    = "pkce/"    // signature -> grant
	kindRefresh = "refresh/" // signature -> grant
	kindFamily  = "family/"  // grant id -> signature of its one live refresh token
	kindRevoked = "revoked/" // grant id -> nothing: its access tokens are refused
	kindEpoch   = "epoch/"   // subject -> tokens issued before are refused
	kindJTI     = "jti/"     // hash of client and jti -> nothing: the assertion was used
	kindKey     = "key/"     // key id -> signing key
	kindSecret  = "secret/"  // name -> 32 bytes
)

// perishable are the kinds whose records expire.
var perishable = []string{kindFail, kindTOTP, kindSession, kindCode, kindPKCE, kindRefresh, kindFamily, kindRevoked, kindEpoch, kindJTI}

// errConflict tells of a lost race for a record.
var errConflict = fhir.E(fhir.Conflict)

// records reads and writes JSON records in a Space. A value is eight bytes of
// expiry (Unix seconds, big endian, 0 = never) and the JSON.
type records struct {
	space store.Space
	now   func() time.Time
}

// get reads a record into v (nil: only asks whether it exists). raw is the
// stored value, for a conditional write; nil if there is none or it expired.
func (r records) get(ctx context.Context, key string, v any) (raw []byte, err error) {
	raw, err = r.space.Get(ctx, []byte(key))
	if err != nil || !r.live(raw) {
		return nil, err
	}
	if v == nil {
		return raw, nil
	}
	if err := json.Unmarshal(raw[8:], v); err != nil {
		return nil, fmt.Errorf("auth record %s: %w", kindOf(key), err)
	}
	return raw, nil
}

func (r records) live(raw []byte) bool {
	if len(raw) < 8 {
		return false
	}
	expires := int64(binary.BigEndian.Uint64(raw))
	return expires == 0 || r.now().Unix() < expires
}

// value encodes a record; a zero expiry never expires.
func value(v any, expires time.Time) []byte {
	head := make([]byte, 8)
	if !expires.IsZero() {
		binary.BigEndian.PutUint64(head, uint64(expires.Unix()))
	}
	body, err := json.Marshal(v)
	if err != nil { // only our own plain structs come here
		body = []byte("null")
	}
	return append(head, body...)
}

// put writes a record whatever was there.
func (r records) put(ctx context.Context, key string, v any, expires time.Time) error {
	return r.apply(ctx, store.Write{Key: []byte(key), Value: value(v, expires)})
}

// add writes a record that must be new: errConflict if it exists.
func (r records) add(ctx context.Context, key string, v any, expires time.Time) error {
	return r.apply(ctx, store.Write{Key: []byte(key), Value: value(v, expires), If: store.IfAbsent})
}

func (r records) drop(ctx context.Context, keys ...string) error {
	writes := make([]store.Write, len(keys))
	for i, k := range keys {
		writes[i].Key = []byte(k)
	}
	return r.apply(ctx, writes...)
}

func (r records) apply(ctx context.Context, writes ...store.Write) error {
	if b, ok := ctx.Value(batchKey{}).(*batch); ok {
		b.add(writes)
		return nil
	}
	return r.space.Apply(ctx, writes)
}

// swap changes a record by f until no one else changed it meanwhile. f gets
// nil if there is no live record, and returns the new value.
func (r records) swap(ctx context.Context, key string, f func(raw []byte) ([]byte, error)) error {
	for {
		stored, err := r.space.Get(ctx, []byte(key))
		if err != nil {
			return err
		}
		live := stored
		if !r.live(stored) {
			live = nil
		}
		next, err := f(live)
		if err != nil {
			return err
		}
		w := store.Write{Key: []byte(key), Value: next, If: store.IfEquals, Old: stored}
		if stored == nil {
			w.If = store.IfAbsent
		}
		if err = r.space.Apply(ctx, []store.Write{w}); !errors.Is(err, errConflict) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// secret reads 32 random bytes, drawn when first asked for.
func (r records) secret(ctx context.Context, name string) ([]byte, error) {
	fresh := make([]byte, 32)
	_, _ = rand.Read(fresh) // never fails, see crypto/rand
	if err := r.add(ctx, kindSecret+name, fresh, time.Time{}); err != nil && !errors.Is(err, errConflict) {
		return nil, err
	}
	var b []byte
	if raw, err := r.get(ctx, kindSecret+name, &b); err != nil || raw == nil {
		return nil, errors.Join(errors.New("auth: no secret"), err)
	}
	return b, nil
}

// sweep deletes expired records, a thousand a write.
func (r records) sweep(ctx context.Context) error {
	for _, kind := range perishable {
		from, to := []byte(kind), upper(kind)
		for {
			rows, err := r.space.Scan(ctx, from, to, 1000)
			if err != nil || len(rows) == 0 {
				if err != nil {
					return err
				}
				break
			}
			if err := r.dropExpired(ctx, rows); err != nil {
				return err
			}
			from = append(bytes.Clone(rows[len(rows)-1].Key), 0)
		}
	}
	return nil
}

func (r records) dropExpired(ctx context.Context, rows []store.KV) error {
	var writes []store.Write
	for _, kv := range rows {
		if !r.live(kv.Value) {
			writes = append(writes, store.Write{Key: kv.Key, If: store.IfEquals, Old: kv.Value})
		}
	}
	if len(writes) == 0 {
		return nil
	}
	err := r.space.Apply(ctx, writes)
	if errors.Is(err, errConflict) { // somebody renewed one: the next sweep gets the rest
		return nil
	}
	return err
}

// upper is the end of the range of keys that start with prefix.
func upper(prefix string) []byte {
	b := []byte(prefix)
	b[len(b)-1]++
	return b
}

func kindOf(key string) string {
	kind, _, _ := bytes.Cut([]byte(key), []byte("/"))
	return string(kind)
}

// digest is a short fixed-length name of parts that may be long or secret.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// randomToken is 256 random bits as URL-safe text.
func randomToken() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return base64.RawURLEncoding.EncodeToString(b[:])
}

type batchKey struct{}

// batch gathers the writes of one of fosite's transactions.
type batch struct{ writes []store.Write }

// add appends writes. A second write of a key takes the place of the first
// but keeps its condition, which speaks of the state before the batch.
func (b *batch) add(writes []store.Write) {
next:
	for _, w := range writes {
		for i := range b.writes {
			if bytes.Equal(b.writes[i].Key, w.Key) {
				b.writes[i].Value = w.Value
				continue next
			}
		}
		b.writes = append(b.writes, w)
	}
}
