// Package exchange opens every room of the house, wires them and serves them.
// It holds no rules: what the rooms need of each other they declare as small
// interfaces, which are supplied here.
package exchange

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"hutong/cmd/hutong/exchange/memory"
	"hutong/fhir"
	"hutong/fhir/bulk"
	"hutong/fhir/definition"
	"hutong/fhir/event"
	"hutong/fhir/interact"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/fhir/store/disk/backup"
	"hutong/fhir/subscription"
	"hutong/fhir/term"
	"hutong/fhir/term/ucum"
	"hutong/fhir/validate"
	"hutong/gateway/audit"
	"hutong/gateway/auth"
	"hutong/gateway/consent"
	"hutong/gateway/consult"
	"hutong/gateway/recognition"
	"hutong/mpi"
	"hutong/mpi/announce"
	"hutong/mpi/policy"
	"hutong/profiles"
)

// Version is set by the linker in a release.
var Version = "dev"

// Exchange is every room of the house, opened and wired. Fields are in the
// order in which they are opened; Close goes backwards.
type Exchange struct {
	cfg     Settings
	log     zerolog.Logger
	metrics *prometheus.Registry

	Store  store.Store
	index  *mpi.Index
	linker linker
	known  *announce.Tail // of the index's changes
	rules  *policy.Policy // of the index
	trail  *audit.Log     // nil in open mode
	fhir   *interact.Service
	bus    *event.Bus

	archive *backup.Archive       // nil: none is kept
	hooks   *subscription.Service // nil in open mode: nobody is there to subscribe

	parser *search.Parser
	units  ucum.Units

	Auth        *auth.Server
	policy      *consent.Policy
	recognition *recognition.Service
	consult     *consult.Service

	handler http.Handler
	stop    context.CancelFunc // of the background work
	idle    sync.WaitGroup     // the background work
}

// Open opens the data directory and wires the rooms. The caller closes
// the result.
func Open(ctx context.Context, cfg Settings, log zerolog.Logger) (*Exchange, error) {
	e := &Exchange{cfg: cfg, log: log, metrics: prometheus.NewRegistry()}
	return e.open(ctx, e.openRepository, e.openArchive, e.openGateway, e.openEvents, e.openHTTP)
}

// OpenOffline opens what the commands need that work beside a stopped server.
func OpenOffline(ctx context.Context, cfg Settings, log zerolog.Logger) (*Exchange, error) {
	e := &Exchange{cfg: cfg, log: log, metrics: prometheus.NewRegistry()}
	return e.open(ctx, e.openRepository, e.openGateway)
}

// open takes the steps in order; a failing one closes what is open.
func (e *Exchange) open(ctx context.Context, steps ...func(context.Context) error) (*Exchange, error) {
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, e.Close(ctx))
		}
	}
	return e, nil
}

// openRepository opens storage, the index and the interactions.
func (e *Exchange) openRepository(ctx context.Context) error {
	loc, err := e.cfg.location()
	if err != nil {
		return err
	}
	base := e.cfg.PublicURL + "/fhir"
	defs := definition.R4()
	options := search.Options{Location: loc, Base: base, Expander: term.New(term.Options{}), Units: &e.units}
	extractor := search.NewExtractor(defs, options)
	if e.Store, err = openStore(ctx, e.cfg, extractor, e.log); err != nil {
		return err
	}
	own := e.Store.Space("server")
	if err := remember(ctx, own, "timezone", offsets(loc)); err != nil {
		return err
	}
	if err := (indexed{Base: base, Timezone: e.cfg.Timezone}).note(ctx, own); err != nil {
		return err
	}
	pageKey, err := secret(ctx, own, "page-key")
	if err != nil {
		return err
	}
	validator, err := newValidator()
	if err != nil {
		return err
	}
	if err := e.openIndex(ctx, own); err != nil {
		return err
	}
	e.linker.index = e.index
	e.linker.leads.Store(!e.cfg.clustered())
	e.parser = search.NewParser(defs, options)
	cfg := interact.Config{
		Store: e.Store, Defs: defs, Extractor: extractor, Parser: e.parser, Validator: validator,
		Persons: e.index, Followers: []interact.Follower{&e.linker}, PageKey: pageKey, BaseURL: base, About: e.about(),
		// Under load the index waits for the disk behind the bundles themselves.
		Limits: interact.Limits{Followers: 250 * time.Millisecond},
	}
	if e.cfg.Auth != "open" {
		if e.trail, err = audit.Open(ctx, audit.Config{
			Store: e.Store, Extractor: extractor, Persons: e.index, Custodian: e.cfg.Operator, Log: e.log, Chain: e.cfg.chain(),
		}); err != nil {
			return err
		}
		cfg.Auditor = e.trail
		if err := e.openHooks(extractor, defs, &cfg); err != nil {
			return err
		}
	}
	e.fhir, err = interact.New(cfg)
	return err
}

