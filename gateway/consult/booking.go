package consult

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"hutong/fhir"
	"hutong/fhir/store"
)

// calendar keeps two nodes from booking one physician twice: between the check
// for other appointments and the commit of one's own, the other node's check
// does not see it. So who books reserves first, in a row a physician that is
// compared and set. A reservation counts for as long as its booking can be
// under way; then the Appointment is there, or the booking has failed.
type calendar struct {
	space store.Space
	now   func() time.Time
}

// underWay is longer than a search and a transaction may take, and than clocks
// of nodes differ.
const underWay = 5 * time.Minute

// contention bounds how often a row is read again because others changed it.
const contention = 64

type reservation struct {
	Consultation string
	Start, End   time.Time
	At           time.Time // when it was made
}

// reserve holds the time for all of these physicians, or for none: Conflict if
// another consultation is being booked for one of them at that time.
func (k calendar) reserve(ctx context.Context, r reservation, physicians ...string) error {
	r.At = k.now()
	return k.change(ctx, physicians, func(row []reservation) ([]reservation, error) {
		for _, other := range row {
			if other.Consultation != r.Consultation && other.Start.Before(r.End) && r.Start.Before(other.End) {
				return nil, fhir.Errorf(fhir.Conflict, "a physician is being booked for this time by somebody else; try again").At("start")
			}
		}
		return append(row, r), nil
	})
}

// release takes back what a booking that failed has reserved, so that the time
// need not stay reserved until it counts no more.
func (k calendar) release(ctx context.Context, r reservation, physicians ...string) error {
	return k.change(ctx, physicians, func(row []reservation) ([]reservation, error) {
		return slices.DeleteFunc(row, func(x reservation) bool {
			return x.Consultation == r.Consultation && x.Start.Equal(r.Start) && x.End.Equal(r.End)
		}), nil
	})
}

// change rewrites the physicians' rows together, without what counts no more.
func (k calendar) change(ctx context.Context, physicians []string, f func([]reservation) ([]reservation, error)) error {
	slices.Sort(physicians)
	for range contention {
		var writes []store.Write
		for _, p := range slices.Compact(physicians) {
			w, err := k.rewrite(ctx, p, f)
			if err != nil {
				return err
			}
			writes = append(writes, w)
		}
		if err := k.space.Apply(ctx, writes); !errors.Is(err, fhir.E(fhir.Conflict)) {
			return err
		}
	}
	return fhir.Errorf(fhir.Busy, "too many bookings of a physician at once")
}

func (k calendar) rewrite(ctx context.Context, physician string, f func([]reservation) ([]reservation, error)) (store.Write, error) {
	w := store.Write{Key: []byte("booking/" + physician), If: store.IfEquals}
	var err error
	if w.Old, err = k.space.Get(ctx, w.Key); err != nil {
		return w, err
	}
	var row []reservation
	if w.Old == nil {
		w.If = store.IfAbsent
	} else if err := json.Unmarshal(w.Old, &row); err != nil {
		return w, fhir.Errorf(fhir.Internal, "a calendar cannot be read: %w", err)
	}
	row = slices.DeleteFunc(row, func(r reservation) bool { return k.now().Sub(r.At) > underWay })
	if row, err = f(row); err != nil {
		return w, err
	}
	w.Value, err = json.Marshal(row)
	return w, err
}
