package event

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// stats are the metrics of a Bus; they are read when they are asked for.
type stats struct {
	bus  *Bus
	tail *tail

	published, lag, pending, handled, failed *prometheus.Desc
}

// infoTime bounds what a scrape may wait for NATS.
const infoTime = 2 * time.Second

func newStats(b *Bus, t *tail) (*stats, error) {
	consumer := []string{"consumer"}
	s := &stats{
		bus: b, tail: t,
		published: prometheus.NewDesc("hutong_event_published_total", "Versions that the stream has acknowledged.", nil, nil),
		lag:       prometheus.NewDesc("hutong_event_tail_lag_seconds", "Age of the oldest version that is not yet published.", nil, nil),
		pending:   prometheus.NewDesc("hutong_event_consumer_lag", "Messages (the changes of one type in one commit) that a consumer has still to handle.", consumer, nil),
		handled:   prometheus.NewDesc("hutong_event_consumer_handled_total", "Events handled since the start.", consumer, nil),
		failed:    prometheus.NewDesc("hutong_event_consumer_failed_total", "Attempts that failed since the start.", consumer, nil),
	}
	if b.cfg.Metrics == nil {
		return s, nil
	}
	return s, b.cfg.Metrics.Register(s)
}

func (s *stats) unregister(r prometheus.Registerer) {
	if r != nil {
		r.Unregister(s)
	}
}

// Describe is part of prometheus.Collector.
func (s *stats) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.published, s.lag, s.pending, s.handled, s.failed} {
		ch <- d
	}
}

// Collect is part of prometheus.Collector.
func (s *stats) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(s.published, prometheus.CounterValue, float64(s.tail.published.Load()))
	var lag time.Duration
	if ms := s.tail.behind.Load(); ms > 0 {
		lag = max(time.Since(time.UnixMilli(ms)), 0)
	}
	ch <- prometheus.MustNewConstMetric(s.lag, prometheus.GaugeValue, lag.Seconds())
	for _, sub := range s.bus.subscriptions() {
		ch <- prometheus.MustNewConstMetric(s.handled, prometheus.CounterValue, float64(sub.handled.Load()), sub.durable)
		ch <- prometheus.MustNewConstMetric(s.failed, prometheus.CounterValue, float64(sub.failed.Load()), sub.durable)
		if n, err := sub.lag(); err == nil {
			ch <- prometheus.MustNewConstMetric(s.pending, prometheus.GaugeValue, float64(n), sub.durable)
		}
	}
}

func (b *Bus) subscriptions() []*subscription {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]*subscription, 0, len(b.subs))
	for s := range b.subs {
		list = append(list, s)
	}
	return list
}

// lag counts what is not delivered and what is not acknowledged.
func (s *subscription) lag() (uint64, error) {
	ctx, cancel := context.WithTimeout(s.ctx, infoTime)
	defer cancel()
	info, err := s.consumer.Info(ctx)
	if err != nil {
		return 0, err
	}
	return info.NumPending + uint64(info.NumAckPending), nil
}
