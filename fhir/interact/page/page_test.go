package page_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"testing"

	"hutong/fhir"
	"hutong/fhir/interact/page"
)

var secret = bytes.Repeat([]byte{7}, 32)

func TestTokens(t *testing.T) {
	t.Parallel()
	in := page.Token{T: 1 << 40, After: []byte{0, 1, 2, 255}, Total: -1, View: [page.ViewLen]byte{1, 15: 2}}
	token := page.Sign(secret, "Patient?x=1", in)
	out, err := page.Open(secret, "Patient?x=1", token)
	if err != nil || out.T != in.T || out.Total != in.Total || out.View != in.View || !bytes.Equal(out.After, in.After) {
		t.Fatalf("%+v comes back as %+v: %v", in, out, err)
	}
	other := bytes.Repeat([]byte{8}, 32)
	for name, open := range map[string]func() error{
		"scope": func() error { _, err := page.Open(secret, "Patient?x=2", token); return err },
		"key":   func() error { _, err := page.Open(other, "Patient?x=1", token); return err },
		"empty": func() error { _, err := page.Open(secret, "Patient?x=1", ""); return err },
	} {
		if err := open(); !errors.Is(err, fhir.E(fhir.Invalid)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range token {
		b := []byte(token)
		b[i] ^= 1
		if _, err := page.Open(secret, "Patient?x=1", string(b)); err == nil {
			t.Errorf("changed at %d and taken", i)
		}
	}
}

// TestTokensHideTheCursor: a token stands in URLs, and what was sorted by may
// be a card number.
func TestTokensHideTheCursor(t *testing.T) {
	t.Parallel()
	cursor := []byte("500183447038574417")
	token := page.Sign(secret, "Patient?_sort=identifier", page.Token{T: 1, After: cursor})
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || bytes.Contains(raw, cursor[:6]) {
		t.Errorf("the token shows its cursor: %q %v", raw, err)
	}
	if again := page.Sign(secret, "Patient?_sort=identifier", page.Token{T: 1, After: cursor}); again != token {
		t.Error("one page has two tokens")
	}
	other := page.Sign(secret, "Patient?_sort=identifier", page.Token{T: 1, After: []byte("500183447038574418")})
	if other[:16] == token[:16] {
		t.Error("two contents share a nonce")
	}
}

// FuzzOpen: nothing but a signed token is taken.
func FuzzOpen(f *testing.F) {
	f.Add(page.Sign(secret, "s", page.Token{T: 1, After: []byte("x")}))
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		got, err := page.Open(secret, "s", token)
		if err == nil && page.Sign(secret, "s", got) != token {
			t.Fatalf("%q is taken and is not what would be signed", token)
		}
	})
}
