package postgres_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
)

// The log has each missing privilege once, with the GRANT for it. The scrape has what
// the role may see, and everything after the GRANT.
func TestMissingPrivilegesAreLoggedOnce(t *testing.T) {
	srv := pgtest.Start(t)
	var lines bytes.Buffer
	s, err := postgres.New(postgres.Config{Name: "orders", DSN: srv.DSN("nopriv")}, postgres.NewDials(16), log.NewLogfmtLogger(log.NewSyncWriter(&lines)))
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer s.Close()
	srv.Run(t, "app", "select pg_sleep(60)")
	srv.IdleInTransaction(t, "app", "select 1")
	for range 3 {
		got := snapshot(t, s)
		if got.Facts.CanSee || got.Facts.CanSignal {
			t.Errorf("facts: %+v", got.Facts)
		}
		if got.Hidden != 3 || got.Connections < 4 || len(got.Sessions) != 0 { // pgtest's own session too
			t.Errorf("%d hidden of %d, %d sessions", got.Hidden, got.Connections, len(got.Sessions))
		}
	}
	srv.Exec(t, "grant pg_monitor to nopriv")
	for range 2 {
		if got := snapshot(t, s); !got.Facts.CanSee || got.Facts.CanSignal || got.Hidden != 0 || len(got.Sessions) != 2 {
			t.Errorf("with pg_monitor: %+v", got)
		}
	}
	s.Close()
	logged := lines.String()
	for hint, times := range map[string]int{
		`hint="GRANT pg_monitor TO \"nopriv\""`:        1,
		`hint="GRANT pg_signal_backend TO \"nopriv\""`: 2, // again when what our role may do has changed
	} {
		if got := strings.Count(logged, hint); got != times {
			t.Errorf("%d times %s, want %d, in\n%s", got, hint, times, logged)
		}
	}
	if got := strings.Count(logged, "\n"); got != 3 {
		t.Errorf("%d lines:\n%s", got, logged)
	}
}

// The GRANT in the hint can be pasted, whatever the role's name is.
func TestTheHintQuotesTheRole(t *testing.T) {
	srv := pgtest.Start(t)
	srv.Exec(t, `create role "o""brien x" login`)
	var lines bytes.Buffer
	s, err := postgres.New(postgres.Config{Name: "orders", DSN: srv.DSN(`o%22brien%20x`)}, postgres.NewDials(16), log.NewJSONLogger(log.NewSyncWriter(&lines)))
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer s.Close()
	snapshot(t, s)
	for _, grant := range []string{
		`"hint":"GRANT pg_monitor TO \"o\"\"brien x\""`,
		`"hint":"GRANT pg_signal_backend TO \"o\"\"brien x\""`,
	} {
		if !strings.Contains(lines.String(), grant) {
			t.Errorf("no %s in\n%s", grant, lines.String())
		}
	}
}
