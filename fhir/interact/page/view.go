package page

import (
	"crypto/sha256"
	"encoding/json"
	"hash"
	"time"

	"hutong/fhir/search"
)

// ViewOf digests what the total of a query depends on beside its snapshot: the
// values that it asks for, which may be widened to all records of a person, and
// the rules of its restriction that are in force now. ok is false if that has
// no digest.
func ViewOf(q *search.Query, now time.Time) (view [ViewLen]byte, ok bool) {
	h := sha256.New()
	ok = writeQuery(h, q, now)
	copy(view[:], h.Sum(nil))
	return view, ok
}

func writeQuery(h hash.Hash, q *search.Query, now time.Time) bool {
	r := &q.Restriction
	ok := write(h, r.Decided, r.System, inForce(r.Permit, now), inForce(r.Deny, now), q.Type, q.Types, len(q.Filter))
	for i := range q.Filter {
		p := &q.Filter[i]
		code := ""
		if p.Param != nil {
			code = p.Param.Code
		}
		ok = ok && write(h, code, p.Modifier, p.Values, len(p.Chain), p.Has != nil)
		for _, sub := range p.Chain {
			ok = ok && writeQuery(h, sub, now)
		}
		if p.Has != nil {
			ok = ok && write(h, p.HasParam.Code) && writeQuery(h, p.Has, now)
		}
	}
	return ok
}

// inForce leaves out the rules that have ended.
func inForce(rules []search.Rule, now time.Time) (out []search.Rule) {
	for _, r := range rules {
		if r.Until.IsZero() || now.Before(r.Until) {
			out = append(out, r)
		}
	}
	return out
}

// write digests parts as JSON, which tells where each ends.
func write(h hash.Hash, parts ...any) bool {
	b, err := json.Marshal(parts)
	h.Write(b)
	return err == nil
}
