// Package page makes and reads page tokens: opaque to the client, kept by no
// server, and useless when changed or carried to another query or caller.
package page

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"hutong/fhir"
	"hutong/fhir/interact/outcome"
)

// Token says where a page continues.
type Token struct {
	T     fhir.T // the snapshot of the first page
	After []byte // the engine's cursor
}

const (
	version    = 1
	scopeBytes = 8
	macBytes   = 16
)

// Sign writes the token as base64url: version, T, hash of the scope, cursor,
// and an HMAC-SHA256 over all (cut to 128 bits, RFC 2104 section 5). scope is
// the query and on whose behalf it runs.
func Sign(key []byte, scope string, t Token) string {
	b := make([]byte, 0, 1+8+scopeBytes+len(t.After)+macBytes)
	b = append(b, version)
	b = binary.BigEndian.AppendUint64(b, uint64(t.T))
	b = append(b, digest(scope)...)
	b = append(b, t.After...)
	return base64.RawURLEncoding.EncodeToString(append(b, mac(key, b)...))
}

// Open reads a token that Sign made with the same key and scope; Invalid for
// anything else.
func Open(key []byte, scope, token string) (Token, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) < 1+8+scopeBytes+macBytes || b[0] != version {
		return Token{}, bad()
	}
	body, sum := b[:len(b)-macBytes], b[len(b)-macBytes:]
	if !hmac.Equal(sum, mac(key, body)) || !hmac.Equal(body[9:9+scopeBytes], digest(scope)) {
		return Token{}, bad()
	}
	return Token{T: fhir.T(binary.BigEndian.Uint64(body[1:])), After: body[9+scopeBytes:]}, nil
}

func mac(key, b []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(b)
	return h.Sum(nil)[:macBytes]
}

func digest(scope string) []byte {
	h := sha256.Sum256([]byte(scope))
	return h[:scopeBytes]
}

func bad() error {
	e := fhir.Errorf(fhir.Invalid, "_page is not a token of this query").At("_page")
	e.Issues[0].MessageID = outcome.BadPageToken
	return e
}
