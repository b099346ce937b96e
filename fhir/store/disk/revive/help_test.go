package revive_test

import (
	"math/rand/v2"

	"hutong/fhir/search"
)

func rng(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

func unrestricted() search.Restriction { return search.Unrestricted() }
