package remediation_test

// In this file: between the question and the approval something has changed.

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// The session does something else by the time of the approval, or may not be
// hit any more.
func TestAnApprovalDecidesAnewAboutTheSession(t *testing.T) {
	srv := pgtest.Start(t)
	srv.Exec(t, "create table t (i int)", "alter table t owner to app")
	idle := func(t testing.TB) *pgtest.Client { return srv.IdleInTransaction(t, "app", "select 1") }
	sleeps := func(t testing.TB) *pgtest.Client { return srv.Run(t, "app", "select pg_sleep(60)") }
	cancelled := func(t testing.TB, c *pgtest.Client) {
		srv.Exec(t, fmt.Sprintf("select pg_cancel_backend(%d)", c.PID()))
		_ = c.Wait(t)
	}
	for name, tc := range map[string]struct {
		action  policy.Action
		client  func(testing.TB) *pgtest.Client
		period  string
		change  func(testing.TB, *pgtest.Client)
		outcome string
	}{
		"the query has ended": {policy.Cancel, sleeps, "query_start", cancelled, "gone"},
		"the next query runs": {policy.Cancel, sleeps, "query_start", func(t testing.TB, c *pgtest.Client) {
			cancelled(t, c)
			c.Start(t, "select pg_sleep(60)")
		}, "gone"},
		"the session has ended": {policy.Terminate, sleeps, "query_start", func(t testing.TB, c *pgtest.Client) { end(t, srv, c) }, "gone"},
		"the idle transaction has done something": {policy.Terminate, idle, "state_change", func(t testing.TB, c *pgtest.Client) {
			c.Exec(t, "select 2")
		}, "gone"},
		"the next transaction": {policy.Terminate, idle, "xact_start", func(t testing.TB, c *pgtest.Client) {
			c.Exec(t, "commit")
			c.Exec(t, "begin")
		}, "gone"},
		"the transaction does maintenance now": {policy.Terminate, idle, "xact_start", func(t testing.TB, c *pgtest.Client) {
			srv.IdleInTransaction(t, "app", "lock table t")
			c.Start(t, "reindex table t")
			c.Await(t, "wait_event_type = 'Lock'")
		}, "refused protected_maintenance"},
		"it calls itself a backup now": {policy.Terminate, idle, "xact_start", func(t testing.TB, c *pgtest.Client) {
			c.Exec(t, "set application_name = pg_dump")
		}, "refused protected_backup"},
		"nothing runs that could be cancelled": {policy.Cancel, func(t testing.TB) *pgtest.Client {
			c := srv.Open(t, "app")
			c.Exec(t, "begin; savepoint s")
			c.Start(t, "select pg_sleep(60)")
			return c
		}, "xact_start", func(t testing.TB, c *pgtest.Client) {
			cancelled(t, c)
			c.Exec(t, "rollback to s")
		}, "refused cannot_cancel"},
		"the transaction has gone on": {policy.Terminate, idle, "xact_start", func(t testing.TB, c *pgtest.Client) {
			c.Exec(t, "select 2")
		}, "intent terminate, terminated+"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTestRemediator(t, srv, "monsig", rules(t, asks(tc.action)))
			c := tc.client(t)
			alert := teams(t, c, "warning", tc.period)
			id := b.asked(t, alert)
			tc.change(t, c)
			hit := strings.HasSuffix(tc.outcome, "+")
			there := c.Exists(t)
			stays := func() {}
			if there && !hit {
				stays = untouched(t, srv, c.PID())
			}
			if got := b.approve(t, id); got.Signalled != hit || got.Retry {
				t.Errorf("%+v", got)
			}
			b.history(t, id, "asked", "approved", tc.outcome)
			stays()
			if hit == c.Exists(t) && there {
				t.Errorf("the session exists: %t", !hit)
			}
			if n := b.value(t, pendingApprovals); n != 0 {
				t.Errorf("%v orders wait", n)
			}
		})
	}
}

