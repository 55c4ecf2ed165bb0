package remediation_test

// In this file: the signal has no effect, cannot be sent, or would hit a session
// that only waits.

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/metricstest"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// refusesToCancel sends a warning and checks that the cancel, which would stay pending
// until the client moves, is not even tried.
func (b *testRemediator) refusesToCancel(t *testing.T, alert labels) {
	t.Helper()
	results, lines := b.recorded(t, time.Now(), alert.with("severity", "warning"))
	check(t, results[0], policy.Cancel, ledger.Refused, policy.ReasonCannotCancel)
	if len(lines) != 1 || lines[0].Event != ledger.EventOutcome || lines[0].Reason != policy.ReasonCannotCancel || lines[0].Detail == "" {
		t.Errorf("the ledger says %+v", lines)
	}
}

// PostgreSQL returns true for these cancels, but the backend would not look at
// them until its client moves, and then they would hit what comes next.
func TestCancelThatWouldStayPending(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig")
	t.Run("a client that does not read", func(t *testing.T) {
		c := srv.NotReading(t, "app")
		b.refusesToCancel(t, backendIdentity(t, srv, c.PID(), "query_start"))
		b.refusesToCancel(t, backendIdentity(t, srv, c.PID(), "xact_start"))
		b.refusesToCancel(t, pidOnly(c.PID()))
		c.Read()
		if err := c.Wait(t); err != nil {
			t.Error(err)
		}
	})
	t.Run("a client that does not send", func(t *testing.T) {
		c := srv.CopyFromStdin(t, "app")
		b.refusesToCancel(t, backendIdentity(t, srv, c.PID(), "query_start"))
		b.refusesToCancel(t, pidOnly(c.PID()))
		c.SendCopyData(t, "a line")
		frontend := c.Conn().PgConn().Frontend()
		frontend.Send(&pgproto3.CopyDone{})
		if err := errors.Join(frontend.Flush(), c.Wait(t)); err != nil {
			t.Error(err)
		}
	})
	t.Run("a client that does not end its transaction", func(t *testing.T) {
		c := srv.IdleInTransaction(t, "app", "create temporary table t (i int)")
		b.refusesToCancel(t, backendIdentity(t, srv, c.PID(), "state_change"))
		b.refusesToCancel(t, pidOnly(c.PID()))
		c.Exec(t, "insert into t values (1)")
		c.Exec(t, "commit")
	})
}

