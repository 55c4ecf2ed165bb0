package collector

import (
	"cmp"
	"slices"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// identityLabels returns the labels of a series about one backend: its identity,
// and more labels after that. Labels that may change while the series lasts are
// on pgbailiff_query_info only, because a changed label restarts an alert's
// "for".
func identityLabels(more ...string) []string {
	return append([]string{session.LabelServer, session.LabelPID, session.LabelBackendStart}, more...)
}

// metrics are the metrics of a scrape, and the memory for their series.
type metrics struct {
	all  []*metric // in the order of their names
	kept keptSeries

	// Of single backends, by family.
	families [session.NumFamilies]*metric
	info     *metric
	// Of databases. A family whose value is not an age has no maximum.
	maxima                       [session.NumFamilies]*metric
	backends, waiting, overLimit *metric
	prepared, oldestPrepared     *metric
	// Of servers.
	up, connections, maxConnections, hidden, canSee, canSignal *metric
	inRecovery, postmasterStart, serverInfo, scrapeDuration    *metric
}

func newMetrics() *metrics {
	d := &metrics{
		kept: newKeptSeries(),

		info: newMetric("query_info",
			"What a backend that has a series of its own is doing now; the value is always 1.",
			identityLabels(session.LabelQueryStart, "state", "wait_event_type", "wait_event", "query_id", "session_id", "query")...),

		backends: newMetric("backends",
			"Client backends by state.", "server", "datname", "state"),
		waiting: newMetric("waiting_backends",
			"Client backends that wait, by the type of what they wait for.", "server", "datname", "wait_event_type"),
		overLimit: newMetric("sessions_over_limit",
			"Sessions that belong into a family of series and have none, because max_sessions others have.",
			"server", "family"),
		prepared: newMetric("prepared_transactions",
			"Transactions that are prepared and neither committed nor rolled back.", "server", "datname"),
		oldestPrepared: newMetric("oldest_prepared_transaction_age_seconds",
			"How long the oldest prepared transaction has been waiting for its end; 0 when there is none.", "server", "datname"),

		up: newMetric("up",
			"1 when the server's activity could be read in this scrape.", "server"),
		connections: newMetric("connections",
			"Client connections that are open, pgbailiff's own and hidden ones included.", "server"),
		maxConnections: newMetric("max_connections",
			"The server's max_connections.", "server"),
		hidden: newMetric("hidden_backends",
			"Client connections whose activity our role may not see.", "server"),
		canSee: newMetric("can_see",
			"1 when our role may see what other roles' sessions do (pg_monitor).", "server"),
		canSignal: newMetric("can_signal",
			"1 when our role may signal other roles' sessions (pg_signal_backend).", "server"),
		inRecovery: newMetric("in_recovery",
			"1 when the server is a standby.", "server"),
		postmasterStart: newMetric("postmaster_start_time_seconds",
			"When the server was started, in seconds since the epoch.", "server"),
		serverInfo: newMetric("server_info",
			"Which server this is; the value is always 1. A standby has its primary's system_identifier.",
			"server", "version", "system_identifier"),
		scrapeDuration: newMetric("scrape_duration_seconds",
			"How long reading the server took in this scrape.", "server"),
	}
	for i, f := range session.Families() {
		d.families[i] = newMetric(f.Metric, f.Help,
			identityLabels(f.Period, "datname", "usename", "application_name", "client_addr")...)
		if f.MaxMetric != "" {
			d.maxima[i] = newMetric(f.MaxMetric, f.MaxHelp, "server", "datname")
		}
	}
	d.all = []*metric{
		d.info, d.backends, d.waiting, d.overLimit, d.prepared, d.oldestPrepared,
		d.up, d.connections, d.maxConnections, d.hidden, d.canSee, d.canSignal,
		d.inRecovery, d.postmasterStart, d.serverInfo, d.scrapeDuration,
	}
	d.all = append(d.all, d.families[:]...)
	for _, maximum := range d.maxima {
		if maximum != nil {
			d.all = append(d.all, maximum)
		}
	}
	slices.SortFunc(d.all, func(a, b *metric) int { return cmp.Compare(a.name, b.name) })
	for i, one := range d.all {
		one.place = i
	}
	return d
}
