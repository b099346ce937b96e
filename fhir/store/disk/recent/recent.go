// Package recent keeps the newest changes in memory, where those who follow the
// log find them without reading a row for each. It holds what the log holds, as
// long as it holds it at all.
package recent

import (
	"slices"
	"sort"
	"sync"
	"time"

	"hutong/fhir"
	"hutong/fhir/store"
)

// kept is how many versions are held, about: followers read 512 at a time.
const kept = 2048

// Log is safe for concurrent use.
type Log struct {
	mu      sync.Mutex
	from    fhir.T         // all changes behind it are held
	changes []store.Change // oldest first
}

// Reset forgets all changes up to t.
func (l *Log) Reset(t fhir.T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.from = max(l.from, t)
	l.changes = slices.Clone(l.changes[l.behind(t):])
}

// Add takes in what commit t made of ops, before anybody can read at t. Of a
// deletion the ops do not tell whom it concerned, so that followers read its
// commit, and what was before, from the log.
func (l *Log) Add(t fhir.T, versions []fhir.Version, ops []store.Op) {
	if slices.ContainsFunc(ops, func(op store.Op) bool { return op.Method == fhir.Deleted }) {
		l.Reset(t)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range versions {
		f := ops[i].Facts
		if !f.Clinical.IsZero() {
			f.Clinical = f.Clinical.Truncate(time.Millisecond).UTC() // as the row has it
		}
		l.changes = append(l.changes, store.Change{Version: versions[i], Facts: f})
	}
	if n := len(l.changes) - kept; n > kept {
		l.from = l.changes[n-1].T
		l.changes = slices.Clone(l.changes[l.behind(l.from):])
	}
}

// After gives the changes behind t up to end, whole commits and about limit, at
// least one commit; ok is false if some of them are no longer held.
func (l *Log) After(t, end fhir.T, limit int) (out []store.Change, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t < l.from {
		return nil, false
	}
	i, j := l.behind(t), l.behind(end)
	if limit = max(limit, 1); j-i > limit {
		j = l.behind(l.changes[i+limit-1].T)
	}
	return append(out, l.changes[i:max(i, j)]...), true
}

// behind is the place of the first change behind t.
func (l *Log) behind(t fhir.T) int {
	return sort.Search(len(l.changes), func(i int) bool { return l.changes[i].T > t })
}
