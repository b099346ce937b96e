package subscription

import (
	"github.com/prometheus/client_golang/prometheus"
)

// stats are the metrics of a Service.
type stats struct {
	examined, sent, withheld, failed prometheus.Counter
	took                             prometheus.Histogram
}

func newStats() *stats {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "hutong_subscription_" + name + "_total", Help: help})
	}
	return &stats{
		examined: counter("examined", "Changes held against the criteria of a subscription."),
		sent:     counter("notified", "Notifications that an endpoint has taken."),
		withheld: counter("withheld", "Notifications not made because the subscriber may not see the resource."),
		failed:   counter("failed", "Attempts that an endpoint has failed."),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "hutong_subscription_delivery_seconds", Help: "Time of a delivery that succeeded.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
	}
}

func (s *stats) register(r prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{s.examined, s.sent, s.withheld, s.failed, s.took} {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}
