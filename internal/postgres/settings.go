package postgres

import (
	"strconv"
	"time"
)

// clientEncoding makes the server send texts as it has them: see validText.
const clientEncoding = "SQL_ASCII"

// settings are made on every connection, whatever the role, the database and
// the connection string say. settings.sql leaves out those that a server does not
// know.
func settings(p purpose) (names, values []string) {
	timeout := statementTimeout
	if p == forScrape {
		timeout = scrapeTimeout
	}
	for _, s := range [][2]string{
		{"application_name", ApplicationName},
		{"statement_timeout", milliseconds(timeout)},
		{"lock_timeout", milliseconds(statementTimeout)},
		{"transaction_timeout", "0"},
		{"idle_session_timeout", "0"},
		{"idle_in_transaction_session_timeout", milliseconds(scrapeTimeout)},
		{"default_transaction_read_only", "on"},
		{"default_transaction_isolation", "read committed"}, // a standby refuses serializable
		{"default_transaction_deferrable", "off"},
		{"client_encoding", clientEncoding},
		{"standard_conforming_strings", "on"},
		{"search_path", "pg_catalog"}, // for operators, which the statements do not qualify
		{"work_mem", "32MB"},
		{"jit", "off"},
		{"plan_cache_mode", "force_generic_plan"},
		// With these the server ends a session whose network path was lost.
		{"tcp_keepalives_idle", seconds(30 * time.Second)},
		{"tcp_keepalives_interval", seconds(10 * time.Second)},
		{"tcp_keepalives_count", "3"},
	} {
		names, values = append(names, s[0]), append(values, s[1])
	}
	return names, values
}

func milliseconds(d time.Duration) string {
	return strconv.FormatInt(d.Milliseconds(), 10)
}

func seconds(d time.Duration) string {
	return strconv.Itoa(int(d.Seconds()))
}
