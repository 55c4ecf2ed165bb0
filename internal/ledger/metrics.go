package ledger

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Metrics are those of a ledger, wherever its lines are.
type Metrics struct {
	// Errors counts the lines that could not be written when they were due.
	Errors prometheus.Counter
	// Up is 1 unless the last thing that the ledger did has failed.
	Up prometheus.Gauge
	// Writes are the durations of what made lines durable.
	Writes prometheus.Histogram
}

// IsUp reports what Up says.
func (m *Metrics) IsUp() bool {
	var up dto.Metric
	return m.Up.Write(&up) == nil && up.GetGauge().GetValue() == 1
}

// NewMetrics makes and registers them, once for a registerer, which may be nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		Errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pgbailiff_ledger_write_errors_total",
			Help: "Lines of the ledger that could not be written when they were due.",
		}),
		Up: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pgbailiff_ledger_up",
			Help: "1 unless the ledger could not be read or written the last time. Without a ledger nothing is signalled.",
		}),
		Writes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "pgbailiff_ledger_write_duration_seconds",
			Help:    "Time until lines of the ledger were durable.",
			Buckets: []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5},

			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
		}),
	}
	if reg != nil {
		reg.MustRegister(m.Errors, m.Up, m.Writes)
	}
	return m
}
