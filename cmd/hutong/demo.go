package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"hutong/cmd/hutong/client"
	"hutong/cmd/hutong/exchange"
	"hutong/gateway/auth"
	"hutong/gateway/principal"
	"hutong/profiles"
	"hutong/testdata/region"
)

type demoCmd struct {
	Dir    string `default:".demo" type:"path" help:"Folder of the demonstration; delete it to start anew."`
	Listen string `default:"127.0.0.1:8080" help:"Address to listen on (loopback)."`
	People int    `default:"300" help:"Persons of the synthetic region."`
	Seed   uint64 `default:"20261122" help:"The same seed gives the same region."`
	Load   string `type:"path" help:"Also load this folder of FHIR files." placeholder:"DIR"`
}

// demoNow is the present of the demonstration's records, so that a result of
// three days ago is three days old on the day of the show.
func demoNow() time.Time {
	return time.Now().In(time.FixedZone("CST", 8*3600)).Truncate(time.Hour)
}

// Run serves a region; at the first start it makes the accounts and posts the
// region's records over HTTP, as the hospitals would.
func (d *demoCmd) Run(ctx context.Context) error {
	cfg := d.settings()
	if err := cfg.Check(); err != nil {
		return err
	}
	if err := os.MkdirAll(d.Dir, 0o700); err != nil {
		return err
	}
	e, err := exchange.Open(ctx, cfg, cfg.Logger())
	if err != nil {
		return err
	}
	return d.serve(ctx, e)
}

// settings are those of a node on this machine alone.
func (d *demoCmd) settings() exchange.Settings {
	return exchange.Settings{
		Listen: d.Listen, Data: filepath.Join(d.Dir, "data"), NATS: "embedded", Auth: "smart", Operator: region.OrgExchange,
		Timezone: "Asia/Shanghai", CacheMB: 64, LogLevel: "error", LogFormat: "console", Grace: 10 * time.Second,
	}
}

// serve runs the server and, beside it, the loading; either's failure ends
// both.
func (d *demoCmd) serve(ctx context.Context, e *exchange.Exchange) error {
	g, ctx := errgroup.WithContext(ctx)
	ready := make(chan struct{})
	g.Go(func() error { return e.Serve(ctx, func() { close(ready) }) })
	g.Go(func() error {
		select {
		case <-ready:
		case <-ctx.Done():
			return nil
		}
		show, err := d.prepare(ctx, e)
		if err != nil {
			return err
		}
		show.print(os.Stdout)
		return nil
	})
	return g.Wait()
}

// done marks a folder that is fully loaded, and keeps the moment of its region.
const done = "loaded"

