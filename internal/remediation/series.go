package remediation

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
)

// In this file: which servers have series. A server that is configured has all of
// them from the start. On demand it has them from the first request about it on,
// and the gauges also once it is suspended or something waits for a person.

// shown says which series a server has.
type shown struct{ orders, gauges bool }

// gauge has one value for each server.
type gauge struct {
	*prometheus.GaugeVec
	raised map[string]bool // the servers whose value is not 0
}

func newGauge(name, help string) gauge {
	opts := prometheus.GaugeOpts{Name: name, Help: help}
	return gauge{prometheus.NewGaugeVec(opts, []string{"server"}), map[string]bool{}}
}

// serve brings the series in line with the settings. Servers that are no longer
// configured lose theirs, and so do all when series come on demand from now on.
func (m *metrics) serve(now Settings) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, mode := range Modes() {
		m.mode.WithLabelValues(string(mode)).Set(oneIf(mode == now.Config.Mode))
	}
	anew := now.SeriesOnDemand && !m.onDemand
	m.onDemand = now.SeriesOnDemand
	for server := range m.servers {
		if _, stays := now.Servers[server]; !stays || anew {
			m.remove(server)
		}
	}
	for server := range now.Servers {
		if _, stays := m.servers[server]; !stays {
			m.servers[server] = shown{}
		}
		if !m.onDemand {
			m.showOrders(server)
			m.showGauges(server)
		}
	}
}

// request says that there is a request about the server.
func (m *metrics) request(server string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, configured := m.servers[server]; configured {
		m.showOrders(server)
		m.showGauges(server)
	}
}

// showOrders makes the counters of a server that is configured.
func (m *metrics) showOrders(server string) {
	if has := m.servers[server]; !has.orders {
		has.orders = true
		m.servers[server] = has
		m.addOrders(server)
	}
}

// addOrders makes every counter of a server.
func (m *metrics) addOrders(server string) {
	m.eachOrder(server, func(v *prometheus.CounterVec, labels ...string) { v.WithLabelValues(labels...) })
}

// eachOrder calls for every combination of labels that a server has.
func (m *metrics) eachOrder(server string, do func(v *prometheus.CounterVec, labels ...string)) {
	for _, action := range policy.Actions() {
		for _, outcome := range ledger.Outcomes() {
			do(m.remediations, server, string(action), string(outcome))
			if action != policy.None {
				do(m.manual, server, string(action), string(outcome))
			}
		}
	}
	for _, reason := range policy.RefusalReasons() {
		do(m.refusals, server, string(reason))
	}
}

// showGauges makes the gauges of a server that is configured.
func (m *metrics) showGauges(server string) {
	if has := m.servers[server]; !has.gauges {
		has.gauges = true
		m.servers[server] = has
		for _, g := range m.gauges() {
			g.WithLabelValues(server)
		}
	}
}

// remove removes a server and all that it has.
func (m *metrics) remove(server string) {
	if m.servers[server].orders {
		m.eachOrder(server, func(v *prometheus.CounterVec, labels ...string) { v.DeleteLabelValues(labels...) })
	}
	for _, g := range m.gauges() {
		g.DeleteLabelValues(server)
		delete(g.raised, server)
	}
	delete(m.servers, server)
}

func (m *metrics) gauges() []gauge { return []gauge{m.suspended, m.pending} }

// set sets a gauge of a server. The caller holds the lock.
func (m *metrics) set(g gauge, server string, value float64) {
	has, configured := m.servers[server]
	if !configured || value == 0 && !has.gauges {
		return
	}
	m.showGauges(server)
	g.WithLabelValues(server).Set(value)
	if delete(g.raised, server); value != 0 {
		g.raised[server] = true
	}
}

// setAll sets a gauge of all servers: those that are not among the values are 0. It
// asks for them under the lock, so that of two callers the later one has the later
// news, and it looks at no server whose value was 0 and is 0.
func (m *metrics) setAll(g gauge, now func() map[string]float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	values := now()
	for server := range g.raised {
		if values[server] == 0 {
			m.set(g, server, 0)
		}
	}
	for server, value := range values {
		m.set(g, server, value)
	}
}
