package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"hutong/cmd/hutong/exchange"
	"hutong/gateway/auth"
	"hutong/gateway/principal"
)

type accountCmd struct {
	AddClient   addClientCmd   `cmd:"" help:"Register a hospital's system or an app, or replace it."`
	AddUser     addUserCmd     `cmd:"" help:"Make or renew a user's account."`
	DisableUser disableUserCmd `cmd:"" help:"Close a user's account; its tokens end."`
}

// offline is what the account commands share: a data directory whose server
// is stopped.
type offline struct {
	exchange.Settings
}

// run opens the rooms that need no listener, does the work and closes them.
func (o *offline) run(ctx context.Context, work func(*exchange.Exchange) error) (err error) {
	if err := o.Check(); err != nil {
		return err
	}
	e, err := exchange.OpenOffline(ctx, o.Settings, o.Logger())
	if err != nil {
		return err
	}
	defer func() {
		if cerr := e.Close(ctx); err == nil {
			err = cerr
		}
	}()
	return work(e)
}

type addClientCmd struct {
	offline
	ID       string   `arg:"" help:"Client id."`
	Name     string   `help:"For people; default is the id."`
	Org      string   `help:"A system: the Organization that it acts for."`
	JWK      string   `name:"jwk" type:"path" help:"A system: its public key; without it a pair is made." placeholder:"FILE"`
	KeyOut   string   `name:"key-out" type:"path" help:"Where to write the private key of the pair that is made; default ID.pem." placeholder:"FILE"`
	Redirect []string `help:"An app: where the browser comes back to."`
	Scope    []string `help:"SMART scopes; default system/*.cruds, or what the pages need."`

	made string // the file with the pair that was made, until it is KeyOut
}

// Run registers the client.
func (a *addClientCmd) Run(ctx context.Context) error {
	c := auth.Client{ID: a.ID, Name: a.Name, Organization: a.Org, Redirects: a.Redirect, Scopes: a.Scope}
	if c.Name == "" {
		c.Name = a.ID
	}
	switch {
	case c.App() && len(c.Scopes) == 0:
		c.Scopes = appScopes
	case !c.App():
		if len(c.Scopes) == 0 {
			c.Scopes = systemScopes
		}
		if err := a.keys(&c); err != nil {
			return err
		}
	}
	err := a.run(ctx, func(e *exchange.Exchange) error { return e.Auth.AddClient(ctx, c) })
	if a.made == "" {
		return err
	}
	if err != nil {
		return errors.Join(err, os.Remove(a.made))
	}
	fmt.Println("private key:", a.KeyOut)
	return os.Rename(a.made, a.KeyOut)
}

var (
	systemScopes = []string{"system/*.cruds"}
	appScopes    = []string{"user/*.rs", "patient/*.rs", "patient/Consent.cruds", "launch/patient", "openid", "fhirUser", "online_access", "offline_access"}
)

// keys takes the public key that is given, or makes a pair and writes the
// private one beside KeyOut, where only the owner reads it.
func (a *addClientCmd) keys(c *auth.Client) error {
	if a.JWK != "" {
		raw, err := os.ReadFile(a.JWK)
		c.Keys = []json.RawMessage{raw}
		return err
	}
	if a.KeyOut == "" {
		a.KeyOut = a.ID + ".pem"
	}
	a.made = a.KeyOut + ".new" // in the place of an older one only when the client is registered with it
	public, err := newClientKey(a.made)
	c.Keys = []json.RawMessage{public}
	return err
}

// newClientKey makes a pair, writes the private key to file and gives the
// public one.
func newClientKey(file string) (json.RawMessage, error) {
	private, public, err := auth.GenerateClientKey()
	if err != nil {
		return nil, err
	}
	return public, os.WriteFile(file, private, 0o600)
}

type addUserCmd struct {
	offline
	Login        string   `arg:"" help:"Login name."`
	Name         string   `help:"The person's name."`
	Role         []string `required:"" help:"clinician, emergency, coordinator, steward, auditor, admin or resident."`
	Org          string   `help:"Organization id they act for."`
	Practitioner string   `help:"Practitioner id."`
	Identifier   string   `help:"A resident's verified card, SYSTEM|VALUE."`
	PasswordFile string   `name:"password-file" type:"path" help:"File with the password; without it one is made and printed." placeholder:"FILE"`
}

// Run makes the account.
func (a *addUserCmd) Run(ctx context.Context) error {
	u := auth.User{Login: a.Login, Name: a.Name, Organization: a.Org, Practitioner: a.Practitioner}
	for _, r := range a.Role {
		u.Roles = append(u.Roles, principal.Role(r))
	}
	u.IdentifierSystem, u.IdentifierValue, _ = strings.Cut(a.Identifier, "|")
	password := newPassword()
	if a.PasswordFile != "" {
		raw, err := os.ReadFile(a.PasswordFile)
		if err != nil {
			return err
		}
		password = strings.TrimSpace(string(raw))
	}
	err := a.run(ctx, func(e *exchange.Exchange) error { return e.Auth.AddUser(ctx, u, password) })
	if err == nil && a.PasswordFile == "" {
		fmt.Println("password:", password)
	}
	return err
}

// newPassword is random, with the kinds of characters that the policy asks for.
func newPassword() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails, see crypto/rand
	return fmt.Sprintf("Ht-%x-%x", b[:4], b[4:])
}

type disableUserCmd struct {
	offline
	Login string `arg:"" help:"Login name."`
}

// Run disables the account.
func (d *disableUserCmd) Run(ctx context.Context) error {
	return d.run(ctx, func(e *exchange.Exchange) error { return e.Auth.DisableUser(ctx, d.Login) })
}