// about describes the installation in its CapabilityStatement.
func (e *Exchange) about() interact.About {
	about := interact.About{Name: "Hutong", Version: Version, Publisher: e.cfg.Operator, Operations: bulk.Definitions()}
	if e.cfg.Auth != "open" {
		base := e.cfg.PublicURL + "/oauth2/"
		about.SMART = map[string]string{"authorize": base + "authorize", "token": base + "token", "revoke": base + "revoke"}
	}
	return about
}

// persons is the index as the gateway asks it: an unknown card is an error.
type persons struct{ *mpi.Index }

// ByIdentifier gives the person who holds a card; NotFound if nobody does.
func (p persons) ByIdentifier(ctx context.Context, system, value string) (fhir.Key, error) {
	k, ok, err := p.Index.ByIdentifier(ctx, system, value)
	if err == nil && !ok {
		err = fhir.Errorf(fhir.NotFound, "nobody is known by this card")
	}
	return k, err
}

// URL is the address by which clients reach the exchange.
func (e *Exchange) URL() string { return e.cfg.PublicURL }

// read gives a current resource to the index, whoever may see it.
func (e *Exchange) read(ctx context.Context, k fhir.Key) (fhir.Resource, error) {
	snap, err := e.Store.Snapshot(ctx, 0)
	if err != nil {
		return fhir.Resource{}, err
	}
	defer snap.Close()
	return snap.Get(ctx, k)
}

// openGateway opens what decides who may see what, and the workflows.
func (e *Exchange) openGateway(ctx context.Context) (err error) {
	people := persons{e.index}
	authority := auth.Config{
		Space: e.Store.Space("auth"), Alone: !e.cfg.distributed(), Issuer: e.cfg.PublicURL, Persons: people, Log: e.log,
	}
	policy := consent.Config{
		Reader: consent.StoreReader{Store: e.Store, Parser: e.parser}, Persons: people, Writer: e.fhir,
		Custodian: e.cfg.Operator, Base: e.cfg.PublicURL + "/fhir",
	}
	if e.trail != nil { // a nil *audit.Log in an interface would not be nil
		authority.Auditor, policy.Auditor = e.trail, e.trail
	}
	if e.Auth, err = auth.New(ctx, authority); err != nil {
		return err
	}
	if e.policy, err = consent.New(policy); err != nil {
		return err
	}
	consultations := e.Store.Space("consult")
	signer, err := consult.NewSigner(ctx, consultations)
	if err != nil {
		return err
	}
	e.consult = consult.New(consult.Config{
		Records: e.fhir, Callers: e.policy, Persons: e.index, Signer: signer, Space: consultations, NewID: func() string { return "tc-" + randomHex(12) },
	})
	catalogue, err := profiles.NewCatalogue()
	if err != nil {
		return err
	}
	e.recognition, err = recognition.New(recognition.Config{
		Records: e.fhir, Callers: e.policy, Catalogue: catalogue, Space: e.Store.Space("recognition"), BaseURL: e.cfg.PublicURL,
		Links: e.index, Units: &e.units, Custodian: e.cfg.Operator,
	})
	return err
}

