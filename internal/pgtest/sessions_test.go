package pgtest_test

import (
	"os"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// TestSessions checks how PostgreSQL shows each kind of session, and what a
// cancel and a terminate do to it.
func TestSessions(t *testing.T) {
	srv := pgtest.Start(t)
	srv.IdleInTransaction(t, "app2", "select pg_advisory_xact_lock(1)")

	for _, tt := range []struct {
		name            string
		open            func(t *testing.T) *pgtest.Client
		state, wait     string
		cancels         bool   // a cancel ends the statement
		terminated      string // SQLSTATE of the statement after a terminate
		backend         string
		withTransaction bool
	}{
		{
			name:  "running",
			open:  func(t *testing.T) *pgtest.Client { return srv.Run(t, "app", "select pg_sleep(60)") },
			state: "active", wait: "Timeout", cancels: true, terminated: "57P01", withTransaction: true,
		},
		{
			name:  "idle",
			open:  func(t *testing.T) *pgtest.Client { return srv.Run(t, "app", "select 1") },
			state: "idle", wait: "Client",
		},
		{
			name:  "idle in transaction",
			open:  func(t *testing.T) *pgtest.Client { return srv.IdleInTransaction(t, "app", "select 1") },
			state: "idle in transaction", wait: "Client", withTransaction: true,
		},
		{
			name:  "aborted",
			open:  func(t *testing.T) *pgtest.Client { return srv.AbortedTransaction(t, "app") },
			state: "idle in transaction (aborted)", wait: "Client", terminated: "22012", // that of its own failure
		},
		{
			name:  "blocked",
			open:  func(t *testing.T) *pgtest.Client { return srv.Blocked(t, "app", "select pg_advisory_xact_lock(1)") },
			state: "active", wait: "Lock", cancels: true, terminated: "57P01", withTransaction: true,
		},
		{
			name:  "not reading",
			open:  func(t *testing.T) *pgtest.Client { return srv.NotReading(t, "app") },
			state: "active", wait: "Client", withTransaction: true,
		},
		{
			name:  "copy from stdin",
			open:  func(t *testing.T) *pgtest.Client { return srv.CopyFromStdin(t, "app") },
			state: "active", wait: "Client", terminated: "57P01", withTransaction: true,
		},
		{
			name:  "suspended portal",
			open:  func(t *testing.T) *pgtest.Client { return srv.SuspendedPortal(t, "app") },
			state: "active", wait: "Client", terminated: "57P01", withTransaction: true,
		},
		{
			name:  "walsender",
			open:  func(t *testing.T) *pgtest.Client { return srv.WalSender(t) },
			state: "active", wait: "Activity", terminated: "57P01", backend: "walsender",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.backend == "" {
				tt.backend = "client backend"
			}
			c := tt.open(t)
			c.Await(t, "wait_event_type = '"+tt.wait+"'") // it may be a moment away from waiting
			a := c.Activity(t)
			if a.State != tt.state || a.WaitEventType != tt.wait || a.BackendType != tt.backend {
				t.Errorf("state %q, wait %q, backend %q; want %q, %q, %q",
					a.State, a.WaitEventType, a.BackendType, tt.state, tt.wait, tt.backend)
			}
			if a.BackendStart.IsZero() || a.StateChange.IsZero() || a.ClientAddr != srv.Host() {
				t.Errorf("the session has no identity: %+v", a)
			}
			if a.XactStart.IsZero() == tt.withTransaction {
				t.Errorf("xact_start = %v, in a transaction: %v", a.XactStart, tt.withTransaction)
			}

			if tt.cancels {
				if !pgtest.Value[bool](t, srv, "select pg_cancel_backend($1)", c.PID()) {
					t.Error("the cancel was not sent")
				}
				if got := sqlState(c.Wait(t)); got != "57014" {
					t.Errorf("cancelled: %q, want 57014", got)
				}
				if !c.Alive(t) {
					t.Error("the session did not survive the cancel")
				}
				c = tt.open(t)
			}
			pgtest.Value[bool](t, srv, "select pg_terminate_backend($1)", c.PID())
			srv.WaitFor(t, "select not exists (select from pg_stat_get_activity($1) s where s.pid = $1)", c.PID())
			if tt.name == "not reading" {
				c.Read()
			}
			if got := sqlState(c.Wait(t)); got != tt.terminated {
				t.Errorf("terminated: %q, want %q", got, tt.terminated)
			}
			if c.Alive(t) || c.Exists(t) {
				t.Error("the session survived the terminate")
			}
		})
	}
}

func TestPendingCancel(t *testing.T) {
	srv := pgtest.Start(t)
	reader, copier := srv.NotReading(t, "app"), srv.CopyFromStdin(t, "app")
	for _, c := range []*pgtest.Client{reader, copier} {
		pgtest.Value[bool](t, srv, "select pg_cancel_backend($1)", c.PID())
	}
	reader.Read()
	copier.SendCopyData(t, "a line")
	for _, c := range []*pgtest.Client{reader, copier} {
		if got := sqlState(c.Wait(t)); got != "57014" {
			t.Errorf("the client's next move ended the statement with %q, want 57014", got)
		}
		if !c.Alive(t) {
			t.Error("the session did not survive the cancel")
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
