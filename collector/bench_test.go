package collector_test

import (
	"io"
	"testing"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/pgbailiff/pgbailiff/collector"
)

// longSessions is the number of sessions in the measured snapshot. Each is a
// member of two families and has its text.
const longSessions = 50

// collect is our own part of a scrape: from the snapshot to the metrics of the
// client library.
func collect(b testing.TB, c *collector.Collector) {
	var out dto.Metric
	metrics := make(chan prometheus.Metric, 1000)
	c.Collect(metrics)
	close(metrics)
	for m := range metrics {
		if err := m.Write(&out); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCollect measures our part of a scrape (collect), that and the library's
// registry (gather), the text alone (encode), and a whole request (handler, or probe with gzip).
func BenchmarkCollect(b *testing.B) {
	orders := server(busy(longSessions))
	b.Run("collect", func(b *testing.B) {
		c := collector.New(b.Context(), config(), []collector.Server{orders}, log.NewNopLogger())
		b.ReportAllocs()
		for b.Loop() {
			collect(b, c)
		}
	})
	b.Run("gather", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			reg := prometheus.NewRegistry()
			if err := reg.Register(collector.New(b.Context(), config(), []collector.Server{orders}, log.NewNopLogger())); err != nil {
				b.Fatal(err)
			}
			if _, err := reg.Gather(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encode", func(b *testing.B) {
		families, err := registry(b, config(), orders).Gather()
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			for _, family := range families {
				if _, err := expfmt.MetricFamilyToText(io.Discard, family); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("probe", func(b *testing.B) {
		h := prober(orders)
		b.ReportAllocs()
		for b.Loop() {
			probe(b, h, "?server=orders", "Accept-Encoding", "gzip")
		}
	})
	b.Run("probe of a quiet server", func(b *testing.B) {
		h := prober(server(quiet()))
		b.ReportAllocs()
		for b.Loop() {
			probe(b, h, "?server=orders", "Accept-Encoding", "gzip")
		}
	})
	b.Run("handler", func(b *testing.B) {
		h := collector.Handler(prometheus.NewRegistry(), collector.Settings{
			Config: config(), Servers: []collector.Server{orders},
		}, log.NewNopLogger())
		b.ReportAllocs()
		for b.Loop() {
			get(b, h)
		}
	})
}

// TestAllocations bounds the allocations of our part, which do not depend on the
// machine. Nearly all are made by the client library, for labels.
func TestAllocations(t *testing.T) {
	orders := server(busy(longSessions))
	c := collector.New(t.Context(), config(), []collector.Server{orders}, log.NewNopLogger())
	if got := testing.AllocsPerRun(10, func() { collect(t, c) }); got > 150*longSessions {
		t.Errorf("%.0f allocations, want at most %d", got, 150*longSessions)
	}
}
