package mpi

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sort"

	"hutong/mpi/batch"
	"hutong/mpi/block"
	"hutong/mpi/link"
	"hutong/mpi/normal"
	"hutong/mpi/score"
	"hutong/mpi/source"
	"hutong/testdata/people"
)

// accuracy measures how well records of n seeded people are put together: as a
// file, and by the index's own keys and rules.
func (c *Cmd) accuracy(ctx context.Context, rep *Report, dir string, n int) error {
	all := people.All(c.Seed, n)
	truth := make([]int, len(all))
	for i := range all {
		truth[i] = all[i].Person
	}
	rep.add("records", float64(len(all)), "")
	for _, part := range []struct {
		name    string
		cluster func(context.Context, []people.Record, string) ([]int, error)
	}{
		{"file", c.asFile},
		{"index, numbers alone link (ID-11)", c.asIndex(0)},
		{fmt.Sprintf("index, demographics link from %g in a region of %d", unasked, c.region(n)), c.asIndex(unasked)},
	} {
		clusters, err := part.cluster(ctx, all, dir)
		if err != nil {
			return err
		}
		s := scoreClusters(truth, clusters)
		rep.add(part.name+": precision", s.precision(), "")
		rep.add(part.name+": recall", s.recall(), "")
		rep.add(part.name+": pairs wrongly joined", float64(s.found-s.hit), "")
		c.say("%s: %d records, precision %.6f, recall %.6f, %d pairs wrongly joined, %d missed", part.name, len(all), s.precision(), s.recall(), s.found-s.hit, s.real-s.hit)
		c.say("  missed, by what happened to them: %s", traits(all, clusters, missed))
		c.say("  wrongly joined: %s", traits(all, clusters, wrong))
	}
	return c.calibration(ctx, rep, all)
}

// unasked is the probability from which demographics link in the figures of a
// region that lets them (hutong mpi region --link).
const unasked = 0.99

// region is how many people the region is said to have: as many as there are, if
// nothing else is said.
func (c *Cmd) region(people int) int { return cmp.Or(c.Population, people) }

func (c *Cmd) asFile(ctx context.Context, _ []people.Record, dir string) ([]int, error) {
	name := filepath.Join(dir, "accuracy.csv")
	if _, err := c.file(name, c.Accuracy); err != nil {
		return nil, err
	}
	file := batch.NewFile(people.Today)
	if err := readInto(ctx, name, file); err != nil {
		return nil, err
	}
	res, err := batch.Match(ctx, file, batch.Options{})
	if err != nil {
		return nil, err
	}
	return res.Clusters, nil
}

// asIndex lets the records meet under the index's keys and follows its rules,
// as it would whatever the order of arrival: edges from the strongest down. From
// a probability of unasked on, demographics link, too; 0 is never.
func (c *Cmd) asIndex(unasked float64) func(context.Context, []people.Record, string) ([]int, error) {
	return func(ctx context.Context, all []people.Record, _ string) ([]int, error) {
		model, err := score.Default()
		if err != nil {
			return nil, err
		}
		return byRules(ctx, link.NewRules(model.ForRegion(c.region(c.Accuracy), unasked)), all)
	}
}

func byRules(ctx context.Context, rules *link.Rules, all []people.Record) ([]int, error) {
	records, err := recordsOf(all)
	if err != nil {
		return nil, err
	}
	var edges []link.Edge
	err = met(ctx, records, func(a, b int) {
		if v := rules.Decide(records[a], records[b], people.Today); v.Kind == link.Link {
			edges = append(edges, link.Edge{A: idOf(a), B: idOf(b), Weight: v.Score.Weight})
		}
	})
	return divide(rules, records, edges), err
}

// recordsOf are the records as the index reads them.
func recordsOf(all []people.Record) ([]*normal.Record, error) {
	records := make([]*normal.Record, len(all))
	for i := range all {
		p, err := source.Read(all[i].Patient())
		if err != nil {
			return nil, err
		}
		records[i] = p.Record(fmt.Sprint("hospital-", all[i].Hospital), people.Today)
	}
	return records, nil
}

// met gives every pair that shares a key of the index, once.
func met(ctx context.Context, records []*normal.Record, take func(a, b int)) error {
	lists := map[block.Key][]int{}
	for i, r := range records {
		for _, k := range block.Keys(r, people.Today) {
			lists[k] = append(lists[k], i)
		}
	}
	seen := map[[2]int]bool{}
	for k, list := range lists {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if len(list) > k.Pass.Cap() {
			continue
		}
		for i, a := range list {
			for _, b := range list[i+1:] {
				if pair := [2]int{a, b}; !seen[pair] {
					seen[pair] = true
					take(a, b)
				}
			}
		}
	}
	return nil
}

func idOf(i int) string { return fmt.Sprintf("%09d", i) }

// divide gives each record the lowest record of its person.
func divide(rules *link.Rules, records []*normal.Record, edges []link.Edge) []int {
	root := make([]int, len(records))
	ids := make([]string, len(records))
	at := map[string]int{}
	for i := range root {
		root[i], ids[i] = i, idOf(i)
		at[ids[i]] = i
	}
	groups, _ := link.Partition(ids, edges, func(a, b string, _ bool) link.Relation {
		return rules.Relate(records[at[a]], records[at[b]], link.Life{}, link.Life{})
	})
	for _, g := range groups {
		for _, id := range g {
			root[at[id]] = at[g[0]]
		}
	}
	return root
}

func missed(same, joined bool) bool { return same && !joined }
func wrong(same, joined bool) bool  { return !same && joined }

// traits counts the pairs that are as asked for by what is hard about them.
func traits(all []people.Record, clusters []int, asked func(same, joined bool) bool) string {
	groups := map[int][]int{}
	for i := range all {
		groups[all[i].Person] = append(groups[all[i].Person], i)
		groups[-1-clusters[i]] = append(groups[-1-clusters[i]], i)
	}
	count := map[string]int{}
	for key, g := range groups {
		for i, a := range g {
			for _, b := range g[i+1:] {
				same, joined := all[a].Person == all[b].Person, clusters[a] == clusters[b]
				if same == (key >= 0) && asked(same, joined) {
					for _, t := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(all[a].Traits, all[b].Traits)))) {
						count[t]++
					}
				}
			}
		}
	}
	names := slices.Collect(maps.Keys(count))
	sort.Slice(names, func(i, j int) bool {
		return count[names[i]] > count[names[j]] || count[names[i]] == count[names[j]] && names[i] < names[j]
	})
	out := ""
	for _, n := range names {
		out += fmt.Sprintf("%s %d, ", n, count[n])
	}
	return out
}
