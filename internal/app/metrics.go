package app

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"

	"github.com/pgbailiff/pgbailiff/collector"
)

// Metrics are those of the program itself: its process, its build, and whether
// its configuration was loaded.
type Metrics struct {
	reloadOK, reloadTime prometheus.Gauge
	externalURL          *prometheus.GaugeVec
	fileErrors           *prometheus.GaugeVec
}

// NewMetrics registers them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		reloadOK: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pgbailiff_config_last_reload_successful",
			Help: "1 when the last attempt to load the configuration succeeded.",
		}),
		reloadTime: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pgbailiff_config_last_reload_success_timestamp_seconds",
			Help: "When the configuration was last loaded.",
		}),
		externalURL: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pgbailiff_external_url_info",
			Help: "Where people reach this pgbailiff, as --web.external-url says, without a slash at the end.",
		}, []string{"url"}),
		fileErrors: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pgbailiff_servers_file_errors",
			Help: "1 for a file of servers_files that has a mistake, so that its servers are the old ones.",
		}, []string{"file"}),
	}
	reg.MustRegister(
		collectors.NewGoCollector(),
		collector.NewProcess(),
		versioncollector.NewCollector("pgbailiff"),
		m.reloadOK, m.reloadTime, m.externalURL, m.fileErrors,
	)
	return m
}
