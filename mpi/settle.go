package mpi

import (
	"context"
	"slices"
	"strings"
	"time"

	"hutong/mpi/bulk"
	"hutong/mpi/link"
)

// maxComponent bounds how many records may hang together by certain evidence.
// More than that is a number that a hospital uses for everyone: the records
// stay with the persons they have and the event is counted and logged.
const maxComponent = 400

// component is a set of records that hang together, with all that decides how
// it divides into persons.
type component struct {
	ids       []string
	rows      map[string]*row
	edges     []link.Edge
	stored    map[[2]string]*edge
	decisions map[[2]string]*decision
	forgiven  map[[2]string]bool // pairs of citizen ids that a human declared one person
}

// settle divides anew every component that the seeds belong to, and stages the
// persons that change.
func (c *change) settle(ctx context.Context, seeds []string) error {
	comp, err := c.gather(ctx, seeds)
	if err != nil {
		return err
	}
	if len(comp.ids) > maxComponent {
		c.x.stats.oversized.Add(1)
		c.x.log.Error().Str("patient", seeds[0]).Int("records", len(comp.ids)).Msg("mpi: too many records hang together; they keep their persons")
		return c.alone(ctx, seeds)
	}
	live := make([]string, 0, len(comp.ids))
	for _, id := range comp.ids {
		if !comp.rows[id].head.Deleted {
			live = append(live, id)
		}
	}
	slices.Sort(live)
	groups, refused := link.Partition(live, comp.edges, func(a, b string, human bool) link.Relation { return c.x.relate(comp, a, b, human) })
	c.refused = refused
	return c.assign(ctx, comp, groups)
}

// gather walks from the seeds along certain edges, human links and present
// persons until nothing new is reached.
func (c *change) gather(ctx context.Context, seeds []string) (*component, error) {
	comp := &component{rows: map[string]*row{}, stored: map[[2]string]*edge{}, decisions: map[[2]string]*decision{}, forgiven: map[[2]string]bool{}}
	queue := slices.Clone(seeds)
	if c.subject != nil {
		old, err := c.others(ctx, edgePrefix, c.subject.ID)
		if err != nil {
			return nil, err
		}
		queue = append(queue, sortedKeys(old)...)
	}
	for len(queue) > 0 && len(comp.ids) <= maxComponent {
		id := queue[0]
		queue = queue[1:]
		if comp.rows[id] != nil {
			continue
		}
		more, err := c.visit(ctx, comp, id)
		if err != nil {
			return nil, err
		}
		queue = append(queue, more...)
	}
	comp.forgive()
	return comp, nil
}

func (c *change) visit(ctx context.Context, comp *component, id string) (more []string, err error) {
	r, err := c.getRow(ctx, id)
	if err != nil || r == nil {
		return nil, err
	}
	comp.rows[id] = r
	comp.ids = append(comp.ids, id)
	edges, err := c.edgesOf(ctx, id)
	if err != nil {
		return nil, err
	}
	for other, e := range edges {
		a, b := link.Order(id, other)
		if comp.stored[[2]string{a, b}] == nil {
			comp.stored[[2]string{a, b}] = e
			comp.edges = append(comp.edges, link.Edge{A: a, B: b, Weight: e.Weight})
		}
		more = append(more, other)
	}
	said, err := c.decisionsOf(ctx, id)
	if err != nil {
		return nil, err
	}
	for other, d := range said {
		a, b := link.Order(id, other)
		if _, held := comp.decisions[[2]string{a, b}]; held {
			continue
		}
		comp.decisions[[2]string{a, b}] = d
		if d.Same {
			comp.edges = append(comp.edges, link.Edge{A: a, B: b, Must: true})
			more = append(more, other)
		}
	}
	if r.head.Person != "" {
		p, err := follow(ctx, r.head.Person, c.personRow)
		if err != nil {
			return nil, err
		}
		if p != nil {
			more = append(more, p.Members...)
		}
	}
	return more, nil
}

// forgive notes which pairs of citizen ids a human has declared to be one
// person: their difference parts nobody any more.
func (comp *component) forgive() {
	for p, d := range comp.decisions {
		a, b := comp.rows[p[0]], comp.rows[p[1]]
		if !d.Same || a == nil || b == nil {
			continue
		}
		x, y := link.Order(a.rec.CitizenID(), b.rec.CitizenID())
		comp.forgiven[[2]string{x, y}] = true
	}
}

