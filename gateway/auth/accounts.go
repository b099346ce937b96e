package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ory/fosite"

	"hutong/fhir"
	"hutong/gateway/audit"
	"hutong/gateway/principal"
)

// Client is an application that may ask for tokens: a hospital's system, which
// acts for itself, or an app through which users come.
type Client struct {
	ID   string
	Name string
	// System clients only: the Organization they act for, and their public
	// keys as JWKs (PublicJWK makes one).
	Organization string            `json:",omitempty"`
	Keys         []json.RawMessage `json:",omitempty"`
	// Apps only: where the browser may be sent back to, compared exactly.
	Redirects []string `json:",omitempty"`
	// Scopes are the most that the client may be granted, as SMART v2 scopes.
	Scopes []string
}

// App reports whether users come through the client.
func (c *Client) App() bool { return len(c.Redirects) > 0 }

// User is an account of a person.
type User struct {
	Login        string
	Name         string
	Roles        []principal.Role
	Organization string `json:",omitempty"` // Organization id they act for
	Practitioner string `json:",omitempty"` // Practitioner id
	// A resident's verified card: the person is resolved from it.
	IdentifierSystem string `json:",omitempty"`
	IdentifierValue  string `json:",omitempty"`
	// TOTP is the base32 secret of the second factor; "" asks for none.
	TOTP string `json:",omitempty"`
}

// account is a User as stored.
type account struct {
	User
	Hash     string    // argon2id; "" never logs in
	Disabled bool      `json:",omitempty"`
	Since    time.Time // of creation or the last renewal
}

// client is a Client as fosite sees it.
type client struct{ Client }

func (c *client) GetID() string                      { return c.ID }
func (c *client) GetHashedSecret() []byte            { return nil }
func (c *client) GetRedirectURIs() []string          { return c.Redirects }
func (c *client) GetResponseTypes() fosite.Arguments { return fosite.Arguments{"code"} }
func (c *client) GetScopes() fosite.Arguments        { return c.Scopes }
func (c *client) IsPublic() bool                     { return c.App() }
func (c *client) GetAudience() fosite.Arguments      { return fosite.Arguments{} }

func (c *client) GetGrantTypes() fosite.Arguments {
	if c.App() {
		return fosite.Arguments{"authorization_code", "refresh_token"}
	}
	return fosite.Arguments{"client_credentials"}
}

// scopeStrategy is fosite's hook: SMART scopes cover narrower ones.
func scopeStrategy(granted []string, wanted string) bool { return principal.Granted(granted, wanted) }

// AddClient registers a client, or replaces it.
func (s *Server) AddClient(ctx context.Context, c Client) error {
	if err := c.check(); err != nil {
		return fmt.Errorf("auth: client %q: %w", c.ID, err)
	}
	return s.space.put(ctx, kindClient+c.ID, c, time.Time{})
}

// RemoveClient forgets a client and ends its tokens.
func (s *Server) RemoveClient(ctx context.Context, id string) error {
	if err := s.space.drop(ctx, kindClient+id); err != nil {
		return err
	}
	return s.EndTokens(ctx, id)
}

func (c *Client) check() error {
	if !validName(c.ID) {
		return errors.New("an id is 1 to 64 letters, digits, '.', '-', '_' or '@'")
	}
	if c.App() == (len(c.Keys) > 0) {
		return errors.New("needs either redirects (an app) or keys (a system)")
	}
	if !c.App() && c.Organization == "" {
		return errors.New("a system acts for an organisation")
	}
	for _, raw := range c.Keys {
		if _, err := parseJWK(raw); err != nil {
			return err
		}
	}
	for _, r := range c.Redirects {
		if err := checkRedirect(r); err != nil {
			return err
		}
	}
	return c.checkScopes()
}

// checkScopes holds systems to system scopes and apps to those of people.
func (c *Client) checkScopes() error {
	for _, text := range c.Scopes {
		sc, ok := principal.ParseScope(text)
		if ok && (sc.Level == "system") == c.App() {
			return fmt.Errorf("scope %s does not suit this kind of client", text)
		}
		if !ok && !slices.Contains(plainScopes, text) {
			return fmt.Errorf("scope %s is not served", text)
		}
	}
	return nil
}

// checkRedirect takes https, and http on the loopback for development.
func checkRedirect(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("redirect %q is not an absolute URL without fragment", text)
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
		return fmt.Errorf("redirect %q must be https, or http on the loopback", text)
	}
	return nil
}

// client loads a client for fosite.
func (s *Server) client(ctx context.Context, id string) (*client, error) {
	if !validName(id) {
		return nil, fosite.ErrNotFound
	}
	c := &client{}
	raw, err := s.space.get(ctx, kindClient+id, &c.Client)
	if err == nil && raw == nil {
		err = fosite.ErrNotFound
	}
	return c, err
}

