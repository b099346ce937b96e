package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"golang.org/x/crypto/argon2"
)

// argon2id parameters: the OWASP minimum of 2024 is 19 MiB and two passes. The
// memory is Limits.HashMemory; a hash carries the parameters it was made with,
// so that raising them leaves older accounts in.
const (
	argonPasses = 2
	argonLanes  = 1
	saltSize    = 16
	hashSize    = 32
)

// phc is the form of a hash: the PHC string format of argon2id.
const phc = "$argon2id$v=19$m=%d,t=%d,p=1$%s$%s"

func (s *Server) hash(password string) string {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails, see crypto/rand
	memory := s.cfg.Limits.HashMemory
	sum := s.argon(password, salt, argonPasses, memory)
	return fmt.Sprintf(phc, memory, argonPasses, base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(sum))
}

// argon takes one of the few hashing places, so that a burst of logins cannot
// exhaust the memory.
func (s *Server) argon(password string, salt []byte, passes, memory uint32) []byte {
	s.hashing <- struct{}{}
	defer func() { <-s.hashing }()
	return argon2.IDKey([]byte(password), salt, passes, memory, argonLanes, hashSize)
}

// decoyHash is a well-formed hash of nothing: verifying against it takes as
// long as against a real one.
func decoyHash(memory uint32) string {
	raw := make([]byte, saltSize+hashSize)
	_, _ = rand.Read(raw)
	b := base64.RawStdEncoding
	return fmt.Sprintf(phc, memory, argonPasses, b.EncodeToString(raw[:saltSize]), b.EncodeToString(raw[saltSize:]))
}

func (s *Server) verifyHash(hash, password string) bool {
	var memory, passes uint32
	parts := strings.Split(hash, "$")
	if len(parts) != 6 {
		return false
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=1", &memory, &passes); n != 2 || err != nil || passes == 0 {
		return false
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	want, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(want) != hashSize {
		return false
	}
	return subtle.ConstantTimeCompare(s.argon(password, salt, passes, memory), want) == 1
}

// checkPassword holds the rule of GB/T 22239 L3-CES1-01 for complexity.
func checkPassword(login, password string) error {
	var kinds [4]bool
	for _, r := range password {
		switch {
		case unicode.IsUpper(r):
			kinds[0] = true
		case unicode.IsLower(r):
			kinds[1] = true
		case unicode.IsDigit(r):
			kinds[2] = true
		default:
			kinds[3] = true
		}
	}
	n := 0
	for _, k := range kinds {
		if k {
			n++
		}
	}
	if len([]rune(password)) < 10 || len(password) > 256 || n < 3 {
		return errors.New("a password has 10 characters or more, of three kinds: upper, lower, digit, other")
	}
	if strings.Contains(strings.ToLower(password), strings.ToLower(login)) {
		return errors.New("a password must not contain the login")
	}
	return nil
}

// attempts counts failed logins, for existing and other logins alike.
type attempts struct {
	N     int
	Until time.Time // locked until then
}

// check verifies a login. It gives nil for every failure alike, whether the
// login is unknown, locked, disabled or the password wrong, and takes the same
// steps for each: count the attempt, hash once, read the account once.
func (s *Server) check(ctx context.Context, login, password, code string) (*account, error) {
	locked, err := s.countAttempt(ctx, login)
	if err != nil {
		return nil, err
	}
	a, err := s.account(ctx, login)
	if err != nil {
		return nil, err
	}
	hash := s.decoy
	if a != nil && a.Hash != "" {
		hash = a.Hash
	}
	right := s.verifyHash(hash, password)
	if !right || locked || !s.usable(a) {
		return nil, nil
	}
	if a.TOTP != "" && !s.checkCode(ctx, a, code) {
		return nil, nil
	}
	return a, s.succeeded(ctx, a)
}

// countAttempt takes one of the attempts that a login has, before the password
// is looked at, so that parallel guesses cannot exceed them. It reports
// whether the login is locked.
func (s *Server) countAttempt(ctx context.Context, login string) (locked bool, err error) {
	now, l := s.cfg.Now(), s.cfg.Limits
	err = s.space.swap(ctx, kindFail+digest(login), func(raw []byte) ([]byte, error) {
		var f attempts
		if raw != nil {
			if err := json.Unmarshal(raw[8:], &f); err != nil {
				return nil, err
			}
		}
		locked = f.N >= l.Attempts
		if !locked {
			f.N++
			f.Until = now.Add(l.Lock)
		}
		return value(f, f.Until), nil
	})
	return locked, err
}

// succeeded clears the counter and renews the account's last use.
func (s *Server) succeeded(ctx context.Context, a *account) error {
	if err := s.space.drop(ctx, kindFail+digest(a.Login)); err != nil {
		return err
	}
	now := s.cfg.Now().UTC()
	if now.Sub(a.Since) < 24*time.Hour {
		return nil
	}
	return s.space.swap(ctx, kindUser+a.Login, func(raw []byte) ([]byte, error) {
		var stored account
		if raw == nil {
			return nil, errors.New("auth: the account is gone")
		}
		if err := json.Unmarshal(raw[8:], &stored); err != nil {
			return nil, err
		}
		stored.Since = now
		return value(stored, time.Time{}), nil
	})
}

// checkCode verifies a one-time code of the present, last or next 30 seconds.
// A code is good once.
func (s *Server) checkCode(ctx context.Context, a *account, code string) bool {
	step, ok := matchTOTP(a.TOTP, code, s.cfg.Now())
	if !ok {
		return false
	}
	key := fmt.Sprintf("%s%s/%d", kindTOTP, a.Login, step)
	return s.space.add(ctx, key, nil, s.cfg.Now().Add(2*time.Minute)) == nil
}

// matchTOTP finds the time step of a code (RFC 6238: SHA-1, 30 s, 6 digits).
func matchTOTP(secret, code string, now time.Time) (step int64, ok bool) {
	key, err := decodeTOTP(secret)
	if err != nil {
		return 0, false
	}
	for _, d := range []int64{0, -1, 1} {
		t := now.Unix()/30 + d
		if subtle.ConstantTimeCompare([]byte(totp(key, t)), []byte(code)) == 1 {
			step, ok = t, true
		}
	}
	return step, ok
}

func totp(key []byte, step int64) string {
	mac := hmac.New(sha1.New, key)
	_ = binary.Write(mac, binary.BigEndian, step) // a hash never fails to take bytes
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 15
	n := binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff
	return fmt.Sprintf("%06d", n%1_000_000)
}

func decodeTOTP(secret string) ([]byte, error) {
	return base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.TrimRight(strings.ToUpper(secret), "="))
}

func checkTOTP(secret string) error {
	if secret == "" {
		return nil
	}
	key, err := decodeTOTP(secret)
	if err != nil || len(key) < 10 {
		return errors.New("a TOTP secret is base32 of at least 80 bits")
	}
	return nil
}
