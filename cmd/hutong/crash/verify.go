package crash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"hutong/cmd/hutong/exchange"
	"hutong/cmd/hutong/keep"
	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/event"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/fhir/store/disk"
	"hutong/gateway/audit"
)

// verify opens what the kill left and holds it against what the clients know:
// everything of this round, and everything of this life if whole.
func (l *life) verify(ctx context.Context, whole bool) error {
	s, err := exchange.OpenEngine(ctx, exchange.EngineDir(l.dir), l.settings(), zerolog.Nop())
	if err != nil {
		return fmt.Errorf("crash: the store does not open after a kill: %w", err)
	}
	err = l.holds(ctx, s, whole)
	if err == nil {
		err = l.heard(ctx, s)
	}
	if err == nil && whole {
		err = l.proven(ctx, s)
	}
	return errors.Join(err, s.Close())
}

// proven runs fsck and the audit chain's proof.
func (l *life) proven(ctx context.Context, s *disk.Store) error {
	p, err := keep.Prove(ctx, s, io.Discard)
	if err != nil {
		return err
	}
	for _, f := range p.Store.Faults {
		l.fault("fsck: %s", f)
	}
	for _, f := range p.Audit.Faults {
		l.fault("audit chain: %v", f)
	}
	l.audited = 0
	for _, c := range p.Audit.Chains {
		l.audited += c.Records
	}
	if l.audited == 0 {
		l.fault("the audit chain is empty: nothing was proven")
	}
	return nil
}

// check reads at one snapshot.
type check struct {
	*life
	ctx   context.Context
	snap  store.Snapshot
	parse *search.Parser
	err   error
}

func (l *life) holds(ctx context.Context, s store.Store, whole bool) error {
	snap, err := s.Snapshot(ctx, 0)
	if err != nil {
		return err
	}
	defer snap.Close()
	c := &check{life: l, ctx: ctx, snap: snap, parse: search.NewParser(definition.R4(), search.Options{})}
	each(l.bundles, l.touched, whole, c.bundle)
	each(l.counters, l.touched, whole, c.counter)
	each(l.deletes, l.touched, whole, c.deletion)
	each(l.creates, l.touched, whole, c.created)
	return c.err
}

func each[V any](all map[string]V, touched map[string]bool, whole bool, do func(string, V)) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if whole || touched[name] {
			do(name, all[name])
		}
	}
}

// get reads a resource; there is false if it is absent or deleted.
func (c *check) get(t fhir.Type, id string) (r fhir.Resource, there bool) {
	r, err := c.snap.Get(c.ctx, fhir.Key{Type: t, ID: id})
	switch {
	case err == nil:
		return r, true
	case !errors.Is(err, fhir.E(fhir.NotFound)) && !errors.Is(err, fhir.E(fhir.Gone)):
		c.err = errors.Join(c.err, err)
	}
	return r, false
}

// bundle: all of it is there, or nothing; all if it was acknowledged.
func (c *check) bundle(name string, b *bundle) {
	got := 0
	for i := range b.size {
		t := fhir.Type("Observation")
		if i == 0 {
			t = "Patient"
		}
		if _, there := c.get(t, fmt.Sprintf("%s.%d", name, i)); there {
			got++
		}
	}
	switch {
	case b.acked > 0 && got != b.size:
		c.fault("bundle %s was acknowledged with %d resources, %d are there", name, b.size, got)
	case got != 0 && got != b.size:
		c.fault("bundle %s is there in part: %d of %d", name, got, b.size)
	}
}

// counter: its number is one that was tried, and none that was acknowledged is
// lost; all versions are there.
func (c *check) counter(id string, n *counter) {
	r, there := c.get("Patient", id)
	if !there {
		if n.acked > 0 {
			c.fault("Patient/%s was acknowledged and is not there", id)
		}
		return
	}
	var got int
	if _, rest, ok := strings.Cut(string(r.Body.Raw), `"family":"n`); ok {
		_, _ = fmt.Sscanf(rest, "%d", &got)
	}
	if got < n.acked || got > n.tried {
		c.fault("Patient/%s holds update %d; %d was acknowledged, %d tried", id, got, n.acked, n.tried)
	}
	for v := uint64(1); v <= r.VersionID; v++ {
		if _, err := c.snap.GetVersion(c.ctx, r.Key, v); err != nil {
			c.fault("Patient/%s: version %d of %d: %v", id, v, r.VersionID, err)
		}
	}
}