// Another configuration is in force by the time of the approval.
func TestAnApprovalDecidesAnewUnderTheConfigurationInForce(t *testing.T) {
	srv := pgtest.Start(t)
	without := func(action policy.Action) option {
		rc := asks(action)
		if rc.Approval = ""; action == policy.None {
			rc.Name = "leave alone"
		}
		return rules(t, rc)
	}
	for name, tc := range map[string]struct {
		severity string
		change   option
		outcome  string
		again    ledger.Outcome // of a repeat
	}{
		"nothing":                           {"warning", func(*remediation.Settings) {}, "intent cancel, cancelled+", ledger.Gone},
		"the rule wants nobody":             {"warning", without(policy.Cancel), "intent cancel, cancelled+", ledger.Gone},
		"the rule says none":                {"warning", without(policy.None), "refused rule", ledger.Refused},
		"the rule is gone":                  {"warning", rules(t), "intent cancel, cancelled+", ledger.Gone},
		"the rule is gone, severity orders": {"critical", rules(t), "refused approval", ledger.Terminated},
		"the rule is gone, nothing orders":  {"page", rules(t), "refused no_action", ledger.Refused},
		"the rule wants another action":     {"warning", rules(t, asks(policy.Terminate)), "refused approval", ledger.Pending},
		"the rule goes further":             {"warning", rules(t, asks(policy.CancelThenTerminate)), "refused approval", ledger.Pending},
		"the budget is spent":               {"warning", func(s *remediation.Settings) { s.Config.Limits.Actions = 0 }, "refused over_budget", ledger.Pending},
		"it is a dry run":                   {"warning", func(s *remediation.Settings) { s.Config.Mode = remediation.ModeDryRun }, "dry_run", ledger.DryRun},
		"it is off":                         {"warning", func(s *remediation.Settings) { s.Config.Mode = remediation.ModeOff }, "refused mode_off", ledger.Refused},
		"the server is not configured":      {"warning", func(s *remediation.Settings) { s.Servers = nil }, "refused unknown_server", ledger.Refused},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTestRemediator(t, srv, "monsig", rules(t, asks(policy.Cancel)))
			c := srv.Run(t, "app", "select pg_sleep(60)")
			alert := teams(t, c, tc.severity, "query_start")
			id := b.asked(t, alert)
			next := b.settings
			tc.change(&next)
			b.apply(next)
			if all := b.remediator.Approvals(); len(all) != 1 {
				t.Errorf("after the reload there wait %+v", all)
			}
			hit := strings.HasSuffix(tc.outcome, "+")
			stays := func() {}
			if !hit {
				stays = untouched(t, srv, c.PID())
			}
			if got := b.approve(t, id); got.Signalled != hit || got.Retry {
				t.Errorf("%+v", got)
			}
			b.history(t, id, "asked", "approved", tc.outcome)
			stays()
			if again := b.alert(t, alert); again.Outcome != tc.again || again.Decision == id {
				t.Errorf("the repeat: %+v", again)
			}
		})
	}
}

// The server cannot be reached when a person approves. A repeat of the alert asks
// anew.
func TestAnApprovalWhileTheServerIsDown(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig", rules(t, asks(policy.Cancel)), hooked(&hooks{
		beforeSignal: func(call int, _ session.Verb) error {
			if call == 1 {
				return errors.Join(session.ErrUnreachable, session.ErrNotSent)
			}
			return nil
		},
	}))
	alert := teams(t, srv.Run(t, "app", "select pg_sleep(60)"), "warning", "query_start")
	id := b.asked(t, alert)
	if got := b.approve(t, id); got.Outcome != ledger.Failed || !got.Retry || got.Signalled {
		t.Errorf("down before the signal: %+v", got)
	}
	b.history(t, id, "asked", "approved", "intent cancel", "failed")
	next := b.asked(t, alert)
	srv.Kill(t)
	if got := b.approve(t, next); got.Outcome != ledger.Failed || !got.Retry || got.Signalled {
		t.Errorf("down before the look: %+v", got)
	}
	b.history(t, next, "asked", "approved", "failed")
	srv.Restart(t)
	check(t, b.alert(t, alert), policy.None, ledger.Gone, "")
}