// prepare makes accounts and loads the region unless an earlier start did.
func (d *demoCmd) prepare(ctx context.Context, e *exchange.Exchange) (*show, error) {
	s := &show{dir: d.Dir, url: e.URL()}
	mark := filepath.Join(d.Dir, done)
	now := demoNow()
	old, err := os.ReadFile(mark)
	loaded := err == nil
	if loaded {
		if now, err = time.Parse(time.RFC3339, strings.TrimSpace(string(old))); err != nil {
			return nil, fmt.Errorf("%s: %w", mark, err)
		}
		now = now.In(time.FixedZone("CST", 8*3600))
	}
	opt := region.Options{People: d.People, Seed: d.Seed, Now: now}
	s.hero = region.Hero(opt)
	if s.guest, err = findGuest(opt); err != nil {
		return nil, err
	}
	if !loaded {
		if err := d.accounts(ctx, e, s.hero); err != nil {
			return nil, err
		}
		if err := d.loadRegion(ctx, e, opt); err != nil {
			return nil, err
		}
		if err := d.visit(ctx, e, s.guest); err != nil {
			return nil, err
		}
		if err := s.writeFiles(); err != nil {
			return nil, err
		}
		if err := os.WriteFile(mark, []byte(now.Format(time.RFC3339)+"\n"), 0o600); err != nil {
			return nil, err
		}
	}
	if d.Load != "" {
		if err := d.loadExtra(ctx, e); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// keyFile is where a client's private key is kept.
func (d *demoCmd) keyFile(client string) string { return filepath.Join(d.Dir, "keys", client+".pem") }

// accounts makes the clients with fresh keys, and the users with one fresh
// password.
func (d *demoCmd) accounts(ctx context.Context, e *exchange.Exchange, hero region.Facts) error {
	if err := os.MkdirAll(filepath.Join(d.Dir, "keys"), 0o700); err != nil {
		return err
	}
	systems := map[string]string{operator: region.OrgExchange}
	for _, o := range region.Orgs() {
		if o.Client != "" {
			systems[o.Client] = o.ID
		}
	}
	for name, org := range systems {
		key, err := newClientKey(d.keyFile(name))
		if err != nil {
			return err
		}
		c := auth.Client{ID: name, Name: name, Organization: org, Scopes: systemScopes, Keys: []json.RawMessage{key}}
		if err := e.Auth.AddClient(ctx, c); err != nil {
			return err
		}
	}
	for _, app := range []string{"resident", "console"} {
		c := auth.Client{ID: app + "-app", Name: "Hutong " + app, Redirects: []string{e.URL() + "/" + app + "/"}, Scopes: appScopes}
		if err := e.Auth.AddClient(ctx, c); err != nil {
			return err
		}
	}
	password := newPassword()
	if err := os.WriteFile(filepath.Join(d.Dir, "password"), []byte(password+"\n"), 0o600); err != nil {
		return err
	}
	for _, u := range region.Users() {
		if err := e.Auth.AddUser(ctx, demoUser(u, hero), password); err != nil {
			return err
		}
	}
	return nil
}

func demoUser(u region.User, hero region.Facts) auth.User {
	a := auth.User{Login: u.Login, Name: u.Name, Organization: u.Org, Practitioner: u.Practitioner}
	for _, r := range u.Roles {
		a.Roles = append(a.Roles, principal.Role(r))
	}
	if u.Resident {
		a.Name, a.IdentifierSystem, a.IdentifierValue = hero.Name, profiles.CitizenID, hero.CitizenID
	}
	return a
}

// loadRegion posts the region bundle by bundle: the registry first, then the
// hospitals, several bundles in flight.
func (d *demoCmd) loadRegion(ctx context.Context, e *exchange.Exchange, opt region.Options) error {
	start, resources := time.Now(), 0
	fmt.Printf("Loading a region of %d people into %s ...\n", d.People, d.Dir)
	posters := map[string]*client.Poster{}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for post := range region.Generate(opt) {
		name := clientOf(post)
		p := posters[name]
		if p == nil {
			var err error
			if p, err = d.poster(e, name); err != nil {
				return err
			}
			posters[name] = p
		}
		resources += post.Resources
		if post.Client == "" { // the registry: what follows refers to it
			if err := p.Send(ctx, http.MethodPost, "/fhir", post.Bundle); err != nil {
				return fmt.Errorf("registry: %w", err)
			}
			continue
		}
		g.Go(func() error { return p.Send(gctx, http.MethodPost, "/fhir", post.Bundle) })
		if gctx.Err() != nil {
			break
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	sec := time.Since(start).Seconds()
	fmt.Printf("%d resources of %d people in %.1f s (%.0f a second)\n", resources, d.People, sec, float64(resources)/sec)
	return nil
}

// visit posts the guest's encounter of today as the clinic.
func (d *demoCmd) visit(ctx context.Context, e *exchange.Exchange, g guest) error {
	p, err := d.poster(e, "his-clinic")
	if err != nil {
		return err
	}
	return p.Send(ctx, http.MethodPut, "/fhir/Encounter/clinic-visit-today", g.Encounter)
}

// poster posts as a client, with its key.
func (d *demoCmd) poster(e *exchange.Exchange, name string) (*client.Poster, error) {
	key, err := os.ReadFile(d.keyFile(name))
	if err != nil {
		return nil, err
	}
	p := client.NewPoster(e.URL())
	p.Token = client.SystemTokens(p.URL, name, key)
	return p, nil
}

// loadExtra posts the folder of --load as the municipal hospital.
func (d *demoCmd) loadExtra(ctx context.Context, e *exchange.Exchange) error {
	p, err := d.poster(e, "his-muni")
	if err != nil {
		return err
	}
	start := time.Now()
	sum, err := p.Load(ctx, []string{d.Load}, 4, func(name string, err error) { fmt.Printf("refused: %s: %v\n", name, err) })
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d files, %d resources in %.1f s, %d refused\n", d.Load, sum.Files, sum.Resources, time.Since(start).Seconds(), sum.Refused)
	return nil
}
