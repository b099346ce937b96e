package event

import (
	"slices"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"hutong/fhir"
	"hutong/fhir/store"
)

// What one message holds at most; a commit of more makes several.
const (
	maxEvents  = 128
	maxPayload = 128 << 10 // checked before an event is added
)

// pack makes the messages: one for each type of a commit. A message costs the
// stream and its consumers far more than an event in it.
func pack(changes []store.Change) (messages []*nats.Msg) {
	open := map[fhir.Type]*parcel{}
	for i := range changes {
		e := of(&changes[i])
		p := open[e.Key.Type]
		if p == nil || p.first.T != e.T || p.n == maxEvents || len(p.msg.Data) > maxPayload {
			p.close()
			p = &parcel{msg: &nats.Msg{Subject: Subject + string(e.Key.Type)}, first: e}
			open[e.Key.Type], messages = p, append(messages, p.msg)
		}
		p.add(&e)
	}
	for _, p := range open {
		p.close()
	}
	return messages
}

// parcel is a message that is being filled.
type parcel struct {
	msg   *nats.Msg
	first Event
	n     int // events in it
}

func (p *parcel) add(e *Event) {
	p.n++
	switch p.n {
	case 1:
		p.msg.Data = make([]byte, 0, 256)
	case 2:
		p.msg.Data = append(slices.Insert(p.msg.Data, 0, '['), ',')
	default:
		p.msg.Data = append(p.msg.Data, ',')
	}
	p.msg.Data = e.append(p.msg.Data)
}

// close ends the payload and gives the message its id, which is the same
// whenever the same events are published: JetStream drops repeats that fall into
// its window. The number tells an array from its first event alone.
func (p *parcel) close() {
	if p == nil {
		return
	}
	id := strconv.FormatUint(uint64(p.first.T), 10) + "/" + p.first.Key.String()
	if p.n > 1 {
		p.msg.Data = append(p.msg.Data, ']')
		id += "+" + strconv.Itoa(p.n-1)
	}
	p.msg.Header = nats.Header{jetstream.MsgIDHeader: {id}}
}
