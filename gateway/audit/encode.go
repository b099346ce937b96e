package audit

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/profiles"
)

// encode writes the event with room for its place in the chain, which is of
// fixed width: its own id, the hash of the record before, and, of a part, the
// id of the whole. chain is the chain's name.
func (e *event) encode(chain string) *record {
	r := &record{custodian: e.custodian}
	b := append(make([]byte, 0, e.size()), `{"resourceType":"AuditEvent","id":"`...)
	r.id = len(b)
	b = append(appendID(b, chain, 0), `","meta":{`...)
	r.metaAt = uint32(len(b))
	b = codec.AppendString(append(b, `"tag":[{"system":"`+profiles.CustodianTag+`","code":`...), e.custodian)
	b = append(b, `}]},"extension":[{"url":"`+PreviousExtension+`","valueString":"`...)
	r.previous = len(b)
	b = append(append(b, genesis...), `"}]`...)
	r.content = len(b)
	b = e.what(b)
	r.recorded = len(b)
	b = append(e.Recorded.UTC().AppendFormat(append(member(b, "recorded"), '"'), fhir.InstantLayout), '"')
	r.outcome = len(b)
	b = e.who(b)
	r.entity = len(b)
	b = list(b, "entity", e.Entity, (*entity).append)
	if e.partOf {
		b, r.whole = e.part(b, chain)
	}
	r.raw = append(b, '}')
	return r
}

// size estimates the bytes of the event, from above for most.
func (e *event) size() int {
	n := 1024 + 256*len(e.Agent) + 288*len(e.Entity)
	for i := range e.Entity {
		n += len(e.Entity[i].Query) + 64*len(e.Entity[i].Detail)
	}
	return n
}

// what writes the elements before the moment.
func (e *event) what(b []byte) []byte {
	b = append(e.Type.append(append(member(b, "type"), '{')), '}')
	return text(list(b, "subtype", e.Subtype, (*coding).append), "action", e.Action)
}

// who writes the elements between the moment and the entities.
func (e *event) who(b []byte) []byte {
	b = text(text(b, "outcome", e.Outcome), "outcomeDesc", e.OutcomeDesc)
	b = list(b, "purposeOfEvent", e.Purpose, (*concept).append)
	b = list(b, "agent", e.Agent, (*agent).append)
	return append(e.Source.append(append(member(b, "source"), '{')), '}')
}

// part adds the entity that refers to the whole, and tells where its id stands.
func (e *event) part(b []byte, chain string) (with []byte, at int) {
	if len(e.Entity) == 0 {
		b = append(member(b, "entity"), '[')
	} else {
		b[len(b)-1] = ','
	}
	at = len(b) + len(`{"what":{"reference":"AuditEvent/`)
	whole := partOf(recordKey(chain, 0))
	return append(whole.append(append(b, '{')), '}', ']'), at
}

// partOf is the entity of a part that refers to the whole.
func partOf(whole fhir.Key) entity {
	return entity{What: &reference{Reference: whole.String()}, Type: systemObject(), Role: &coding{objectSystem, "13", "Security Resource"}}
}

// appendID writes the id of a record.
func appendID(b []byte, chain string, seq uint64) []byte {
	b = append(append(b, chain...), '-')
	for limit := uint64(100_000_000_000); limit > max(seq, 1); limit /= 10 {
		b = append(b, '0')
	}
	return strconv.AppendUint(b, seq, 10)
}

func (c *coding) append(b []byte) []byte {
	return text(text(text(b, "system", c.System), "code", c.Code), "display", c.Display)
}

func (c *concept) append(b []byte) []byte {
	return text(list(b, "coding", c.Coding, (*coding).append), "text", c.Text)
}

func (r *identifier) append(b []byte) []byte {
	return text(text(b, "system", r.System), "value", r.Value)
}

func (r *reference) append(b []byte) []byte {
	b = text(b, "reference", r.Reference)
	b = object(b, "identifier", r.Identifier, (*identifier).append)
	return text(b, "display", r.Display)
}

func (n *network) append(b []byte) []byte {
	return text(text(b, "address", n.Address), "type", n.Type)
}

func (a *agent) append(b []byte) []byte {
	b = object(b, "type", a.Type, (*concept).append)
	b = list(b, "role", a.Role, (*concept).append)
	b = object(b, "who", a.Who, (*reference).append)
	b = text(text(b, "altId", a.AltID), "name", a.Name)
	b = strconv.AppendBool(member(b, "requestor"), a.Requestor)
	return object(b, "network", a.Network, (*network).append)
}

func (d *detail) append(b []byte) []byte {
	return text(text(b, "type", d.Type), "valueString", d.Value)
}

func (x *entity) append(b []byte) []byte {
	b = object(b, "what", x.What, (*reference).append)
	b = object(b, "type", x.Type, (*coding).append)
	b = object(b, "role", x.Role, (*coding).append)
	b = text(text(b, "name", x.Name), "query", x.Query)
	return list(b, "detail", x.Detail, (*detail).append)
}

func (s *source) append(b []byte) []byte {
	b = text(b, "site", s.Site)
	b = object(b, "observer", &s.Observer, (*reference).append)
	return list(b, "type", s.Type, (*coding).append)
}

// member begins a member of an object: a text of ours ends in no brace.
func member(b []byte, name string) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	return append(append(append(b, '"'), name...), '"', ':')
}

// text writes a member unless it is empty.
func text(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return codec.AppendString(member(b, name), printable(value))
}

// printable replaces control characters, which a FHIR string must not hold: a
// login is recorded as it was sent.
func printable(s string) string {
	for i := range len(s) {
		if control(rune(s[i])) {
			return strings.Map(func(r rune) rune {
				if control(r) {
					return utf8.RuneError
				}
				return r
			}, s)
		}
	}
	return s
}

func control(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' }

// object writes a member unless it is absent.
func object[T any](b []byte, name string, v *T, content func(*T, []byte) []byte) []byte {
	if v == nil {
		return b
	}
	return append(content(v, append(member(b, name), '{')), '}')
}

// list writes a member unless it is empty.
func list[T any](b []byte, name string, of []T, content func(*T, []byte) []byte) []byte {
	if len(of) == 0 {
		return b
	}
	b = append(member(b, name), '[')
	for i := range of {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(content(&of[i], append(b, '{')), '}')
	}
	return append(b, ']')
}
