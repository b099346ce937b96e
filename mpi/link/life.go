package link

import (
	"time"

	"hutong/mpi/normal"
)

// Life is what a record says of its person's life, for the contradictions that
// keep two records apart whatever else agrees.
type Life struct {
	Dead  bool        `json:"d,omitempty"`
	Alive bool        `json:"a,omitempty"` // said outright: deceasedBoolean is false
	Died  normal.Date `json:"t,omitzero"`  // if the day is known
}

// deathSlack is how far two hospitals' dates of death may lie apart before
// they speak of two deaths: a day of registration is not one of death.
const deathSlack = 31 * 24 * time.Hour

// Against gives the reason why two records contradict each other about life
// and death, or "". It is symmetric, and depends on the two records alone.
func Against(a, b *normal.Record, x, y Life) Reason {
	switch {
	case x.Died.Full() && y.Died.Full() && apart(x.Died, y.Died) > deathSlack:
		return TwoDeaths
	case bornAfter(a, y) || bornAfter(b, x):
		return BornAfterDeath
	case (x.Dead && y.Alive || y.Dead && x.Alive) && !sameCitizenID(a, b):
		return DeadAndAlive
	}
	return ""
}

func bornAfter(r *normal.Record, of Life) bool {
	return r.Birth.Full() && of.Died.Full() && day(r.Birth).After(day(of.Died))
}

// sameCitizenID excuses a hospital that has not heard of the death yet.
func sameCitizenID(a, b *normal.Record) bool {
	x := a.CitizenID()
	return x != "" && x == b.CitizenID()
}

func apart(a, b normal.Date) time.Duration { return day(a).Sub(day(b)).Abs() }

func day(d normal.Date) time.Time {
	return time.Date(d.Year, time.Month(d.Month), d.Day, 0, 0, 0, 0, time.UTC)
}
