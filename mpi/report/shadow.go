package report

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Comparison sums up a shadow model against the one in force.
type Comparison struct {
	Model string `json:"model"` // the shadow's version
	Pairs int    `json:"pairs"` // that either would link or ask about
	// Counts of pairs by the verdicts "live -> shadow", "review -> none".
	Verdicts map[string]int `json:"verdicts"`
	// Disagreements are the pairs on which the two part ways, those first whose
	// probability moves most; at most the limit asked for.
	Disagreements []Shadow `json:"disagreements"`
	Truncated     bool     `json:"truncated"` // more pairs are recorded than were read
}

// maxPairs bounds how many recorded pairs a comparison reads.
const maxPairs = 200_000

// Models lists the versions of the shadow models that pairs are recorded of.
func (r Reader) Models(ctx context.Context) (out []string, err error) {
	for from := []byte(shadowPrefix); ; {
		kvs, err := r.Space.Scan(ctx, from, behind(shadowPrefix), 1)
		if err != nil || len(kvs) == 0 {
			return out, err
		}
		model, _, _ := strings.Cut(strings.TrimPrefix(string(kvs[0].Key), shadowPrefix), sep)
		out = append(out, model)
		from = behind(shadowPrefix + model + sep)
	}
}

// Compare reads what is recorded of a shadow model.
func (r Reader) Compare(ctx context.Context, model string, limit int) (*Comparison, error) {
	prefix := shadowPrefix + model + sep
	kvs, err := r.Space.Scan(ctx, []byte(prefix), behind(prefix), maxPairs+1)
	if err != nil {
		return nil, err
	}
	out := &Comparison{Model: model, Verdicts: map[string]int{}, Disagreements: []Shadow{}, Truncated: len(kvs) > maxPairs}
	for _, kv := range kvs[:min(len(kvs), maxPairs)] {
		var s Shadow
		if err := json.Unmarshal(kv.Value, &s); err != nil {
			return nil, fmt.Errorf("report: stored value cannot be read: %w", err)
		}
		out.Pairs++
		out.Verdicts[s.Live+" -> "+s.Shadow]++
		if s.Live != s.Shadow {
			out.Disagreements = append(out.Disagreements, s)
		}
	}
	slices.SortStableFunc(out.Disagreements, func(a, b Shadow) int { return cmp.Compare(moved(b), moved(a)) })
	out.Disagreements = out.Disagreements[:min(len(out.Disagreements), limit)]
	return out, nil
}

func moved(s Shadow) float64 {
	if s.Other > s.Probability {
		return s.Other - s.Probability
	}
	return s.Probability - s.Other
}

func keys(m map[string]own) []string { return slices.Sorted(maps.Keys(m)) }
