package remediation

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
)

// metrics count what became of the requests. Every combination of labels is
// there from the start, so that an alert never meets a missing series.
type metrics struct {
	remediations *prometheus.CounterVec
	manual       *prometheus.CounterVec
	refusals     *prometheus.CounterVec
	signalDelay  prometheus.Histogram
	verify       prometheus.Histogram
	mode         *prometheus.GaugeVec
	suspended    *prometheus.GaugeVec
	pending      *prometheus.GaugeVec

	mu      sync.Mutex      // guards servers, and that only they have series
	servers map[string]bool // that are configured
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
		suspended: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pgbailiff_remediation_suspended",
			Help: "1 while alerts may not signal on the server, until an operator resumes it. People may.",
		}, []string{"server"}),
		pending: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pgbailiff_pending_approvals",
			Help: "Orders of alerts that wait for a person.",
		}, []string{"server"}),
	}
	reg.MustRegister(m.remediations, m.manual, m.refusals, m.signalDelay, m.verify, m.mode, m.suspended, m.pending)
	m.addServer("")
	return m
}

func histogram(name, help string, buckets []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
	}
}

// addServer makes every series of a server.
func (m *metrics) addServer(server string) {
	for _, action := range policy.Actions() {
		for _, outcome := range ledger.Outcomes() {
			m.remediations.WithLabelValues(server, string(action), string(outcome))
			if action != policy.None {
				m.manual.WithLabelValues(server, string(action), string(outcome))
			}
		}
	}
	for _, reason := range policy.RefusalReasons() {
		m.refusals.WithLabelValues(server, string(reason))
	}
}

// serve brings the series in line with the settings. Servers that are no longer
// configured lose theirs.
func (m *metrics) serve(now Settings) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, mode := range Modes() {
		m.mode.WithLabelValues(string(mode)).Set(oneIf(mode == now.Config.Mode))
	}
	for server := range m.servers {
		if _, stays := now.Servers[server]; !stays {
			gone := prometheus.Labels{"server": server}
			m.remediations.DeletePartialMatch(gone)
			m.refusals.DeletePartialMatch(gone)
			m.manual.DeletePartialMatch(gone)
			m.pending.DeletePartialMatch(gone)
			m.suspended.DeletePartialMatch(gone)
		}
	}
	m.servers = map[string]bool{}
	for server := range now.Servers {
		m.servers[server] = true
		m.addServer(server)
	}
}

// count counts the end of one request. A server that is not configured, or not
// any more, counts as the empty name.
func (m *metrics) count(server string, manual bool, e ending) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.servers[server] {
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
	if m.servers[server] {
		m.suspended.WithLabelValues(server).Set(oneIf(is(server)))
	}
}

// setPending shows how many orders wait for a person, by server. It asks for
// them under the lock, so that of two callers the later one has the later news.
func (m *metrics) setPending(now func() map[string]int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	waiting := now()
	for server := range m.servers {
		m.pending.WithLabelValues(server).Set(float64(waiting[server]))
	}
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
