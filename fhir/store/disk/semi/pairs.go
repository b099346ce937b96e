package semi

import (
	"bytes"
	"hash/maphash"

	"hutong/fhir"
	"hutong/fhir/store/disk/judge"
	"hutong/fhir/store/disk/layout"
	"hutong/fhir/store/disk/warm"
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
	Known  *warm.Pairs  // what earlier readings found, and
	Epoch  uint64       // of this one

	key     []byte
	numbers []uint64 // of the tokens, in Known
}

// seed numbers tokens.
var seed = maphash.MakeSeed()

// Of judges the resources of a patient: of several the highest verdict counts. What
// was superseded since T is not among them.
func (p *Pairs) Of(rid layout.RID, patient string) (best judge.Verdict, err error) {
	for i, token := range p.Tokens {
		p.key = append(append(p.key[:0], 'X'), p.List...)
		if len(p.numbers) == i {
			p.numbers = append(p.numbers, maphash.Bytes(seed, append(p.key, token...)))
		}
		pair := warm.Pair{Patient: rid, Token: p.numbers[i]}
		first, known := p.Known.First(pair, p.T)
		if known {
			v, err := p.verdict(first)
			if best = max(best, v); v == judge.Yes || err != nil {
				return best, err
			}
			if !first.Some {
				continue
			}
		}
		p.key = append(layout.AppendCut(p.key, patient), token...)
		size := len(p.key) + layout.PlaceLen
		first = warm.First{}
		err := p.Each(p.key, func(key, value []byte) (bool, error) {
			from, class := layout.PostedOf(value)
			if len(key) != size || from > p.T {
				return true, nil
			}
			one := warm.First{Some: true, Class: class, Place: layout.PlaceOf(key)}
			if !first.Some {
				first = one
			}
			v, err := p.verdict(one)
			best = max(best, v)
			return best != judge.Yes, err
		})
		if err != nil {
			return best, err
		}
		if p.Known.Keep(pair, p.T, p.Epoch, first); best == judge.Yes {
			return best, nil
		}
	}
	return best, nil
}

// verdict is that on a posting.
func (p *Pairs) verdict(f warm.First) (judge.Verdict, error) {
	if !f.Some {
		return judge.No, nil
	}
	return p.Judge.Of(f.Class, f.Place)
}

// TokensOf gives what stands behind a patient for lists of tokens and values.
func TokensOf(lists [][]byte) [][]byte {
	out := make([][]byte, len(lists))
	for i, l := range lists {
		out[i] = bytes.Clone(l[4:])
	}
	return out
}
