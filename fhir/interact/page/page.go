// Package page makes and reads page tokens: opaque to the client, kept by no
// server, and useless when changed or carried to another query or caller.
package page

import (
	"crypto/aes"
	"crypto/cipher"
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
	After []byte // the engine's cursor: it holds the values that were sorted by

	// Total is what the first page counted, -1 if it told none, and View tells
	// under which criteria and restriction: under others it does not hold.
	Total int
	View  [ViewLen]byte
}

// ViewLen is the length of a digest of a view.
const ViewLen = 16

const (
	version    = 3
	headLen    = 8 + 8 + ViewLen // T, total, view
	nonceBytes = 12
	tagBytes   = 16
)

// Sign writes the token as base64url: version, nonce, and T, total, view and
// the cursor sealed by AES-256-GCM with the scope beside them. It is sealed because it
// goes into a URL, and a cursor may hold a name or a card number. scope is the
// query and on whose behalf it runs.
//
// The nonce is a MAC of what is sealed, so that one page has one token and no
// nonce serves two contents (as in RFC 5297).
func Sign(key []byte, scope string, t Token) string {
	plain := binary.BigEndian.AppendUint64(make([]byte, 0, headLen+len(t.After)), uint64(t.T))
	plain = append(binary.BigEndian.AppendUint64(plain, uint64(int64(t.Total))), t.View[:]...)
	plain = append(plain, t.After...)
	nonce := derive(key, "page nonce", scope, string(plain))[:nonceBytes]
	b := append([]byte{version}, nonce...)
	return base64.RawURLEncoding.EncodeToString(sealer(key).Seal(b, nonce, plain, []byte(scope)))
}

// Open reads a token that Sign made with the same key and scope; Invalid for
// anything else.
func Open(key []byte, scope, token string) (Token, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) < 1+nonceBytes+headLen+tagBytes || b[0] != version {
		return Token{}, bad()
	}
	nonce, sealed := b[1:1+nonceBytes], b[1+nonceBytes:]
	plain, err := sealer(key).Open(nil, nonce, sealed, []byte(scope))
	if err != nil {
		return Token{}, bad()
	}
	return Token{
		T: fhir.T(binary.BigEndian.Uint64(plain)), Total: int(int64(binary.BigEndian.Uint64(plain[8:]))),
		View: [ViewLen]byte(plain[16:]), After: plain[headLen:],
	}, nil
}

// sealer is AES-256-GCM under a key of its own.
func sealer(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(derive(key, "page key"))
	if err != nil {
		panic(err) // never: the key has 32 bytes
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // never: AES has blocks of 16 bytes
	}
	return aead
}

// derive gives 32 bytes for a purpose: the MAC of the parts, each with its
// length before it.
func derive(key []byte, parts ...string) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		h.Write([]byte(p))
	}
	return h.Sum(nil)
}

func bad() error {
	e := fhir.Errorf(fhir.Invalid, "_page is not a token of this query").At("_page")
	e.Issues[0].MessageID = outcome.BadPageToken
	return e
}
