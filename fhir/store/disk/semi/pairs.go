package semi

import (
	"bytes"

	"hutong/fhir"
	"hutong/fhir/store/disk/judge"
	"hutong/fhir/store/disk/layout"
)

// Pairs tells of one patient after the other whether resources with a token name
// them as their patient, by the list of both. It is not safe for concurrent use.
type Pairs struct {
	T fhir.T
	// Each visits the rows of the tree whose keys begin with prefix.
	Each   func(prefix []byte, visit func(key, value []byte) (more bool, err error)) error
	Judge  *judge.Judge // what the caller may see of them
	List   []byte       // the postings of patients and tokens, without 'X'
	Tokens [][]byte     // what stands there behind the patient

	key []byte
}

// Of judges the resources of a patient: of several the highest verdict counts. What
// was superseded since T is not among them.
func (p *Pairs) Of(patient string) (judge.Verdict, error) {
	best := judge.No
	for _, token := range p.Tokens {
		p.key = append(append(p.key[:0], 'X'), p.List...)
		p.key = append(layout.AppendCut(p.key, patient), token...)
		size := len(p.key) + layout.PlaceLen
		err := p.Each(p.key, func(key, value []byte) (bool, error) {
			from, class := layout.PostedOf(value)
			if len(key) != size || from > p.T {
				return true, nil
			}
			v, err := p.Judge.Of(class, layout.PlaceOf(key))
			best = max(best, v)
			return best != judge.Yes, err
		})
		if best == judge.Yes || err != nil {
			return best, err
		}
	}
	return best, nil
}

// TokensOf gives what stands behind a patient for lists of tokens and values.
func TokensOf(lists [][]byte) [][]byte {
	out := make([][]byte, len(lists))
	for i, l := range lists {
		out[i] = bytes.Clone(l[4:])
	}
	return out
}
