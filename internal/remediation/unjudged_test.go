package remediation_test

// In this file: an alert names a transaction, and the signalling statement finds
// that the present statement must be judged first.

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/metricstest"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// The text has a keyword of maintenance, and does no maintenance.
func TestHarmlessWordsDoNotProtectATransaction(t *testing.T) {
	srv := pgtest.Start(t)
	srv.Exec(t, `create table "cluster" as select 1 as i`, `grant select on "cluster" to app`,
		"create table pause as select 0 as seconds", "grant select on pause to app",
		"create function pause() returns int language plpgsql as 'begin perform pg_sleep(seconds) from public.pause; return 1; end'",
		"create materialized view numbers as select pause() as i", "create unique index on numbers (i)",
		"alter materialized view numbers owner to app", "update pause set seconds = 60")
	b := newTestRemediator(t, srv, "monsig")
	for name, sql := range map[string]string{
		"a table":          `select pg_sleep(60) from "cluster"`,
		"a column":         "select pg_sleep(60) as reindex",
		"a comment":        "select pg_sleep(60) -- not concurrently",
		"a literal":        "select pg_sleep(60), 'vacuum'",
		"a view":           "refresh materialized view concurrently numbers",
		"what went before": "select 1 /* vacuum */; select pg_sleep(60)",
	} {
		t.Run(name, func(t *testing.T) {
			for severity, outcome := range map[string]ledger.Outcome{"warning": ledger.Cancelled, "critical": ledger.Terminated} {
				c := srv.Run(t, "app", sql)
				c.Await(t, "wait_event = 'PgSleep'")
				results, lines := b.recorded(t, time.Now(), identity(t, c, severity, "xact_start"))
				if got := results[0]; got.Outcome != outcome {
					t.Errorf("%s: %+v", severity, got)
				}
				checkLines(t, lines, "intent "+string(results[0].Action), string(outcome)+"+")
			}
		})
	}
	t.Run("an idle session's previous statement", func(t *testing.T) {
		c := srv.IdleInTransaction(t, "app", `select i from "cluster"`)
		results, lines := b.recorded(t, time.Now(), identity(t, c, "critical", "xact_start"))
		check(t, results[0], policy.Terminate, ledger.Terminated, policy.ReasonSeverity)
		checkLines(t, lines, "intent terminate", "terminated+")
	})
}

// The statement that was judged is over, and its transaction goes on with another
// one that must be judged. The further looks need no further intent.
func TestATransactionThatMovesOnIsJudgedAgain(t *testing.T) {
	srv := pgtest.Start(t)
	srv.Exec(t, "create table t (i int)", "alter table t owner to app")
	harmless := func(sql string) func(*pgtest.Client) {
		return func(c *pgtest.Client) { c.Exec(t, sql) }
	}
	reindex := func(c *pgtest.Client) {
		c.Start(t, "reindex table t")
		c.Await(t, "wait_event_type = 'Lock'")
	}
	for name, tc := range map[string]struct {
		next  []func(*pgtest.Client)
		lines []string
	}{
		"to a harmless word":         {[]func(*pgtest.Client){harmless("select 1 as cluster")}, []string{"intent terminate", "terminated+"}},
		"to harmless words, twice":   {[]func(*pgtest.Client){harmless("select 1 as vacuum"), harmless("select 2 as cluster")}, []string{"intent terminate", "terminated+"}},
		"to maintenance":             {[]func(*pgtest.Client){reindex}, []string{"intent terminate", "refused protected_maintenance"}},
		"from a word to maintenance": {[]func(*pgtest.Client){harmless("select 1 as vacuum"), reindex}, []string{"intent terminate", "refused protected_maintenance"}},
	} {
		t.Run(name, func(t *testing.T) {
			holder := srv.IdleInTransaction(t, "app", "lock table t")
			c := srv.IdleInTransaction(t, "app", "select 1")
			b := newTestRemediator(t, srv, "monsig", hooked(&hooks{
				beforeSignal: func(call int, _ session.Verb) error {
					if call <= len(tc.next) {
						tc.next[call-1](c)
					}
					return nil
				},
			}))
			_, lines := b.recorded(t, time.Now(), identity(t, c, "critical", "xact_start"))
			checkLines(t, lines, tc.lines...)
			holder.Exec(t, "rollback")
			if protected := strings.HasPrefix(tc.lines[1], "refused"); c.Alive(t) != protected {
				t.Errorf("alive is not %t", protected)
			}
		})
	}
}

