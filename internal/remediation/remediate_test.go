package remediation_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
)

func sqlstate(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	return ""
}

// check compares what matters of a result.
func check(t testing.TB, got remediation.Result, action policy.Action, outcome ledger.Outcome, reason policy.Reason) {
	t.Helper()
	if got.Action != action || got.Outcome != outcome || got.Reason != reason {
		t.Errorf("got %s, %s, %s; want %s, %s, %s", got.Action, got.Outcome, got.Reason, action, outcome, reason)
	}
}

func TestWarningCancelsTheQuery(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig")
	c := srv.Run(t, "app", "select pg_sleep(60)")
	bystander := srv.Run(t, "app", "select pg_sleep(60)")
	check(t, b.alert(t, identity(t, c, "warning", "query_start")), policy.Cancel, ledger.Cancelled, policy.ReasonSeverity)
	if state := sqlstate(c.Wait(t)); state != "57014" || !c.Alive(t) {
		t.Errorf("the client saw %q", state)
	}
	if !bystander.Running() {
		t.Error("somebody else was hit")
	}
	lines := b.ledger.Recent(10)
	if len(lines) != 2 || lines[1].Event != ledger.EventIntent || lines[0].Event != ledger.EventOutcome || lines[0].ID != lines[1].ID {
		t.Errorf("ledger: %+v", lines)
	}
	// Alertmanager repeats itself; nobody is hit twice.
	check(t, b.alert(t, identity(t, bystander, "warning", "query_start").with("query_start", "2020-01-01T00:00:00.000000Z")),
		policy.None, ledger.Gone, "")
}

func TestCriticalTerminatesTheSession(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig")
	for _, tc := range []struct {
		name, period string
		client       *pgtest.Client
	}{
		{"a query", "query_start", srv.Run(t, "app", "select pg_sleep(60)")},
		{"a transaction", "xact_start", srv.Run(t, "app", "select pg_sleep(60)")},
		{"an idle transaction", "state_change", srv.IdleInTransaction(t, "app", "select 1")},
		{"an idle transaction by its start", "xact_start", srv.IdleInTransaction(t, "app", "select 1")},
		{"an aborted transaction", "state_change", srv.AbortedTransaction(t, "app")},
		{"a client that does not read", "query_start", srv.NotReading(t, "app")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			check(t, b.alert(t, identity(t, tc.client, "critical", tc.period)), policy.Terminate, ledger.Terminated, policy.ReasonSeverity)
			if tc.client.Exists(t) {
				t.Error("the session is still there")
			}
		})
	}
}

func TestCancelThatCannotWork(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig")
	for _, tc := range []struct {
		name, period string
		client       *pgtest.Client
	}{
		{"idle in transaction", "state_change", srv.IdleInTransaction(t, "app", "select 1")},
		{"idle in transaction, by xact_start", "xact_start", srv.IdleInTransaction(t, "app", "select 1")},
		{"aborted", "state_change", srv.AbortedTransaction(t, "app")},
		{"ClientWrite", "query_start", srv.NotReading(t, "app")},
		{"ClientRead in COPY", "query_start", srv.CopyFromStdin(t, "app")},
		{"ClientRead in a portal", "query_start", srv.SuspendedPortal(t, "app")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			check(t, b.alert(t, identity(t, tc.client, "warning", tc.period)), policy.Cancel, ledger.Refused, policy.ReasonCannotCancel)
			if !tc.client.Exists(t) {
				t.Error("it was hit")
			}
		})
	}
}

// ignoresCancel is a session whose statement catches every cancel.
func ignoresCancel(t *testing.T, srv *pgtest.Server) *pgtest.Client {
	t.Helper()
	c := srv.Run(t, "app", `do $$ begin loop begin perform pg_sleep(60); exception when query_canceled then null; end; end loop; end $$`)
	c.Await(t, "wait_event = 'PgSleep'")
	return c
}

func TestCancelThenTerminate(t *testing.T) {
	srv := pgtest.Start(t)
	escalates := rules(t, policy.RuleConfig{
		Name: "escalate", Matchers: []string{`usename="app"`}, Action: policy.CancelThenTerminate,
	})
	b := newTestRemediator(t, srv, "monsig", escalates)
	t.Run("a cancel is enough", func(t *testing.T) {
		c := srv.Run(t, "app", "select pg_sleep(60)")
		check(t, b.alert(t, identity(t, c, "warning", "query_start")), policy.CancelThenTerminate, ledger.Cancelled, policy.ReasonRule)
		if !c.Alive(t) {
			t.Error("the session is gone")
		}
	})
	t.Run("a cancel is ignored", func(t *testing.T) {
		c := ignoresCancel(t, srv)
		b := newTestRemediator(t, srv, "monsig", escalates, func(s *remediation.Settings) { s.Config.Grace = 300 * model.Millisecond })
		before := len(b.ledger.Recent(100))
		check(t, b.alert(t, identity(t, c, "warning", "query_start")), policy.CancelThenTerminate, ledger.Terminated, policy.ReasonRule)
		lines := b.ledger.Recent(len(b.ledger.Recent(100)) - before)
		slices.Reverse(lines)
		checkLines(t, lines, "intent cancel", "ignored+", "intent terminate", "terminated+")
	})
	t.Run("a cancel cannot work", func(t *testing.T) {
		c := srv.IdleInTransaction(t, "app", "select 1")
		check(t, b.alert(t, identity(t, c, "warning", "state_change")), policy.CancelThenTerminate, ledger.Terminated, policy.ReasonRule)
		if c.Exists(t) {
			t.Error("the session is still there")
		}
	})
}

func TestAnIgnoredSignalIsReported(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig", shortVerify)
	c := ignoresCancel(t, srv)
	check(t, b.alert(t, identity(t, c, "warning", "query_start")), policy.Cancel, ledger.Ignored, policy.ReasonSeverity)
}

func TestTransactionThatGoesOn(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig")
	c := srv.Run(t, "app", "do $$ begin perform 1; end $$; begin; select pg_sleep(0.001)")
	c.Exec(t, "select 1")
	alert := identity(t, c, "critical", "xact_start")
	c.Exec(t, "select 2")
	check(t, b.alert(t, alert), policy.Terminate, ledger.Terminated, policy.ReasonSeverity)
}

func TestUnreachableServer(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig")
	c := srv.Run(t, "app", "select pg_sleep(60)")
	alert := identity(t, c, "warning", "query_start")
	check(t, b.alert(t, alert.with("query_start", "2020-01-01T00:00:00.000000Z")), policy.None, ledger.Gone, "")
	srv.Kill(t)
	begun := time.Now()
	results := b.remediate(t, time.Now(), alert, alert.with("pid", "x"))
	if !results[0].Retry || results[1].Retry || time.Since(begun) > 10*time.Second {
		t.Fatalf("%+v after %s", results, time.Since(begun))
	}
	check(t, results[0], policy.None, ledger.Failed, "")
	check(t, results[1], policy.None, ledger.Refused, policy.ReasonBadLabel)
	srv.Restart(t)
	check(t, b.alert(t, alert), policy.None, ledger.Gone, "")
}
