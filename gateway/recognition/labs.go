package recognition

import (
	"context"
	"errors"
	"sync"
	"time"

	"hutong/fhir"
	"hutong/fhir/interact"
)

// Laboratories change a few times a year and their Organizations are large
// (hundreds of rounds), so they are kept for a minute: a failed round counts
// from then on at the latest.
const (
	labAge = time.Minute
	labMax = 2048
)

// labCache keeps parsed Organizations. Safe for concurrent use.
type labCache struct {
	mu sync.Mutex
	of map[fhir.Key]cachedLab
}

type cachedLab struct {
	*laboratory
	read time.Time
}

// get reads an Organization as the exchange itself: that a laboratory passed
// its assessment is nobody's secret. An absent one is a laboratory without
// anything.
func (c *labCache) get(ctx context.Context, records Records, k fhir.Key, now time.Time) (*laboratory, error) {
	c.mu.Lock()
	hit, ok := c.of[k]
	c.mu.Unlock()
	if ok && now.Sub(hit.read) < labAge {
		return hit.laboratory, nil
	}
	lab, err := readLab(ctx, records, k)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil || len(c.of) >= labMax {
		c.of = map[fhir.Key]cachedLab{}
	}
	c.of[k] = cachedLab{lab, now}
	return lab, nil
}

func readLab(ctx context.Context, records Records, k fhir.Key) (*laboratory, error) {
	if k.ID == "" {
		return &laboratory{}, nil
	}
	res, err := records.Read(ctx, interact.SystemCaller(""), k)
	if errors.Is(err, fhir.E(fhir.NotFound)) || errors.Is(err, fhir.E(fhir.Gone)) {
		return &laboratory{}, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := parse(res.Body.Raw)
	if err != nil {
		return nil, err
	}
	return r.laboratory(), nil
}
