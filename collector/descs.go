package collector

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// identityLabels returns the labels of a series about one backend: its identity,
// and more labels after that. Labels that may change while the series lasts are
// on pgbailiff_query_info only, because a changed label restarts an alert's
// "for".
func identityLabels(more ...string) []string {
	return append([]string{session.LabelServer, session.LabelPID, session.LabelBackendStart}, more...)
}

// descs describe the metrics of a scrape.
type descs struct {
	// Of single backends, by family.
	families [session.NumFamilies]*prometheus.Desc
	info     *prometheus.Desc
	// Of databases. A family whose value is not an age has no maximum.
	maxima                       [session.NumFamilies]*prometheus.Desc
	backends, waiting, overLimit *prometheus.Desc
	prepared, oldestPrepared     *prometheus.Desc
	// Of servers.
	up, connections, maxConnections, hidden, canSee, canSignal *prometheus.Desc
	inRecovery, postmasterStart, serverInfo, scrapeDuration    *prometheus.Desc
}

func newDescs() *descs {
	d := &descs{
		info: newDesc("query_info",
			"What a backend that has a series of its own is doing now; the value is always 1.",
			identityLabels(session.LabelQueryStart, "state", "wait_event_type", "wait_event", "query_id", "session_id", "query")...),

		backends: newDesc("backends",
			"Client backends by state.", "server", "datname", "state"),
		waiting: newDesc("waiting_backends",
			"Client backends that wait, by the type of what they wait for.", "server", "datname", "wait_event_type"),
		overLimit: newDesc("sessions_over_limit",
			"Sessions that belong into a family of series and have none, because max_sessions others have.",
			"server", "family"),
		prepared: newDesc("prepared_transactions",
			"Transactions that are prepared and neither committed nor rolled back.", "server", "datname"),
		oldestPrepared: newDesc("oldest_prepared_transaction_age_seconds",
			"How long the oldest prepared transaction has been waiting for its end; 0 when there is none.", "server", "datname"),

		up: newDesc("up",
			"1 when the server's activity could be read in this scrape.", "server"),
		connections: newDesc("connections",
			"Client connections that are open, pgbailiff's own and hidden ones included.", "server"),
		maxConnections: newDesc("max_connections",
			"The server's max_connections.", "server"),
		hidden: newDesc("hidden_backends",
			"Client connections whose activity our role may not see.", "server"),
		canSee: newDesc("can_see",
			"1 when our role may see what other roles' sessions do (pg_monitor).", "server"),
		canSignal: newDesc("can_signal",
			"1 when our role may signal other roles' sessions (pg_signal_backend).", "server"),
		inRecovery: newDesc("in_recovery",
			"1 when the server is a standby.", "server"),
		postmasterStart: newDesc("postmaster_start_time_seconds",
			"When the server was started, in seconds since the epoch.", "server"),
		serverInfo: newDesc("server_info",
			"Which server this is; the value is always 1. A standby has its primary's system_identifier.",
			"server", "version", "system_identifier"),
		scrapeDuration: newDesc("scrape_duration_seconds",
			"How long reading the server took in this scrape.", "server"),
	}
	for i, f := range session.Families() {
		d.families[i] = newDesc(f.Metric, f.Help,
			identityLabels(f.Period, "datname", "usename", "application_name", "client_addr")...)
		if f.MaxMetric != "" {
			d.maxima[i] = newDesc(f.MaxMetric, f.MaxHelp, "server", "datname")
		}
	}
	return d
}

// all returns every desc.
func (d *descs) all() []*prometheus.Desc {
	all := []*prometheus.Desc{
		d.info, d.backends, d.waiting, d.overLimit, d.prepared, d.oldestPrepared,
		d.up, d.connections, d.maxConnections, d.hidden, d.canSee, d.canSignal,
		d.inRecovery, d.postmasterStart, d.serverInfo, d.scrapeDuration,
	}
	all = append(all, d.families[:]...)
	for _, maximum := range d.maxima {
		if maximum != nil {
			all = append(all, maximum)
		}
	}
	return all
}
