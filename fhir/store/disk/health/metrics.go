package health

import (
	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// Reading is the state of an engine at one moment, for metrics.
type Reading struct {
	Tree     *pebble.Metrics
	Commits  uint64 // commit time of the newest visible commit: commits since the store was made
	Waiting  int    // transactions waiting to be applied
	Unsynced int    // transactions applied and waiting for the disk
	Searches int    // searches running
	Writable bool
}

// gauge is one metric of a Reading. None carries labels: nothing in them can
// name a person.
type gauge struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	get  func(r *Reading) float64
}

type collector struct {
	read   func() (Reading, bool)
	gauges []gauge
}

// Collector makes read's Readings into Prometheus metrics; read's second
// result is false when there is nothing to read any more.
func Collector(read func() (Reading, bool)) prometheus.Collector {
	c := &collector{read: read}
	add := func(name, help string, kind prometheus.ValueType, get func(r *Reading) float64) {
		c.gauges = append(c.gauges, gauge{prometheus.NewDesc("hutong_store_"+name, help, nil, nil), kind, get})
	}
	g, n := prometheus.GaugeValue, prometheus.CounterValue
	add("commits_total", "Commits since the store was made.", n, func(r *Reading) float64 { return float64(r.Commits) })
	add("commits_waiting", "Transactions waiting to be applied.", g, func(r *Reading) float64 { return float64(r.Waiting) })
	add("commits_unsynced", "Transactions applied and waiting for the disk.", g, func(r *Reading) float64 { return float64(r.Unsynced) })
	add("searches_running", "Searches running.", g, func(r *Reading) float64 { return float64(r.Searches) })
	add("writable", "1 if the store takes writes, 0 if the disk is full or failed.", g, func(r *Reading) float64 {
		if r.Writable {
			return 1
		}
		return 0
	})
	add("disk_bytes", "Space used on the disk.", g, func(r *Reading) float64 { return float64(r.Tree.DiskSpaceUsage()) })
	add("wal_bytes", "Size of the live write-ahead log.", g, func(r *Reading) float64 { return float64(r.Tree.WAL.Size) })
	add("memtable_bytes", "Memory held by memtables.", g, func(r *Reading) float64 { return float64(r.Tree.MemTable.Size) })
	add("cache_bytes", "Memory held by the block cache.", g, func(r *Reading) float64 { return float64(r.Tree.BlockCache.Size) })
	add("cache_hits_total", "Block reads that the cache served.", n, func(r *Reading) float64 { return float64(r.Tree.BlockCache.Hits) })
	add("cache_misses_total", "Block reads that the cache did not serve.", n, func(r *Reading) float64 { return float64(r.Tree.BlockCache.Misses) })
	add("read_amplification", "Sorted runs that a read may look at.", g, func(r *Reading) float64 { return float64(r.Tree.ReadAmp()) })
	add("compaction_debt_bytes", "Bytes that wait for compaction.", g, func(r *Reading) float64 { return float64(r.Tree.Compact.EstimatedDebt) })
	add("compactions_total", "Compactions since the start.", n, func(r *Reading) float64 { return float64(r.Tree.Compact.Count) })
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, g := range c.gauges {
		ch <- g.desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	r, ok := c.read()
	if !ok {
		return
	}
	for _, g := range c.gauges {
		ch <- prometheus.MustNewConstMetric(g.desc, g.kind, g.get(&r))
	}
}
