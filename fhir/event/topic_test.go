package event_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rs/zerolog"

	"hutong/fhir/event"
)

// TestTopic: events of a topic are in its stream once each, whatever is
// repeated, and stay over a restart; the stream of changes has none of them.
func TestTopic(t *testing.T) {
	s, dir, ctx := newSource(t), t.TempDir(), t.Context()
	for range 2 {
		bus, err := event.Start(ctx, event.Config{Store: s, Dir: dir, Listen: "127.0.0.1:0", Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		topic, err := bus.Topic(ctx, "TEST", "test.person.")
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"1", "2", "1"} {
			if err := topic.Publish(ctx, "link", id, []byte(id)); err != nil {
				t.Fatal(err)
			}
		}
		conn, err := nats.Connect(bus.URL(), nats.Timeout(5*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		js, err := jetstream.New(conn)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]uint64{"TEST": 2, event.Stream: 0} {
			stream, err := js.Stream(ctx, name)
			if err != nil {
				t.Fatal(err)
			}
			if got := stream.CachedInfo().State.Msgs; got != want {
				t.Errorf("stream %s has %d messages, want %d", name, got, want)
			}
		}
		conn.Close()
		if err := bus.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
}