// openEvents starts the tail of the change log and those who follow it.
func (e *Exchange) openEvents(ctx context.Context) (err error) {
	e.bus, err = event.Start(ctx, event.Config{
		Store: e.Store, URL: e.cfg.NATS, Dir: filepath.Join(e.cfg.Data, "nats"), Log: e.log, Metrics: e.metrics,
		Node: e.cfg.Node, Replicas: e.cfg.Replicas, Silent: []fhir.Type{audit.Type},
	})
	if err != nil {
		return err
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	e.stop = stop
	e.idle.Go(func() { e.Auth.Run(background) })
	e.keeping(background)
	e.idle.Go(func() {
		if err := e.index.Warm(background); err != nil && background.Err() == nil {
			e.log.Error().Err(err).Msg("mpi: posting lists are read from the store, since they could not be read into memory")
		}
		if s, ok := e.Store.(interface{ Forget() }); ok {
			s.Forget() // what was read is in memory now
		}
		memory.Settle() // the reading left as much behind as it keeps
		memory.Rest(background)
	})
	if e.trail != nil {
		e.idle.Go(func() { e.anchor(background, 10*time.Minute) })
		e.idle.Go(func() { e.bus.Lead(background, "subscriptions", e.notify) })
	}
	e.idle.Go(func() { e.bus.Lead(background, "linker", e.link) })
	e.idle.Go(func() { e.bus.Lead(background, "consultations", e.expire) })
	return nil
}

// anchor tells the log the head of the audit chain now and then: who rewrote
// the whole database could rebuild the chain, but not what the logs have
// carried away.
func (e *Exchange) anchor(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		head := e.trail.Head()
		e.log.Info().Uint64("seq", head.Seq).Str("hash", head.Hash).Msg("audit: head of the chain")
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Close stops what runs and closes what is open, newest first.
func (e *Exchange) Close(ctx context.Context) error {
	var errs []error
	if e.stop != nil {
		e.stop()
		e.idle.Wait()
	}
	if e.bus != nil {
		errs = append(errs, e.bus.Close(ctx))
	}
	if e.trail != nil {
		errs = append(errs, e.trail.Close(ctx))
	}
	if e.archive != nil {
		errs = append(errs, e.archive.Close(ctx))
	}
	if e.Store != nil {
		errs = append(errs, e.Store.Close())
	}
	return errors.Join(errs...)
}

// newValidator compiles the base rules and the regional profiles.
func newValidator() (*validate.Validator, error) {
	return validate.New(validate.Options{Profiles: profiles.StructureDefinitions()})
}

// remember holds a setting that is fixed for a data directory against the
// value that it was created with.
func remember(ctx context.Context, space store.Space, name, value string) error {
	err := space.Apply(ctx, []store.Write{{Key: []byte(name), Value: []byte(value), If: store.IfAbsent}})
	if !errors.Is(err, fhir.E(fhir.Conflict)) {
		return err
	}
	old, err := space.Get(ctx, []byte(name))
	if err == nil && string(old) != value {
		err = fmt.Errorf("this data directory was made with a %s of %s, not %s: its index depends on it", name, old, value)
	}
	return err
}

// offsets tells a zone by what it does, whatever it is called: its offsets in
// winter and in summer.
func offsets(loc *time.Location) string {
	at := func(m time.Month) string { return time.Date(2024, m, 1, 0, 0, 0, 0, loc).Format("-07:00") }
	return at(time.January) + " " + at(time.July)
}

// secret gives 32 random bytes that last as long as the data.
func secret(ctx context.Context, space store.Space, name string) ([]byte, error) {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails, see crypto/rand
	err := space.Apply(ctx, []store.Write{{Key: []byte(name), Value: b, If: store.IfAbsent}})
	if errors.Is(err, fhir.E(fhir.Conflict)) {
		return space.Get(ctx, []byte(name))
	}
	return b, err
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}
