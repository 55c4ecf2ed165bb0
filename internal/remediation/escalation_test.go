package remediation_test

// In this file: cancel-then-terminate, and what may happen between the two.

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

func escalates(t testing.TB) option {
	return rules(t, policy.RuleConfig{
		Name: "escalate", Matchers: []string{`usename="app"`}, Action: policy.CancelThenTerminate,
	})
}

// end ends a session as another person might.
func end(t testing.TB, srv *pgtest.Server, c *pgtest.Client) {
	t.Helper()
	srv.Exec(t, fmt.Sprintf("select pg_terminate_backend(%d)", c.PID()))
	srv.WaitFor(t, "select not exists (select from pg_stat_get_activity($1) s where s.pid = $1)", c.PID())
}

// The statement is cancelled, the client rolls back to its savepoint, and the
// transaction that the alert names goes on. The text of its last or present
// statement has a word that the policy must look at.
func TestATransactionThatOutlivesItsCancelIsTerminated(t *testing.T) {
	srv := pgtest.Start(t)
	for _, next := range []string{
		"select 1 as cluster",
		"select 1",
		"select 1 /* vacuum */; select pg_sleep(60) as cluster",
	} {
		t.Run(next, func(t *testing.T) {
			c := srv.Open(t, "app")
			c.Exec(t, "begin; savepoint s")
			c.Start(t, "select pg_sleep(60)")
			b := newTestRemediator(t, srv, "monsig", escalates(t), shortGrace(20*model.Millisecond), hooked(&hooks{
				afterWatch: func(call int, last session.Observation) {
					if call == 1 && last.Present {
						_ = c.Wait(t)
						c.Exec(t, "rollback to s")
						c.Start(t, next)
						c.Await(t, "state <> 'active' or wait_event = 'PgSleep'")
					}
				},
			}))
			results, lines := b.recorded(t, time.Now(), identity(t, c, "warning", "xact_start"))
			check(t, results[0], policy.CancelThenTerminate, ledger.Terminated, policy.ReasonRule)
			checkLines(t, lines, "intent cancel", "ignored+", "intent terminate", "terminated+")
			if c.Exists(t) {
				t.Error("the transaction goes on")
			}
		})
	}
}

// The second look finds something that must not be ended.
func TestATransactionThatGoesOnWithMaintenanceIsNotTerminated(t *testing.T) {
	srv := pgtest.Start(t)
	srv.Exec(t, "create table t (i int)", "alter table t owner to app")
	holder := srv.IdleInTransaction(t, "app", "lock table t")
	c := srv.Open(t, "app")
	c.Exec(t, "begin; savepoint s")
	c.Start(t, "select pg_sleep(60)")
	var stays func()
	b := newTestRemediator(t, srv, "monsig", escalates(t), shortGrace(20*model.Millisecond), hooked(&hooks{
		afterWatch: func(int, session.Observation) {
			_ = c.Wait(t)
			c.Exec(t, "rollback to s")
			c.Start(t, "reindex table t")
			c.Await(t, "wait_event_type = 'Lock'")
			stays = untouched(t, srv, c.PID())
		},
	}))
	results, lines := b.recorded(t, time.Now(), identity(t, c, "warning", "xact_start"))
	check(t, results[0], policy.CancelThenTerminate, ledger.Ignored, policy.ReasonProtectedMaintenance)
	checkLines(t, lines, "intent cancel", "ignored+", "refused protected_maintenance")
	stays()
	holder.Exec(t, "rollback")
}

// The policy would only cancel what the transaction does now, and the transaction
// has outlived a cancel.
func TestATransactionThatMayOnlyBeCancelledNow(t *testing.T) {
	srv := pgtest.Start(t)
	c := srv.Open(t, "app")
	c.Exec(t, "begin; savepoint s")
	c.Start(t, "select pg_sleep(60)")
	var stays func()
	b := newTestRemediator(t, srv, "monsig", shortGrace(20*model.Millisecond),
		rules(t, policy.RuleConfig{Name: "selects", Matchers: []string{`command="SELECT"`}, Action: policy.CancelThenTerminate}),
		hooked(&hooks{
			afterWatch: func(int, session.Observation) {
				if stays == nil {
					_ = c.Wait(t)
					c.Exec(t, "rollback to s")
					c.Start(t, "do 'begin perform pg_sleep(60); end'")
					c.Await(t, "wait_event = 'PgSleep'")
					stays = untouched(t, srv, c.PID())
				}
			},
		}))
	results, lines := b.recorded(t, time.Now(), identity(t, c, "warning", "xact_start"))
	check(t, results[0], policy.Cancel, ledger.Ignored, policy.ReasonCannotCancel)
	checkLines(t, lines, "intent cancel", "ignored+", "refused cannot_cancel")
	stays()
}