// The transaction goes on under a policy that judges statements. The same intent
// covers all looks.
func TestADecisionThatMovedHasOneOutcome(t *testing.T) {
	srv := pgtest.Start(t)
	c := srv.IdleInTransaction(t, "app", "select 1")
	b := newTestRemediator(t, srv, "monsig",
		rules(t, policy.RuleConfig{Name: "selects", Matchers: []string{`command="SELECT"`}, Action: policy.CancelThenTerminate}),
		hooked(&hooks{
			beforeSignal: func(call int, _ session.Verb) error {
				if call <= 3 {
					c.Exec(t, "select 2")
				}
				return nil
			},
		}))
	before := metricstest.Value(t, b.registry, "pgbailiff_remediations_total{action=cancel-then-terminate,outcome=terminated,server=orders}")
	results, lines := b.recorded(t, time.Now(), identity(t, c, "warning", "xact_start"))
	check(t, results[0], policy.CancelThenTerminate, ledger.Terminated, policy.ReasonRule)
	checkLines(t, lines, "intent terminate", "terminated+")
	if after := metricstest.Value(t, b.registry, "pgbailiff_remediations_total{action=cancel-then-terminate,outcome=terminated,server=orders}"); after != before+1 {
		t.Errorf("counted %v times", after-before)
	}
}

// The statement that we looked at has ended when the cancel comes. The intent of
// the cancel ends without a signal, and the terminate has an intent of its own.
func TestTheSignalChangesWithTheState(t *testing.T) {
	srv := pgtest.Start(t)
	c := srv.Open(t, "app")
	c.Exec(t, "begin; savepoint s")
	c.Start(t, "select pg_sleep(60)")
	b := newTestRemediator(t, srv, "monsig", escalates(t), hooked(&hooks{
		beforeSignal: func(call int, _ session.Verb) error {
			if call == 1 {
				srv.Exec(t, "select pg_cancel_backend("+identity(t, c, "", "")["pid"]+")")
				_ = c.Wait(t)
				c.Await(t, "state = 'idle in transaction (aborted)'")
			}
			return nil
		},
	}))
	results, lines := b.recorded(t, time.Now(), identity(t, c, "warning", "xact_start"))
	check(t, results[0], policy.CancelThenTerminate, ledger.Terminated, policy.ReasonRule)
	checkLines(t, lines, "intent cancel", "gone", "intent terminate", "terminated+")
	if spent := b.ledger.Spent("orders", time.Minute, time.Now()); spent != 1 {
		t.Errorf("%d signals are spent", spent)
	}
}

// Under a policy that judges statements the signal is for one statement. The alert
// still means the transaction, which goes on after the statement was cancelled.
func TestACancelledStatementIsNotACancelledTransaction(t *testing.T) {
	srv := pgtest.Start(t)
	c := srv.Open(t, "app")
	c.Exec(t, "begin; savepoint s")
	c.Start(t, "select pg_sleep(60)")
	b := newTestRemediator(t, srv, "monsig", shortGrace(20*model.Millisecond),
		rules(t, policy.RuleConfig{Name: "selects", Matchers: []string{`command="SELECT"`}, Action: policy.CancelThenTerminate}))
	results, lines := b.recorded(t, time.Now(), identity(t, c, "warning", "xact_start"))
	check(t, results[0], policy.CancelThenTerminate, ledger.Terminated, policy.ReasonRule)
	checkLines(t, lines, "intent cancel", "ignored+", "intent terminate", "terminated+")
}

// The request ends with what the last of its looks at the transaction finds.
func TestTheLastLookCounts(t *testing.T) {
	const looks = 20
	srv := pgtest.Start(t)
	c := srv.IdleInTransaction(t, "app", "select 1")
	b := newTestRemediator(t, srv, "monsig", hooked(&hooks{
		beforeSignal: func(call int, _ session.Verb) error {
			if call == looks {
				c.Exec(t, "commit")
			} else {
				c.Exec(t, "select "+strconv.Itoa(call)+" as cluster")
			}
			return nil
		},
	}))
	results, lines := b.recorded(t, time.Now(), identity(t, c, "critical", "xact_start"))
	check(t, results[0], policy.None, ledger.Gone, "")
	checkLines(t, lines, "intent terminate", "gone")
}
