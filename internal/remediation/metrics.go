package remediation

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// metrics count what became of the requests. A server has every combination of
// labels from the start, so that an alert never meets a missing series, or, on
// demand, from its first request on.
type metrics struct {
	remediations *prometheus.CounterVec
	manual       *prometheus.CounterVec
	refusals     *prometheus.CounterVec
	signalDelay  prometheus.Histogram
	verify       prometheus.Histogram
	mode         *prometheus.GaugeVec
	suspended    gauge
	pending      gauge

	mu       sync.Mutex       // guards the fields below, what is raised, and that only these servers have series
	servers  map[string]shown // that are configured
	onDemand bool             // series come with the first request about a server
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		remediations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pgbailiff_remediations_total",
			Help: "Firing alerts, and approved orders of alerts, that were dealt with, by the action that policy ordered and how it ended.",
		}, []string{"server", "action", "outcome"}),
		manual: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pgbailiff_manual_actions_total",
			Help: "Orders by hand that were dealt with, by the action that a person ordered and how it ended.",
		}, []string{"server", "action", "outcome"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pgbailiff_refusals_total",
			Help: "Firing alerts, and approved orders of alerts, that were refused, by the reason.",
		}, []string{"server", "reason"}),
		signalDelay: prometheus.NewHistogram(histogram(
			"pgbailiff_signal_delay_seconds",
			"Time from the alert's startsAt to the signal, where no person was asked.",
			[]float64{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800},
		)),
		verify: prometheus.NewHistogram(histogram(
			"pgbailiff_verify_duration_seconds",
			"Time from the signal until its target was seen to be gone.",
			[]float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
		)),
		mode: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pgbailiff_remediation_mode",
			Help: "1 for the mode of remediation by alerts. People act in any mode.",
		}, []string{"mode"}),
		suspended: newGauge("pgbailiff_remediation_suspended",
			"1 while alerts may not signal on the server, until an operator resumes it. People may."),
		pending: newGauge("pgbailiff_pending_approvals", "Orders of alerts that wait for a person."),
		servers: map[string]shown{},
	}
	reg.MustRegister(m.remediations, m.manual, m.refusals, m.signalDelay, m.verify, m.mode, m.suspended, m.pending)
	m.addOrders("")
	return m
}

func histogram(name, help string, buckets []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
	}
}

// count counts the end of one request. A server that is not configured, or not
// any more, counts as the empty name.
func (m *metrics) count(server string, manual bool, e ending) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, configured := m.servers[server]; configured {
		m.showOrders(server)
	} else {
		server = ""
	}
	if manual {
		m.manual.WithLabelValues(server, string(e.action), string(e.outcome)).Inc()
		return
	}
	m.remediations.WithLabelValues(server, string(e.action), string(e.outcome)).Inc()
	if e.outcome == ledger.Refused {
		m.refusals.WithLabelValues(server, string(e.reason)).Inc()
	}
}

// setSuspended shows whether a server is suspended.
func (m *metrics) setSuspended(server string, is func(string) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.set(m.suspended, server, oneIf(is(server)))
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
