package pgtest_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

func TestStart(t *testing.T) {
	began := time.Now()
	srv := pgtest.Start(t, "max_connections=20", "log_statement=all")
	t.Logf("PostgreSQL %d of %s started in %v", srv.Major(), srv.Bin(), time.Since(began))

	if got := pgtest.Value[string](t, srv, "show max_connections"); got != "20" {
		t.Errorf("max_connections = %s, want 20", got)
	}
	if got := pgtest.Value[int](t, srv, "select current_setting('server_version_num')::int / 10000"); got != srv.Major() {
		t.Errorf("the server is of major %d, Major() = %d", got, srv.Major())
	}
	if !strings.Contains(srv.Log(), "show max_connections") {
		t.Error("the log does not show a statement that was run")
	}
	conn := srv.Connect(t, "app", func(c *pgx.ConnConfig) { c.Host = srv.SocketDir() })
	if _, err := conn.Exec(t.Context(), "create table public.mine ()"); err != nil {
		t.Errorf("app may not create a table: %v", err)
	}
}

func TestRoles(t *testing.T) {
	srv := pgtest.Start(t)
	for user, want := range map[string]struct{ super, monitor, signal, replication bool }{
		"postgres": {true, true, true, true},
		"super1":   {true, true, true, false},
		"mon":      {monitor: true},
		"sig":      {signal: true},
		"monsig":   {monitor: true, signal: true},
		"nopriv":   {},
		"app":      {},
		"app2":     {},
		"etl":      {},
		"repl":     {replication: true},
	} {
		got := want
		err := srv.Connect(t, user).QueryRow(t.Context(), `
			select rolsuper, pg_has_role('pg_monitor', 'usage'), pg_has_role('pg_signal_backend', 'usage'), rolreplication
			from pg_roles where rolname = current_user`).Scan(&got.super, &got.monitor, &got.signal, &got.replication)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", user, got, err, want)
		}
	}
}

func TestStopKillPauseAndRestart(t *testing.T) {
	srv := pgtest.Start(t)
	port := srv.Port()

	stopped := srv.Run(t, "app", "select pg_sleep(60)")
	srv.Stop(t)
	if got := sqlState(stopped.Wait(t)); got != "57P01" {
		t.Errorf("after Stop the statement ended with %q, want 57P01", got)
	}

	srv.Restart(t)
	if srv.Port() != port {
		t.Errorf("the port was %d and is %d", port, srv.Port())
	}
	killed := srv.Run(t, "app", "select pg_sleep(60)")
	srv.Kill(t)
	if killed.Alive(t) {
		t.Error("a session survived Kill")
	}

	srv.Restart(t)
	before := srv.Open(t, "app")
	srv.Pause(t)
	if !before.Alive(t) {
		t.Error("Pause ended an open session")
	}
	srv.Resume(t)
	srv.Run(t, "app", "select 1").Exec(t, "select 2")
}

func TestHalt(t *testing.T) {
	srv := pgtest.Start(t)
	before := srv.Connect(t, "app")
	resume := srv.Halt(t)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := before.Ping(ctx); !pgconn.Timeout(err) {
		t.Errorf("a halted server answers an open session: %v", err)
	}
	config, err := pgx.ParseConfig(srv.DSN("app"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := pgx.ConnectConfig(ctx, config); !pgconn.Timeout(err) {
		t.Errorf("a halted server answers a new session: %v", err)
	}
	resume()
	srv.Run(t, "app", "select 1")
}

func TestEndOfTestRemovesTheServer(t *testing.T) {
	var dir string
	var postmaster int
	t.Run("server", func(t *testing.T) {
		srv := pgtest.Start(t)
		srv.Run(t, "app", "select pg_sleep(60)")
		dir, postmaster = srv.SocketDir(), srv.PID()
	})
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s: %v, want it gone", dir, err)
	}
	if err := syscall.Kill(postmaster, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the postmaster %d: %v, want it gone", postmaster, err)
	}
}

func sqlState(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	return ""
}
