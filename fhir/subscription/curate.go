package subscription

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/interact"
	"hutong/fhir/store"
)

// kept is what the server knows of a Subscription beside the resource. It lies
// in the space under the resource's id and the hash of its terms, so that a
// write that fails after it was kept changes nothing.
type kept struct {
	Acting  []byte   // who subscribed
	Headers []string // channel.header as sent; the resource holds them redacted
	At      time.Time
}

// redacted begins what stands in the resource for the value of a header. Some
// random digits follow, so that other secrets make other terms.
const redacted = "****"

// own marks the writes by which the room itself changes a status.
type own struct{}

// Curate implements interact.Curator: a Subscription is stored if its terms
// can be served and its sender may subscribe; the values of its headers are
// taken out.
func (s *Service) Curate(ctx context.Context, c interact.Caller, key fhir.Key, body, current fhir.Body) (fhir.Body, error) {
	if ctx.Value(own{}) != nil {
		return body, nil
	}
	acting, err := s.cfg.Access.Admit(ctx, c)
	if err != nil {
		return fhir.Body{}, err
	}
	t, err := readTerms(body)
	if err != nil {
		return fhir.Body{}, err
	}
	old := &terms{}
	if current.Raw != nil {
		if old, err = readTerms(current); err != nil {
			return fhir.Body{}, err
		}
	}
	if err := checkStatus(t, old); err != nil {
		return fhir.Body{}, err
	}
	if err := s.check(t); err != nil {
		return fhir.Body{}, err
	}
	k := &kept{Acting: acting, At: s.cfg.Now().UTC()}
	if err := s.takeHeaders(ctx, key.ID, t, old, k); err != nil {
		return fhir.Body{}, err
	}
	body, err = rewrite(body, t)
	if err != nil {
		return fhir.Body{}, err
	}
	return body, s.keep(ctx, key.ID, t.hash(), k)
}

// checkStatus: a client requests, or turns off; the rest is the server's. What
// a client read it may send back, as long as the terms stay the same.
// Source: R4 subscription-definitions.html#Subscription.status.
func checkStatus(t, old *terms) error {
	same := t.Status == old.Status && t.hash() == old.hash()
	if t.Status != requested && t.Status != off && !same {
		return refuse("Subscription.status", "a client submits a Subscription as requested or off; with other terms it is requested anew")
	}
	if t.Error != "" && t.Error != old.Error {
		return refuse("Subscription.error", "the error is written by the server")
	}
	return nil
}

// takeHeaders moves the values of the headers from the terms into k. A line
// that stands in the current version, redacted, keeps its value.
func (s *Service) takeHeaders(ctx context.Context, id string, t, old *terms, k *kept) error {
	var before *kept
	for i, line := range t.Channel.Header {
		name, value, _ := strings.Cut(line, ":")
		if value = strings.TrimSpace(value); !strings.HasPrefix(value, redacted) {
			k.Headers = append(k.Headers, name+": "+value)
			t.Channel.Header[i] = name + ": " + redacted + nonce()
			continue
		}
		if before == nil && len(old.Channel.Header) > 0 {
			var err error
			if before, err = s.keptOf(ctx, id, old.hash()); err != nil {
				return err
			}
		}
		secret := before.header(old, line)
		if secret == "" {
			return refuse("Subscription.channel.header", "this header is redacted, and there is none of this name and digits to keep")
		}
		k.Headers = append(k.Headers, secret)
	}
	return nil
}

// header gives what a redacted line of the terms stands for; "" if nothing.
func (k *kept) header(t *terms, line string) string {
	if k == nil || len(k.Headers) != len(t.Channel.Header) {
		return ""
	}
	for i, l := range t.Channel.Header {
		if l == line {
			return k.Headers[i]
		}
	}
	return ""
}

func nonce() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return hex.EncodeToString(b[:])
}

// rewrite puts the redacted headers into a stored body and takes the error of
// an earlier time out of one that is requested or off.
func rewrite(body fhir.Body, t *terms) (fhir.Body, error) {
	d, err := codec.Parse(body.Raw, codec.DefaultLimits())
	if err != nil {
		return fhir.Body{}, err
	}
	out := make([]byte, 0, len(body.Raw))
	done := uint32(0)
	cut := func(start, end uint32, put []byte) {
		out = append(append(out, body.Raw[done:start]...), put...)
		done = end
	}
	for c := range d.Children(0) {
		switch n := d.Nodes[c]; string(d.Key(c)) {
		case "error":
			if t.Status != failed && d.Nodes[c].Kind.IsString() { // the comma before it, too
				cut(n.KeyStart-2, n.End+1, nil)
			}
		case "channel":
			if h := d.Child(c, "header"); h != 0 {
				lines, _ := json.Marshal(t.Channel.Header) // strings: never fails
				cut(d.Nodes[h].Start, d.Nodes[h].End, lines)
			}
		}
	}
	return fhir.Body{Raw: append(out, body.Raw[done:]...), MetaAt: body.MetaAt}, nil
}

func keptKey(id, hash string) []byte { return []byte("kept/" + id + "/" + hash) }

func (s *Service) keep(ctx context.Context, id, hash string, k *kept) error {
	raw, err := json.Marshal(k)
	if err != nil {
		return fhir.Errorf(fhir.Internal, "subscription: %w", err)
	}
	return s.cfg.Space.Apply(ctx, []store.Write{{Key: keptKey(id, hash), Value: raw}})
}

// keptOf gives nil if nothing is kept.
func (s *Service) keptOf(ctx context.Context, id, hash string) (*kept, error) {
	raw, err := s.cfg.Space.Get(ctx, keptKey(id, hash))
	if err != nil || raw == nil {
		return nil, err
	}
	k := &kept{}
	if err := json.Unmarshal(raw, k); err != nil {
		return nil, fhir.Errorf(fhir.Internal, "subscription: what is kept of a Subscription cannot be read: %w", err)
	}
	return k, nil
}

// settling is how long what is kept for other terms stays: a write that has
// kept it may not have committed yet.
const settling = 10 * time.Minute

// forget removes what is kept of a Subscription for other terms than these.
func (s *Service) forget(ctx context.Context, id, hash string) error {
	prefix := "kept/" + id + "/"
	rows, err := s.cfg.Space.Scan(ctx, []byte(prefix), []byte("kept/"+id+"0"), 0)
	if err != nil {
		return err
	}
	var writes []store.Write
	for _, row := range rows {
		k := &kept{}
		if string(row.Key) == prefix+hash || json.Unmarshal(row.Value, k) == nil && s.cfg.Now().Sub(k.At) < settling {
			continue
		}
		writes = append(writes, store.Write{Key: row.Key})
	}
	if len(writes) == 0 {
		return nil
	}
	return s.cfg.Space.Apply(ctx, writes)
}
