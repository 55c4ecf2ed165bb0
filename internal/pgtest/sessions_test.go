package pgtest_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// TestSessions holds what each kind of session looks like, and that a cancel
// and a terminate do to it what PostgreSQL's own rules say.
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
					t.Error("the session did not outlive the cancel")
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
				t.Error("the session outlived the terminate")
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
			t.Error("the session did not outlive the cancel")
		}
	}
}

// TestPIDReuse gives one session's pid to the next.
func TestPIDReuse(t *testing.T) {
	pgtest.InPIDNamespace(t, func() {
		srv := pgtest.Start(t)
		for range 10 {
			first := srv.Run(t, "app", "select pg_sleep(60)")
			before := first.Activity(t)
			pgtest.Value[bool](t, srv, "select pg_terminate_backend($1)", first.PID())
			_ = first.Wait(t)

			second := srv.OpenWithPID(t, before.PID, "app2")
			if after := second.Activity(t); after.PID != before.PID || !after.BackendStart.After(before.BackendStart) {
				t.Errorf("first %+v, then %+v", before, after)
			}
		}
	})
}

// TestAPIDThatIsTaken starts over when a thread of the test was born with the
// pid that the next session should get: it would keep it to the end.
func TestAPIDThatIsTaken(t *testing.T) {
	const variable, pid = "PGBAILIFF_TEST_TAKEN", 5000
	if os.Getenv(variable) == "" {
		t.Setenv(variable, filepath.Join(t.TempDir(), "once"))
	}
	pgtest.InPIDNamespace(t, func() {
		srv := pgtest.Start(t)
		once, err := os.OpenFile(os.Getenv(variable), os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil { // the second time
			if c := srv.OpenWithPID(t, pid, "app"); c.PID() != pid {
				t.Errorf("got the pid %d", c.PID())
			}
			return
		}
		_ = once.Close()
		forever := make(chan struct{})
		for !exists("/proc/self/task/" + strconv.Itoa(pid)) {
			pgtest.SetLastPID(t, pid-1)
			go func() {
				runtime.LockOSThread()
				<-forever
			}()
			runtime.Gosched()
		}
		srv.OpenWithPID(t, pid, "app")
	})
	if !exists(os.Getenv(variable)) {
		t.Error("there was no first time")
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