// deletion: what was acknowledged as deleted is gone, what was only written is
// there.
func (c *check) deletion(name string, d *deletion) {
	_, there := c.get("Patient", name)
	switch {
	case d.gone && there:
		c.fault("Patient/%s was deleted, and is there again", name)
	case d.put && !d.tried && !there:
		c.fault("Patient/%s was acknowledged and is not there", name)
	}
}

// created: however many asked, one resource.
func (c *check) created(name string, n *created) {
	req, err := c.parse.Parse("Patient", "identifier="+identifiers+"|"+name)
	if err != nil {
		c.err = errors.Join(c.err, err)
		return
	}
	q := req.Query
	q.Restriction, q.Count = search.Unrestricted(), 10
	page, err := c.snap.Search(c.ctx, &q)
	if err != nil {
		c.err = errors.Join(c.err, err)
		return
	}
	if len(page.Matches) > 1 || n.acked > 0 && len(page.Matches) != 1 {
		c.fault("conditional create %s: %d acknowledged, %d resources", name, n.acked, len(page.Matches))
	}
	for _, m := range page.Matches {
		if delete(n.ids, m.ID); len(n.ids) > 0 {
			c.fault("conditional create %s: the answers named other resources than %s", name, m.ID)
		}
		n.ids = map[string]bool{m.ID: true}
	}
}

// announced is one version on the stream.
type announced struct {
	key     fhir.Key
	version uint64
	t       fhir.T
	method  fhir.Method
}

// heard lets the tail announce what it has not, and holds the stream against
// the change log: every version is announced, and nothing else.
func (l *life) heard(ctx context.Context, s store.Store) error {
	newest := l.verified
	for {
		changes, err := s.Changes(ctx, newest, 2000)
		if err != nil {
			return err
		}
		if len(changes) == 0 {
			break
		}
		for _, c := range changes {
			newest = c.T
			if c.Type == audit.Type { // the exchange does not announce them
				continue
			}
			l.log[announced{c.Key, c.VersionID, c.T, c.Method}] = c.T
		}
	}
	if err := l.listenTo(ctx, s, newest); err != nil {
		return err
	}
	lost := 0
	for e, t := range l.log {
		if t > l.verified && !l.events[e] {
			lost++
		}
	}
	if lost > 0 {
		l.fault("%d events are missing", lost)
	}
	for e := range l.events {
		if _, there := l.log[e]; !there {
			l.fault("an event of %s version %d of commit %d, which was not committed", e.key, e.version, e.t)
		}
	}
	l.verified = newest
	return nil
}

// listenTo takes the events of the stream until all up to newest have come, or
// none comes any more.
func (l *life) listenTo(ctx context.Context, s store.Store, newest fhir.T) error {
	bus, err := openBus(ctx, s, l.dir)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	missing := 0
	for e := range l.log {
		if !l.events[e] {
			missing++
		}
	}
	last := time.Now()
	listening, stop := context.WithCancel(ctx)
	defer stop()
	err = bus.Subscribe(listening, "crash", event.Subject+">", func(_ context.Context, ev event.Event) error {
		mu.Lock()
		defer mu.Unlock()
		e := announced{ev.Key, ev.VersionID, ev.T, ev.Method}
		if _, known := l.log[e]; known && !l.events[e] {
			missing--
		}
		l.events[e] = true
		last = time.Now()
		return nil
	})
	for err == nil && ctx.Err() == nil {
		mu.Lock()
		done := missing == 0 || time.Since(last) > l.silence
		mu.Unlock()
		if done {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	mu.Lock()
	some := missing > 0
	mu.Unlock()
	if err == nil && some {
		err = l.late(ctx, bus, &mu)
	}
	return errors.Join(err, bus.Close(ctx), ctx.Err())
}

// late tells what of the missing the stream holds all the same.
func (l *life) late(ctx context.Context, bus *event.Bus, mu *sync.Mutex) error {
	held, late := 0, 0
	err := bus.Held(ctx, func(ev event.Event) {
		mu.Lock()
		defer mu.Unlock()
		held++
		e := announced{ev.Key, ev.VersionID, ev.T, ev.Method}
		if _, known := l.log[e]; known && !l.events[e] {
			late++
		}
		l.events[e] = true
	})
	if err != nil {
		return err
	}
	where, err := bus.Pending(ctx, "crash")
	l.fault("%d of the %d events of the stream were not delivered within %s: %s", late, held, l.silence, where)
	return err
}

func openBus(ctx context.Context, s store.Store, dir string) (*event.Bus, error) {
	return event.Start(ctx, event.Config{Store: s, Dir: filepath.Join(dir, "nats"), Log: zerolog.Nop(), Silent: []fhir.Type{audit.Type}})
}
