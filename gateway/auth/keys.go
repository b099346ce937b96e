package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v3"
)

// signingKey signs access tokens.
type signingKey struct {
	ID      string
	Created time.Time
	DER     []byte // PKCS #8
	private *ecdsa.PrivateKey
}

// keyring holds the signing keys: the newest signs, all verify.
type keyring struct {
	space records
	mu    sync.RWMutex
	byID  map[string]*signingKey
	order []*signingKey // oldest first
	read  time.Time     // when the space was last read
}

func openKeyring(ctx context.Context, space records) (*keyring, error) {
	k := &keyring{space: space}
	if err := k.load(ctx); err != nil {
		return nil, err
	}
	if len(k.order) > 0 {
		return k, nil
	}
	return k, k.rotate(ctx)
}

func (k *keyring) load(ctx context.Context) error {
	rows, err := k.space.space.Scan(ctx, []byte(kindKey), upper(kindKey), 0)
	if err != nil {
		return err
	}
	byID, order := map[string]*signingKey{}, []*signingKey{}
	for _, kv := range rows {
		key, err := decodeKey(kv.Value)
		if err != nil {
			return err
		}
		byID[key.ID], order = key, append(order, key)
	}
	slices.SortFunc(order, func(a, b *signingKey) int {
		return 2*a.Created.Compare(b.Created) + strings.Compare(a.ID, b.ID)
	})
	k.mu.Lock()
	defer k.mu.Unlock()
	k.byID, k.order, k.read = byID, order, k.space.now()
	return nil
}

func decodeKey(value []byte) (*signingKey, error) {
	if len(value) < 8 {
		return nil, errors.New("auth: a signing key is damaged")
	}
	key := &signingKey{}
	if err := json.Unmarshal(value[8:], key); err != nil {
		return nil, fmt.Errorf("auth: signing key: %w", err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(key.DER)
	if err != nil {
		return nil, fmt.Errorf("auth: signing key %s: %w", key.ID, err)
	}
	ec, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("auth: signing key %s is not of an elliptic curve", key.ID)
	}
	key.private = ec
	return key, nil
}

// rotate makes a new signing key. Tokens of the older ones stay valid.
func (k *keyring) rotate(ctx context.Context) error {
	private, der, err := newKey()
	if err != nil {
		return err
	}
	key := signingKey{ID: thumbprint(&private.PublicKey), Created: k.space.now().UTC(), DER: der}
	if err := k.space.add(ctx, kindKey+key.ID, key, time.Time{}); err != nil {
		return err
	}
	return k.load(ctx)
}

func (k *keyring) signer() *signingKey {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.order[len(k.order)-1]
}

// verifier gives the public key of that id. A key that another node has made
// since is found by reading the space again, at most once a second.
func (k *keyring) verifier(ctx context.Context, id string) (*ecdsa.PublicKey, error) {
	if key := k.find(id); key != nil {
		return &key.private.PublicKey, nil
	}
	k.mu.RLock()
	stale := k.space.now().Sub(k.read) >= time.Second
	k.mu.RUnlock()
	if stale {
		if err := k.load(ctx); err != nil {
			return nil, err
		}
	}
	if key := k.find(id); key != nil {
		return &key.private.PublicKey, nil
	}
	return nil, errors.New("auth: unknown key id")
}

func (k *keyring) find(id string) *signingKey {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.byID[id]
}

// public is the key set that /oauth2/jwks serves.
func (k *keyring) public() jose.JSONWebKeySet {
	k.mu.RLock()
	defer k.mu.RUnlock()
	var set jose.JSONWebKeySet
	for _, key := range k.order {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: &key.private.PublicKey, KeyID: key.ID, Algorithm: "ES256", Use: "sig"})
	}
	return set
}

// RotateKeys makes a new key that signs from now on.
func (s *Server) RotateKeys(ctx context.Context) error { return s.keys.rotate(ctx) }

func newKey() (*ecdsa.PrivateKey, []byte, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("auth: make key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("auth: encode key: %w", err)
	}
	return private, der, nil
}

// GenerateClientKey makes an ES256 key pair for a system client: the private
// key as PEM (PKCS #8), to be kept by the hospital, and the public key as a
// JWK, to be registered by AddClient.
func GenerateClientKey() (privatePEM []byte, publicJWK json.RawMessage, err error) {
	private, der, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	publicJWK, err = PublicJWK(&private.PublicKey)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), publicJWK, err
}

// ParseClientKey reads the PEM that GenerateClientKey made, or any PKCS #8 key
// on P-256 or P-384, or RSA.
func ParseClientKey(privatePEM []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(privatePEM)
	if block == nil {
		return nil, errors.New("auth: no PEM block in the client key")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("auth: client key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("auth: the client key cannot sign")
	}
	if _, err := methodOf(signer.Public()); err != nil {
		return nil, err
	}
	return signer, nil
}

// PublicJWK encodes a public key for AddClient; its kid is the RFC 7638
// thumbprint.
func PublicJWK(public crypto.PublicKey) (json.RawMessage, error) {
	method, err := methodOf(public)
	if err != nil {
		return nil, err
	}
	return jose.JSONWebKey{Key: public, KeyID: thumbprint(public), Algorithm: method.Alg(), Use: "sig"}.MarshalJSON()
}

// parseJWK reads a registered public key. Private, symmetric and weak keys are
// refused.
func parseJWK(raw json.RawMessage) (jose.JSONWebKey, error) {
	var key jose.JSONWebKey
	if err := key.UnmarshalJSON(raw); err != nil {
		return key, fmt.Errorf("auth: JWK: %w", err)
	}
	if !key.IsPublic() || !key.Valid() {
		return key, errors.New("auth: a JWK to register must be a public key")
	}
	if r, ok := key.Key.(*rsa.PublicKey); ok && r.N.BitLen() < 2048 {
		return key, errors.New("auth: an RSA key needs 2048 bits")
	}
	if _, err := methodOf(key.Key); err != nil {
		return key, err
	}
	if key.KeyID == "" {
		key.KeyID = thumbprint(key.Key)
	}
	return key, nil
}
