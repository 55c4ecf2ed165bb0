package pgledger

import (
	"fmt"
	"maps"
	"slices"
)

// keywords are those of libpq that pgx does not know. It would send them to the
// server as settings, and the server would refuse the connection. True: the keyword
// does not matter here and is dropped. False: the connection would be another one
// than its author expects. Anything else is a setting of the server.
func keywords() map[string]bool {
	return map[string]bool{
		"fallback_application_name": true, "client_encoding": true, "timezone": true, "sslcompression": true, "gsslib": true,
		"keepalives": true, "keepalives_idle": true, "keepalives_interval": true, "keepalives_count": true, "tcp_user_timeout": true,
		"gssencmode": true, "gssdelegation": true, "replication": true, // with a value that asks for nothing; package postgres refuses others

		"hostaddr": false, "load_balance_hosts": false, "ssl_min_protocol_version": false, "ssl_max_protocol_version": false,
	}
}

// applyKeywords takes libpq's keywords out of the settings for the server.
func applyKeywords(settings map[string]string) error {
	known := keywords()
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		harmless, is := known[name]
		if is && !harmless {
			return fmt.Errorf("%s is not supported for the ledger", name)
		}
		if is {
			delete(settings, name)
		}
	}
	return nil
}