// An alert that comes between the answer and the order asks nobody again.
func TestARepeatDuringTheApproval(t *testing.T) {
	srv := pgtest.Start(t)
	var b *testRemediator
	var id string
	approved := make(chan remediation.Result, 1)
	b = newTestRemediator(t, srv, "monsig", rules(t, asks(policy.Cancel)), hooked(&hooks{
		afterFind: func(call int, _ *session.Found) {
			if call != 2 {
				return
			}
			go func() { approved <- b.approve(t, id) }() // it waits for the turn of the repeat
			proctest.Until(t, "the approval to be durable", func() bool { return len(b.remediator.Approvals()) == 0 })
		},
	}))
	alert := teams(t, srv.Run(t, "app", "select pg_sleep(60)"), "warning", "query_start")
	id = b.asked(t, alert)
	if again := b.asked(t, alert); again != id {
		t.Errorf("asked again, as %s", again)
	}
	check(t, <-approved, policy.Cancel, ledger.Cancelled, policy.ReasonRule)
	b.history(t, id, "asked", "approved", "intent cancel", "cancelled+")
	if n := len(b.ledger.Recent(100)); n != 4 {
		t.Errorf("the ledger has %d lines", n)
	}
}

// The transaction goes on to a statement that the rule wants a person for: before
// the signal, and between the cancel and the terminate.
func TestATransactionThatMovesOnToWhatAPersonMustApprove(t *testing.T) {
	srv := pgtest.Start(t)
	ask := policy.RuleConfig{
		Name: "ask", Matchers: []string{`usename="app"`, `command="SHOW"`},
		Action: policy.Terminate, Approval: policy.ApprovalRequired,
	}
	t.Run("before the signal", func(t *testing.T) {
		for _, waits := range []bool{false, true} {
			c := srv.IdleInTransaction(t, "app", "select 1")
			b := newTestRemediator(t, srv, "monsig", rules(t, ask), hooked(&hooks{
				beforeSignal: func(call int, _ session.Verb) error {
					if call == 1 {
						c.Exec(t, "show search_path")
					}
					return nil
				},
			}))
			alert := identity(t, c, "critical", "xact_start")
			before := ""
			if waits { // since it ran the same before
				c.Exec(t, "show search_path")
				before = b.asked(t, alert)
				c.Exec(t, "select 1")
			}
			got := b.alert(t, alert)
			check(t, got, policy.Terminate, ledger.Pending, policy.ReasonApproval)
			if spent := b.ledger.Spent("orders", time.Minute, time.Now()); spent != 0 {
				t.Errorf("%d signals are spent", spent)
			}
			if waits {
				if got.Decision != before {
					t.Errorf("it waits as %s, and another one as %s", before, got.Decision)
				}
				lines := b.ledger.Recent(2)
				slices.Reverse(lines)
				checkLines(t, lines, "intent terminate", "pending")
			} else {
				b.history(t, got.Decision, "intent terminate", "asked", "pending")
			}
			check(t, b.approve(t, got.Decision), policy.Terminate, ledger.Terminated, policy.ReasonRule)
		}
	})
	t.Run("after the cancel", func(t *testing.T) {
		ask := ask
		ask.Action = policy.CancelThenTerminate
		escalate := policy.RuleConfig{Name: "escalate", Matchers: []string{`usename="app"`}, Action: policy.CancelThenTerminate}
		c := srv.Open(t, "app")
		c.Exec(t, "begin; savepoint s")
		c.Start(t, "select pg_sleep(60)")
		b := newTestRemediator(t, srv, "monsig", rules(t, ask, escalate), shortGrace(20*model.Millisecond), hooked(&hooks{
			afterWatch: func(call int, last session.Observation) {
				if call == 1 && last.Present {
					_ = c.Wait(t)
					c.Exec(t, "rollback to s")
					c.Exec(t, "show search_path")
				}
			},
		}))
		got := b.alert(t, identity(t, c, "warning", "xact_start"))
		check(t, got, policy.CancelThenTerminate, ledger.Ignored, policy.ReasonApproval)
		b.history(t, got.Decision, "intent cancel", "asked", "ignored+")
		if !c.Exists(t) || b.value(t, pendingApprovals) != 1 {
			t.Error("nobody was asked")
		}
		check(t, b.approve(t, got.Decision), policy.CancelThenTerminate, ledger.Terminated, policy.ReasonRule)
	})
}
