package collector

import "github.com/prometheus/client_golang/prometheus"

// identityLabels are on every series of one backend: who it is. What stays true
// of it comes beside them; what changes stands on pgbailiff_query_info only,
// because a label that changes starts an alert's "for" anew.
func identityLabels(more ...string) []string {
	return append([]string{"server", "pid", "backend_start"}, more...)
}

// descs are the metrics of a scrape.
type descs struct {
	// Of single backends.
	query, xact, idleIn, lockWait, blocked, info *prometheus.Desc
	// Of databases and states.
	backends, waiting, overLimit, maxQuery, maxXact, maxIdleIn *prometheus.Desc
	// Of servers.
	up, connections, maxConnections, hidden, canSee, canSignal *prometheus.Desc
	inRecovery, postmasterStart, serverInfo, scrapeDuration    *prometheus.Desc
	prepared, oldestPrepared                                   *prometheus.Desc
}

func newDescs() *descs {
	session := func(name, help, period string) *prometheus.Desc {
		return newDesc(name, help, identityLabels(period, "datname", "usename", "application_name", "client_addr")...)
	}
	return &descs{
		query: session("query_duration_seconds",
			"How long the active statement of a backend has been running.", "query_start"),
		xact: session("transaction_duration_seconds",
			"How long a backend's transaction has been open.", "xact_start"),
		idleIn: session("idle_in_transaction_duration_seconds",
			"How long a backend has been idle in an open or aborted transaction.", "state_change"),
		lockWait: session("lock_wait_duration_seconds",
			"How long a backend has been waiting for a lock.", "query_start"),
		blocked: session("blocked_backends",
			"How many backends wait behind this one, directly or not, while it does not wait itself; pid 0 is the prepared transactions.", "xact_start"),
		info: newDesc("query_info",
			"What a backend that has a series of its own is doing now; the value is always 1.",
			identityLabels("query_start", "state", "wait_event_type", "wait_event", "query_id", "session_id", "query")...),

		backends: newDesc("backends",
			"Client backends by state.", "server", "datname", "state"),
		waiting: newDesc("waiting_backends",
			"Client backends that wait, by the type of what they wait for.", "server", "datname", "wait_event_type"),
		overLimit: newDesc("sessions_over_limit",
			"Sessions that belong into a family of series and have none, because max_sessions others have.",
			"server", "family"),
		maxQuery: newDesc("max_query_duration_seconds",
			"How long the longest active statement has been running; 0 when there is none.", "server", "datname"),
		maxXact: newDesc("max_transaction_duration_seconds",
			"How long the longest transaction has been open; 0 when there is none.", "server", "datname"),
		maxIdleIn: newDesc("max_idle_in_transaction_duration_seconds",
			"How long the longest idling in a transaction has lasted; 0 when there is none.", "server", "datname"),
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
}

// all is every desc, for Describe.
func (d *descs) all() []*prometheus.Desc {
	return []*prometheus.Desc{
		d.query, d.xact, d.idleIn, d.lockWait, d.blocked, d.info,
		d.backends, d.waiting, d.overLimit, d.maxQuery, d.maxXact, d.maxIdleIn, d.prepared, d.oldestPrepared,
		d.up, d.connections, d.maxConnections, d.hidden, d.canSee, d.canSignal,
		d.inRecovery, d.postmasterStart, d.serverInfo, d.scrapeDuration,
	}
}
