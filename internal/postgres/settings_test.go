package postgres

import (
	"testing"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// Neither the role, the database, the connection string nor the environment changes
// how our statements run, or our sessions' application_name.
func TestOurSettingsOverrideAllOthers(t *testing.T) {
	t.Setenv("PGAPPNAME", "somebody")
	t.Setenv("PGOPTIONS", "-c lock_timeout=1h")
	pg := pgtest.Start(t)
	pg.Exec(t,
		"alter role monsig set statement_timeout = '1h'", "alter role monsig set search_path = public, pg_catalog",
		"alter role monsig set application_name = 'nobody'", "alter role monsig set standard_conforming_strings = off",
		"alter database postgres set default_transaction_isolation = 'serializable'",
		"alter database postgres set idle_session_timeout = '1h'", "alter database postgres set plan_cache_mode = 'force_custom_plan'",
	)
	if pg.Major() >= 17 {
		pg.Exec(t, "alter role monsig set transaction_timeout = '1h'")
	}
	for _, more := range []string{"", "&application_name=else&options=-c%20default_transaction_read_only%3Doff%20-c%20jit%3Don"} {
		s, err := New(Config{DSN: pg.DSN("monsig") + more}, NewDials(16), log.NewNopLogger())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		for _, u := range []purpose{forAction, forScrape} {
			conn, _, err := s.connect(t.Context(), u)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = closeConn(conn) })
			names, values := settings(u)
			for i, name := range names {
				var same *bool
				err := conn.QueryRow(t.Context(), `
					select coalesce(s.setting = $2 or pg_size_bytes(s.setting || s.unit) = pg_size_bytes($2), false)
					from pg_settings as s where s.name = $1`, name, values[i]).Scan(&same)
				known := name != "transaction_timeout" || pg.Major() >= 17
				if err != nil && known || err == nil && !*same {
					t.Errorf("%s is not %s: %v", name, values[i], err)
				}
			}
		}
	}
}
