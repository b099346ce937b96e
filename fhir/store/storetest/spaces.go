package storetest

import (
	"bytes"
	"fmt"
	"strconv"
	"sync"

	"hutong/fhir"
	"hutong/fhir/store"
)

// spaces: ordered, separate, conditional, all or nothing.
func spaces(b *bench) {
	a, c := b.s.Space("a"), b.s.Space("a-b")
	set := func(s store.Space, kv ...string) {
		b.Helper()
		var ws []store.Write
		for i := 0; i < len(kv); i += 2 {
			ws = append(ws, store.Write{Key: []byte(kv[i]), Value: []byte(kv[i+1])})
		}
		b.must(s.Apply(b.ctx, ws))
	}
	list := func(s store.Space, from, to []byte, limit int) string {
		b.Helper()
		kvs, err := s.Scan(b.ctx, from, to, limit)
		b.must(err)
		out := ""
		for _, kv := range kvs {
			out += fmt.Sprintf("%s=%s ", kv.Key, kv.Value)
		}
		return out
	}
	set(a, "k2", "2", "k1", "1", "k3", "3", "\xff\xff", "last", "", "first", "k1\x00", "zero")
	set(c, "k1", "other")
	b.same("all, in order", list(a, nil, nil, 0), "=first k1=1 k1\x00=zero k2=2 k3=3 \xff\xff=last ")
	b.same("from, to", list(a, []byte("k1"), []byte("k3"), 0), "k1=1 k1\x00=zero k2=2 ")
	b.same("limit", list(a, []byte("k2"), nil, 2), "k2=2 k3=3 ")
	b.same("separate", list(c, nil, nil, 0), "k1=other ")
	v, err := a.Get(b.ctx, []byte("none"))
	b.must(err)
	b.same("absent is nil", v == nil, true)
	set(a, "empty", "")
	v, err = a.Get(b.ctx, []byte("empty"))
	b.must(err)
	b.same("empty is not absent", v != nil && len(v) == 0, true)
	for _, tt := range []struct {
		name string
		w    store.Write
		ok   bool
	}{
		{"absent holds", store.Write{Key: []byte("new"), Value: []byte("1"), If: store.IfAbsent}, true},
		{"absent fails", store.Write{Key: []byte("new"), Value: []byte("2"), If: store.IfAbsent}, false},
		{"equals fails", store.Write{Key: []byte("new"), Value: []byte("2"), If: store.IfEquals, Old: []byte("0")}, false},
		{"equals holds", store.Write{Key: []byte("new"), Value: []byte("2"), If: store.IfEquals, Old: []byte("1")}, true},
		{"equals of absent", store.Write{Key: []byte("none"), Value: []byte("2"), If: store.IfEquals, Old: nil}, false},
		{"delete if equal", store.Write{Key: []byte("new"), If: store.IfEquals, Old: []byte("2")}, true},
		{"absent again", store.Write{Key: []byte("new"), Value: []byte("3"), If: store.IfAbsent}, true},
		{"empty equals", store.Write{Key: []byte("empty"), Value: []byte("4"), If: store.IfEquals, Old: []byte{}}, true},
	} {
		beside := store.Write{Key: []byte("beside"), Value: []byte(tt.name)}
		err := a.Apply(b.ctx, []store.Write{beside, tt.w})
		if tt.ok {
			b.must(err)
			continue
		}
		b.kind(tt.name, err, fhir.Conflict)
		v, err := a.Get(b.ctx, beside.Key)
		b.must(err)
		if string(v) == tt.name {
			b.Errorf("%s: half of the writes were made", tt.name)
		}
	}
	b.kind("a long key", a.Apply(b.ctx, []store.Write{{Key: make([]byte, 1025), Value: []byte{1}}}), fhir.TooLarge)
	b.must(a.Apply(b.ctx, nil))
	big := bytes.Repeat([]byte("x"), 8<<20)
	b.must(a.Apply(b.ctx, []store.Write{{Key: []byte("big"), Value: big}}))
	v, err = a.Get(b.ctx, []byte("big"))
	b.must(err)
	b.same("8 MiB", len(v), len(big))
}

// spaceRace: a counter behind IfEquals loses no step.
func spaceRace(b *bench) {
	s, key := b.s.Space("count"), []byte("n")
	b.must(s.Apply(b.ctx, []store.Write{{Key: key, Value: []byte("0")}}))
	const workers, steps = 8, 20
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for done := 0; done < steps; {
				old, err := s.Get(b.ctx, key)
				if err != nil {
					b.Error(err)
					return
				}
				n, _ := strconv.Atoi(string(old))
				err = s.Apply(b.ctx, []store.Write{{Key: key, Value: []byte(strconv.Itoa(n + 1)), If: store.IfEquals, Old: old}})
				if err == nil {
					done++
				} else if fhir.KindOf(err) != fhir.Conflict {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	v, err := s.Get(b.ctx, key)
	b.must(err)
	b.same("count", string(v), strconv.Itoa(workers*steps))
}
