package postgres_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// Before our settings are made, those of the role hold.
func TestPostmasterStartWithAnotherDateStyle(t *testing.T) {
	pg := pgtest.Start(t)
	pg.Exec(t, "alter role monsig set datestyle = 'German'")
	s := start(t, pg, "monsig")
	want := pgtest.Value[int64](t, pg, "select (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint")
	if got := snapshot(t, s).Facts.PostmasterStart.UnixMicro(); got != want {
		t.Errorf("the server started at %d, want %d", got, want)
	}
}

// A standby refuses serializable transactions.
func TestARoleWithSerializableDefaultOnAStandby(t *testing.T) {
	pg := pgtest.Start(t)
	pg.Exec(t, "alter role monsig set default_transaction_isolation = 'serializable'")
	pg.Stop(t)
	if err := os.WriteFile(filepath.Join(pg.SocketDir(), "data", "standby.signal"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	pg.Restart(t)
	s := start(t, pg, "monsig")
	if !snapshot(t, s).Facts.InRecovery {
		t.Error("the server is no standby")
	}
	if c := pg.Open(t, "app"); find(t, s, c).Usename != "app" {
		t.Error("the session was not found")
	}
}