// relate is how two records of the component (a < b) stand to each other: a
// human's word first, then what the rules say of them.
func (x *Index) relate(comp *component, a, b string, human bool) link.Relation {
	if d := comp.decisions[[2]string{a, b}]; d != nil {
		if d.Same {
			return link.Relation{}
		}
		return link.Relation{Apart: link.HumanReject}
	}
	if human {
		return link.Relation{}
	}
	p, q := comp.rows[a], comp.rows[b]
	r := x.rules.Relate(p.rec, q.rec, p.head.Life, q.head.Life)
	if v, w := link.Order(p.rec.CitizenID(), q.rec.CitizenID()); r.Apart == link.TwoCitizenIDs && comp.forgiven[[2]string{v, w}] {
		return link.Relation{}
	}
	return r
}

// assign gives the groups their persons and stages what changes.
func (c *change) assign(ctx context.Context, comp *component, groups [][]string) error {
	was := func(id string) string {
		if p := c.prefer[id]; p != "" {
			return p
		}
		return comp.rows[id].head.Person
	}
	ids := link.Assign(groups, was, func() string { return "" })
	taken := map[string]bool{}
	for _, p := range ids {
		taken[p] = true
	}
	for i, g := range groups {
		if ids[i] != "" {
			continue
		}
		p, err := c.origin(ctx, comp, g, taken)
		if err != nil {
			return err
		}
		ids[i], taken[p] = p, true
	}
	return c.stage(ctx, comp, groups, ids)
}

// origin finds a person for a group that has none: the one that a member was
// first given, if nobody uses it now, so that a record that was parted gets its
// old person back; otherwise a new one.
func (c *change) origin(ctx context.Context, comp *component, group []string, taken map[string]bool) (string, error) {
	for _, id := range group {
		o := comp.rows[id].head.Origin
		if o == "" || taken[o] {
			continue
		}
		p, err := c.personRow(ctx, o)
		if err != nil {
			return "", err
		}
		if p != nil && (p.Into != "" || len(p.Members) == 0 || slices.Equal(p.Members, []string{id})) {
			return o, nil
		}
	}
	fresh := personIDPrefix + c.nextID(c.at)
	c.minted = append(c.minted, fresh)
	return fresh, nil
}

// stage compares the new persons with the old and stages those that differ.
func (c *change) stage(ctx context.Context, comp *component, groups [][]string, ids []string) error {
	olds := map[string]*person{}
	load := func(id string) error {
		if id == "" || olds[id] != nil {
			return nil
		}
		var p *person
		var err error
		if !slices.Contains(c.minted, id) {
			p, err = c.personRow(ctx, id)
		}
		if p == nil {
			p = &person{ID: id}
		}
		olds[id] = p
		return err
	}
	for _, id := range slices.Concat(ids, comp.persons()) {
		if err := load(id); err != nil {
			return err
		}
	}
	home := map[string]string{} // record -> person
	for i, g := range groups {
		for _, id := range g {
			home[id] = ids[i]
		}
		if old := olds[ids[i]]; !slices.Equal(old.Members, g) || old.Into != "" {
			c.member(old, &person{ID: ids[i], Members: g, Rev: old.Rev, raw: old.raw})
		}
	}
	for id, p := range olds {
		if !slices.Contains(ids, id) && len(p.Members) > 0 {
			c.member(p, &person{ID: id, Into: heir(p, home), Rev: p.Rev, raw: p.raw})
		}
	}
	c.rehome(comp, home)
	sortMemberships(c.before)
	sortMemberships(c.after)
	c.duplicates(comp)
	return nil
}

// heir is the person that most of p's members went to; "" if they are gone.
func heir(p *person, home map[string]string) string {
	votes := map[string]int{}
	best := ""
	for _, id := range p.Members {
		h := home[id]
		if h == "" {
			continue
		}
		votes[h]++
		if best == "" || votes[h] > votes[best] || votes[h] == votes[best] && h < best {
			best = h
		}
	}
	return best
}

func (c *change) member(old, next *person) {
	c.persons[next.ID] = next
	if len(old.Members) > 0 {
		c.before = append(c.before, Membership{Person: keyOf(old.ID).String(), Members: refs(old.Members)})
	}
	if len(next.Members) > 0 {
		c.after = append(c.after, Membership{Person: keyOf(next.ID).String(), Members: refs(next.Members)})
	}
}