// Client gives what is registered of a client; NotFound if it is not, or not
// any more.
func (s *Server) Client(ctx context.Context, id string) (Client, error) {
	c, err := s.client(ctx, id)
	if errors.Is(err, fosite.ErrNotFound) {
		err = fhir.Errorf(fhir.NotFound, "no such client")
	}
	if err != nil {
		return Client{}, err
	}
	return c.Client, nil
}

// AddUser makes an account, or renews it: roles, password and all. An empty
// password makes an account that cannot log in by the page, for IssueToken.
// A password has at least 10 characters of three kinds and is not the login.
func (s *Server) AddUser(ctx context.Context, u User, password string) error {
	if !validName(u.Login) {
		return fmt.Errorf("auth: user %q: a login is 1 to 64 letters, digits, '.', '-', '_' or '@'", u.Login)
	}
	if err := errors.Join(principal.CheckRoles(u.Roles), checkTOTP(u.TOTP), checkUser(&u)); err != nil {
		return fmt.Errorf("auth: user %q: %w", u.Login, err)
	}
	a := account{User: u, Since: s.cfg.Now().UTC()}
	if password != "" {
		if err := checkPassword(u.Login, password); err != nil {
			return fmt.Errorf("auth: user %q: %w", u.Login, err)
		}
		a.Hash = s.hash(password)
	}
	if err := s.event(ctx, audit.Event{Action: audit.AccountChange, Subject: u.Login, Reason: "added or renewed"}); err != nil {
		return err
	}
	return s.space.put(ctx, kindUser+u.Login, a, time.Time{})
}

func checkUser(u *User) error {
	for _, r := range u.Roles {
		switch {
		case r == principal.HIS:
			return errors.New("role his is for system clients")
		case r == principal.Resident && (u.IdentifierSystem == "" || u.IdentifierValue == ""):
			return errors.New("a resident needs a verified identifier")
		case (r == principal.Clinician || r == principal.Coordinator || r == principal.Emergency) && u.Organization == "":
			return fmt.Errorf("role %s needs an organisation", r)
		}
	}
	return nil
}

// DisableUser closes an account at once: its tokens end too.
func (s *Server) DisableUser(ctx context.Context, login string) error {
	if err := s.event(ctx, audit.Event{Action: audit.AccountChange, Subject: login, Reason: "disabled"}); err != nil {
		return err
	}
	err := s.space.swap(ctx, kindUser+login, func(raw []byte) ([]byte, error) {
		var a account
		if raw == nil {
			return nil, fhir.Errorf(fhir.NotFound, "no user %q", login)
		}
		if err := json.Unmarshal(raw[8:], &a); err != nil {
			return nil, err
		}
		a.Disabled = true
		return value(a, time.Time{}), nil
	})
	if err != nil {
		return err
	}
	return s.EndTokens(ctx, login)
}

// EndTokens refuses from now on every access token issued to the subject up
// to this second.
func (s *Server) EndTokens(ctx context.Context, subject string) error {
	now := s.cfg.Now()
	return s.space.put(ctx, kindEpoch+subject, now.Unix(), now.Add(s.cfg.Limits.CommandToken+time.Minute))
}

// account loads a user: nil if there is none.
func (s *Server) account(ctx context.Context, login string) (*account, error) {
	if !validName(login) {
		return nil, nil
	}
	a := &account{}
	raw, err := s.space.get(ctx, kindUser+login, a)
	if err != nil || raw == nil {
		return nil, err
	}
	return a, nil
}

// usable reports whether the account may get tokens.
func (s *Server) usable(a *account) bool {
	return a != nil && !a.Disabled && s.cfg.Now().Sub(a.Since) < s.cfg.Limits.Dormant
}

// plainScopes are served beside the resource scopes.
var plainScopes = []string{"openid", "launch/patient", "fhirUser", "online_access", "offline_access"}

// roleScopes is the most that each role can be granted, whatever the app.
var roleScopes = map[principal.Role][]string{
	principal.Clinician:   {"user/*.rs"},
	principal.Emergency:   {"user/*.rs"},
	principal.Coordinator: {"user/*.rs"},
	principal.Steward:     {"user/*.rs"},
	principal.Auditor:     {"user/*.rs"},
	principal.Admin:       {"user/*.rs"},
	principal.Resident:    {"patient/*.rs", "patient/Consent.cruds", "launch/patient"},
}

// scopesOf gives the scopes that a user's roles allow.
func scopesOf(roles []principal.Role) []string {
	scopes := []string{"openid", "fhirUser", "online_access", "offline_access"}
	for _, r := range roles {
		for _, sc := range roleScopes[r] {
			if !slices.Contains(scopes, sc) {
				scopes = append(scopes, sc)
			}
		}
	}
	return scopes
}

// validName reports whether s can be a login or a client id.
func validName(s string) bool {
	return len(s) > 0 && len(s) <= 64 && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".-_@", r))
	}) < 0
}

// event reports to the auditor, if there is one.
func (s *Server) event(ctx context.Context, e audit.Event) error {
	if s.cfg.Auditor == nil {
		return nil
	}
	return s.cfg.Auditor.Event(ctx, e)
}