// That the server has sent a signal does not mean that the backend reacts.
func TestASentSignalIsNoSuccess(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig", shortVerify)
	hung := srv.Run(t, "app", "select pg_sleep(60)")
	alert := identity(t, hung, "critical", "query_start")
	if err := syscall.Kill(hung.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	goOn := func() { _ = syscall.Kill(hung.PID(), syscall.SIGCONT) }
	t.Cleanup(goOn)
	results, lines := b.recorded(t, time.Now(), alert)
	check(t, results[0], policy.Terminate, ledger.Ignored, policy.ReasonSeverity)
	if len(lines) != 2 || lines[1].Outcome != ledger.Ignored || !lines[1].Signalled || lines[1].ID != lines[0].ID {
		t.Errorf("the ledger says %+v", lines)
	}
	// An alert can be raised on a remediation that failed.
	ignored := "pgbailiff_remediations_total{action=terminate,outcome=ignored,server=orders}"
	if got := metricstest.Value(t, b.registry, ignored); got != 1 {
		t.Errorf("%s is %v", ignored, got)
	}
	goOn()
	if state := sqlstate(hung.Wait(t)); state != "57P01" {
		t.Errorf("the client saw %q", state)
	}
	proctest.Until(t, "the session's end", func() bool { return !hung.Exists(t) })
	check(t, b.alert(t, alert), policy.None, ledger.Gone, "")
}

// With every connection slot taken nobody can log in, not even to end a query.
func TestConnectionsExhausted(t *testing.T) {
	srv := pgtest.Start(t, "max_connections=12", "max_wal_senders=0")
	b := newTestRemediator(t, srv, "monsig")
	srv.WaitFor(t, "select exists (select from pg_stat_activity where application_name = 'pgbailiff' and state = 'idle')")
	busy, transaction := srv.Run(t, "app", "select pg_sleep(60)"), srv.IdleInTransaction(t, "app")
	var full error
	for range 20 {
		conn, err := pgx.Connect(t.Context(), srv.DSN("monsig"))
		if full = err; err != nil {
			break
		}
		t.Cleanup(func() { _ = conn.Close(t.Context()); <-conn.PgConn().CleanupDone() })
	}
	if sqlstate(full) != "53300" {
		t.Fatalf("there is room left: %v", full)
	}
	check(t, b.alert(t, identity(t, busy, "warning", "query_start")), policy.Cancel, ledger.Cancelled, policy.ReasonSeverity)
	check(t, b.alert(t, identity(t, transaction, "critical", "state_change")), policy.Terminate, ledger.Terminated, policy.ReasonSeverity)
	if !busy.Alive(t) || transaction.Exists(t) {
		t.Error("the wrong one was hit")
	}
}

// PostgreSQL reports pid 0 for a prepared transaction: there is no backend to
// signal.
func TestPreparedTransactionBlocks(t *testing.T) {
	srv := pgtest.Start(t, "max_prepared_transactions=2")
	srv.Exec(t, "create table t (i int)", "grant all on t to app")
	preparer := srv.IdleInTransaction(t, "app", "lock table t")
	preparer.Exec(t, "prepare transaction 'forgotten'")
	waiter := srv.Blocked(t, "app", "insert into t values (1)")
	if pid := pgtest.Value[int](t, srv, "select (pg_blocking_pids($1))[1]", waiter.PID()); pid != 0 {
		t.Fatalf("the blocker is pid %d", pid)
	}
	b := newTestRemediator(t, srv, "super1", liftsAll(t, policy.Terminate))
	stays, alsoStays := untouched(t, srv, waiter.PID()), untouched(t, srv, preparer.PID())
	b.sendsNothing(t, pidOnly(0), ledger.Refused, policy.ReasonBadLabel)
	b.sendsNothing(t, pidOnly(0).with("xact_start", "2020-01-01T00:00:00.000000Z", "backend_start", "2020-01-01T00:00:00.000000Z"),
		ledger.Refused, policy.ReasonBadLabel)
	stays()
	alsoStays()
	preparer.Exec(t, "commit prepared 'forgotten'")
	if err := waiter.Wait(t); err != nil {
		t.Error(err)
	}
}

func TestTheRootBlockerIsEndedNotTheWaiters(t *testing.T) {
	srv := pgtest.Start(t)
	srv.Exec(t, "create table t (i int)", "grant all on t to app, app2", "insert into t values (1)")
	b := newTestRemediator(t, srv, "monsig")
	root := srv.IdleInTransaction(t, "app", "update t set i = 2")
	first := srv.IdleInTransaction(t, "app2")
	first.Start(t, "update t set i = i + 10")
	first.Await(t, "wait_event_type = 'Lock'")
	second := srv.Blocked(t, "app2", "update t set i = i + 100")
	alert := backendIdentity(t, srv, root.PID(), "xact_start")
	b.refusesToCancel(t, alert)
	results, lines := b.recorded(t, time.Now(), alert.with("severity", "critical"))
	check(t, results[0], policy.Terminate, ledger.Terminated, policy.ReasonSeverity)
	if len(lines) != 2 || strings.Contains(lines[1].Detail, "still") {
		t.Errorf("the ledger says %+v", lines)
	}
	if err := first.Wait(t); err != nil {
		t.Errorf("a waiter was hit: %v", err)
	}
	first.Exec(t, "commit")
	if err := second.Wait(t); err != nil {
		t.Errorf("a waiter was hit: %v", err)
	}
	if got := pgtest.Value[int](t, srv, "select i from t"); got != 111 {
		t.Errorf("i is %d", got)
	}
}