// rehome rewrites the rows whose person changed. A deleted record keeps its
// person only while that person has no other member.
func (c *change) rehome(comp *component, home map[string]string) {
	for id, r := range comp.rows {
		to := home[id]
		if r.head.Deleted {
			to = r.head.Person
			if p := c.persons[to]; p == nil || len(p.Members) > 0 || p.Into != "" {
				to = ""
			}
		}
		if r.head.Person == to {
			continue
		}
		moved := *r
		moved.head.Person = to
		if moved.head.Origin == "" {
			moved.head.Origin = to
		}
		c.rows[id] = &moved
	}
}

func (comp *component) persons() []string {
	var out []string
	for _, id := range comp.ids {
		if p := comp.rows[id].head.Person; p != "" && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// alone gives seeds without a person one of their own.
func (c *change) alone(ctx context.Context, seeds []string) error {
	comp := &component{rows: map[string]*row{}}
	var groups [][]string
	for _, id := range seeds {
		r, err := c.getRow(ctx, id)
		if err != nil {
			return err
		}
		if r != nil && r.head.Person == "" && !r.head.Deleted {
			comp.ids, comp.rows[id] = append(comp.ids, id), r
			groups = append(groups, []string{id})
		}
	}
	return c.assign(ctx, comp, groups)
}

func sortMemberships(m []Membership) {
	slices.SortFunc(m, func(a, b Membership) int { return strings.Compare(a.Person, b.Person) })
}

// component divides records as a feed does, and writes what becomes of them. One
// of which nothing else is known is a person of its own.
func (l *loader) component(ctx context.Context, w *bulk.Writer, at int, numbers []uint32, links []bulk.Verdict) error {
	if n := numbers[0]; len(numbers) == 1 && !l.quiet[n] && l.said[l.lists.Text(n)] == nil {
		id := l.base + 2*int64(at)
		p := &person{ID: personIDPrefix + l.x.idOf(id), Rev: 1, Members: []string{l.lists.Text(n)}}
		set(w, personPrefix, p.ID, p)
		l.homes[n] = l.offset(p.ID)
		l.entry(w, l.x.idOf(id+1), p, nil)
		return w.Err()
	}
	ids := make([]string, len(numbers))
	c := newChange(l.x, nil)
	used := l.base + 2*int64(at)
	c.nextID = func(time.Time) string { used++; return l.x.idOf(used - 1) }
	c.certain = map[string]map[string]*edge{}
	for i, n := range numbers {
		r, err := l.row(n)
		if err != nil {
			return err
		}
		ids[i] = r.ID
		c.rows[r.ID] = r
		c.certain[r.ID] = map[string]*edge{}
		c.asked[decisionPrefix+r.ID] = l.said[r.ID]
	}
	for i := range links {
		a, b, e := l.lists.Text(links[i].A), l.lists.Text(links[i].B), l.edge(&links[i])
		c.certain[a][b], c.certain[b][a] = e, e
		raw := put("", e).Value
		w.Add(edgePrefix, pair("", a, b), raw)
		w.Add(edgePrefix, pair("", b, a), raw)
	}
	if err := c.settle(ctx, ids); err != nil {
		return err
	}
	home := map[string]uint32{}
	for _, id := range sortedKeys(c.persons) {
		p := c.persons[id]
		p.Rev = 1
		set(w, personPrefix, id, p)
		home[id] = l.offset(id)
		l.entry(w, c.nextID(c.at), p, c.certain)
	}
	for i, n := range numbers {
		if p := c.rows[ids[i]].head.Person; p != "" {
			l.homes[n] = home[p]
		}
	}
	for _, k := range c.order {
		if strings.HasPrefix(k, "du/") {
			w.Add("du/", k[len("du/"):], c.writes[k].Value)
		}
	}
	for _, f := range c.refused {
		t := &Task{ID: taskID(f.Edge.A, f.Edge.B), A: f.Edge.A, B: f.Edge.B, Probability: 1, Reasons: []link.Reason{link.Constrained, f.Reason}}
		l.parted.Store(t.ID, true)
		l.task(w, t)
	}
	return w.Err()
}
