package dashboards_test

import (
	"slices"
	"strings"
)

// contract is every metric that a board may use, with its labels beside job and
// instance. A name that the boards use and that is not here is a typo; of
// pgbailiff's own names it has all, as the live stack proves.
func contract() map[string][]string {
	session := func(period string) []string {
		return []string{"server", "pid", "backend_start", period, "datname", "usename", "application_name", "client_addr"}
	}
	server := []string{"server"}
	database := []string{"server", "datname"}
	return map[string][]string{
		"pgbailiff_query_duration_seconds":               session("query_start"),
		"pgbailiff_transaction_duration_seconds":         session("xact_start"),
		"pgbailiff_idle_in_transaction_duration_seconds": session("state_change"),
		"pgbailiff_lock_wait_duration_seconds":           session("query_start"),
		"pgbailiff_blocked_backends":                     session("xact_start"),
		"pgbailiff_query_info": {
			"server", "pid", "backend_start", "query_start", "state",
			"wait_event_type", "wait_event", "query_id", "session_id", "query",
		},

		"pgbailiff_up":                                       server,
		"pgbailiff_backends":                                 {"server", "datname", "state"},
		"pgbailiff_waiting_backends":                         {"server", "datname", "wait_event_type"},
		"pgbailiff_max_query_duration_seconds":               database,
		"pgbailiff_max_transaction_duration_seconds":         database,
		"pgbailiff_max_idle_in_transaction_duration_seconds": database,
		"pgbailiff_sessions_over_limit":                      {"server", "family"},
		"pgbailiff_hidden_backends":                          server,
		"pgbailiff_prepared_transactions":                    database,
		"pgbailiff_oldest_prepared_transaction_age_seconds":  database,
		"pgbailiff_connections":                              server,
		"pgbailiff_max_connections":                          server,
		"pgbailiff_in_recovery":                              server,
		"pgbailiff_postmaster_start_time_seconds":            server,
		"pgbailiff_server_info":                              {"server", "version", "system_identifier"},
		"pgbailiff_scrape_duration_seconds":                  server,

		"pgbailiff_webhook_requests_total":                       {"code"},
		"pgbailiff_webhook_alerts_total":                         {"status"},
		"pgbailiff_webhook_truncated_alerts_total":               {},
		"pgbailiff_remediations_total":                           {"server", "action", "outcome"},
		"pgbailiff_refusals_total":                               {"server", "reason"},
		"pgbailiff_signal_delay_seconds":                         {},
		"pgbailiff_verify_duration_seconds":                      {},
		"pgbailiff_remediation_mode":                             {"mode"},
		"pgbailiff_remediation_suspended":                        server,
		"pgbailiff_ledger_write_errors_total":                    {},
		"pgbailiff_can_signal":                                   server,
		"pgbailiff_can_see":                                      server,
		"pgbailiff_config_last_reload_successful":                {},
		"pgbailiff_build_info":                                   {"branch", "goarch", "goos", "goversion", "revision", "tags", "version"},
		"pgbailiff_config_last_reload_success_timestamp_seconds": {},
		"process_resident_memory_bytes":                          {},
		"process_cpu_seconds_total":                              {},
	}
}

// histograms have _bucket (with le), _sum and _count.
func histograms() []string {
	return []string{"pgbailiff_signal_delay_seconds", "pgbailiff_verify_duration_seconds"}
}

// labelsOf are the labels that a series of this name has; false if nobody
// exposes it.
func labelsOf(name string) ([]string, bool) {
	target := []string{"job", "instance"}
	if name == "ALERTS" { // Prometheus's own, made from the shipped rules
		return append(target, "alertname", "alertstate", "severity", "remediation",
			"server", "pid", "backend_start", "action", "outcome", "reason"), true
	}
	for _, h := range histograms() {
		switch strings.TrimPrefix(name, h) {
		case "_bucket":
			return append(target, append(contract()[h], "le")...), true
		case "_sum", "_count":
			return append(target, contract()[h]...), true
		}
	}
	labels, ok := contract()[name]
	if !ok || slices.Contains(histograms(), name) {
		return nil, false
	}
	return append(target, labels...), true
}