func TestACancelThatWorksLateIsACancel(t *testing.T) {
	srv := pgtest.Start(t)
	c := ignoresCancel(t, srv)
	b := newTestRemediator(t, srv, "monsig", escalates(t), shortGrace(20*model.Millisecond), hooked(&hooks{
		afterWatch: func(int, session.Observation) { end(t, srv, c) },
	}))
	results, lines := b.recorded(t, time.Now(), identity(t, c, "warning", "query_start"))
	check(t, results[0], policy.CancelThenTerminate, ledger.Cancelled, policy.ReasonRule)
	checkLines(t, lines, "intent cancel", "cancelled+")
	if spent := b.ledger.Spent("orders", time.Minute, time.Now()); spent != 1 {
		t.Errorf("%d signals are spent", spent)
	}
}

// The target is still there when we look, and gone when the terminate comes.
func TestATerminateThatComesTooLateIsNotSent(t *testing.T) {
	srv := pgtest.Start(t)
	for name, meanwhile := range map[string]func(*pgtest.Client){
		"the session ends":     func(c *pgtest.Client) { end(t, srv, c) },
		"the transaction ends": func(c *pgtest.Client) { c.Exec(t, "rollback"); c.Exec(t, "begin; select 1") },
	} {
		t.Run(name, func(t *testing.T) {
			c := srv.Open(t, "app")
			c.Exec(t, "begin; savepoint s")
			c.Start(t, "select pg_sleep(60)")
			b := newTestRemediator(t, srv, "monsig", escalates(t), shortGrace(20*model.Millisecond), hooked(&hooks{
				beforeSignal: func(_ int, verb session.Verb) error {
					if verb == session.Terminate {
						meanwhile(c)
					}
					return nil
				},
			}))
			results, lines := b.recorded(t, time.Now(), identity(t, c, "warning", "xact_start"))
			check(t, results[0], policy.CancelThenTerminate, ledger.Cancelled, policy.ReasonRule)
			checkLines(t, lines, "intent cancel", "ignored+", "intent terminate", "gone")
			if spent := b.ledger.Spent("orders", time.Minute, time.Now()); spent != 1 {
				t.Errorf("%d signals are spent", spent)
			}
		})
	}
}

// An alert without the whole identity means what the first look found, and not
// what the session does next, even if that has an earlier time.
func TestAnAlertFencedByTimeMeansWhatWasFoundFirst(t *testing.T) {
	srv := pgtest.Start(t)
	c := ignoresCancel(t, srv)
	begun := c.Activity(t).QueryStart
	b := newTestRemediator(t, srv, "monsig", escalates(t), shortGrace(20*model.Millisecond), hooked(&hooks{
		afterFind: func(call int, s *session.Found) {
			if call > 1 {
				s.QueryStart = begun.Add(-time.Second)
			}
		},
	}))
	results, lines := b.recorded(t, time.Now(), pidOnly(c.PID()).with("severity", "warning"))
	check(t, results[0], policy.CancelThenTerminate, ledger.Cancelled, policy.ReasonRule)
	checkLines(t, lines, "intent cancel", "cancelled+")
}

func TestTheBudgetEndsBetweenCancelAndTerminate(t *testing.T) {
	srv := pgtest.Start(t)
	c := ignoresCancel(t, srv)
	b := newTestRemediator(t, srv, "monsig", escalates(t), shortGrace(20*model.Millisecond), func(s *remediation.Settings) {
		s.Config.Limits.Actions = 1
	})
	results, lines := b.recorded(t, time.Now(), identity(t, c, "warning", "query_start"))
	check(t, results[0], policy.CancelThenTerminate, ledger.Ignored, policy.ReasonOverBudget)
	checkLines(t, lines, "intent cancel", "ignored+", "refused over_budget")
	if !c.Running() {
		t.Error("the session was ended")
	}
}
