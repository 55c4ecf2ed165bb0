package remediation_test

// The dangers files have one test for each way in which software that kills
// queries has done harm. In this file: the wrong session is hit.

import (
	"fmt"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
)

func TestRightPidWrongQuery(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig")
	cancelled := func(c *pgtest.Client) {
		srv.Exec(t, fmt.Sprintf("select pg_cancel_backend(%d)", c.PID()))
		_ = c.Wait(t)
	}
	for _, period := range []string{"query_start", "xact_start"} {
		t.Run(period, func(t *testing.T) {
			c := srv.Run(t, "app", "select pg_sleep(60)")
			alert := backendIdentity(t, srv, c.PID(), period)
			cancelled(c)
			b.sendsNothing(t, alert, ledger.Gone, "") // idle between two statements
			c.Start(t, "select pg_sleep(60)")
			stays := untouched(t, srv, c.PID())
			b.sendsNothing(t, alert, ledger.Gone, "")
			stays()
		})
	}
	t.Run("state_change", func(t *testing.T) {
		c := srv.IdleInTransaction(t, "app", "select 1")
		alert := backendIdentity(t, srv, c.PID(), "state_change")
		c.Exec(t, "select 2")
		b.sendsNothing(t, alert, ledger.Gone, "") // idle for another reason
		c.Start(t, "select pg_sleep(60)")
		b.sendsNothing(t, alert, ledger.Gone, "")
		cancelled(c)
		b.sendsNothing(t, alert, ledger.Gone, "") // aborted
		for _, next := range []string{"rollback", "begin", "select 2"} {
			c.Exec(t, next)
			b.sendsNothing(t, alert, ledger.Gone, "")
		}
		if !c.Alive(t) {
			t.Error("the session was ended")
		}
	})
	t.Run("two periods, one of them over", func(t *testing.T) {
		c := srv.IdleInTransaction(t, "app")
		c.Start(t, "select pg_sleep(60)")
		alert := backendIdentity(t, srv, c.PID(), "query_start", "xact_start")
		stays := untouched(t, srv, c.PID())
		b.sendsNothing(t, alert.with("xact_start", alert["query_start"]), ledger.Gone, "")
		b.sendsNothing(t, alert.with("query_start", alert["xact_start"]), ledger.Gone, "")
		stays()
	})
}

func TestAlertAboutAnotherServer(t *testing.T) {
	srv, other := pgtest.Start(t), pgtest.Start(t)
	billing := newServer(t, other, "billing", "monsig")
	b := newTestRemediator(t, srv, "monsig", func(set *remediation.Settings) { set.Servers["billing"] = billing })
	c := srv.Run(t, "app", "select pg_sleep(60)")
	stays := untouched(t, srv, c.PID())
	alert := backendIdentity(t, srv, c.PID(), "query_start").with("severity", "critical")
	for name, want := range map[string]struct {
		outcome ledger.Outcome
		reason  policy.Reason
	}{
		"":        {ledger.Refused, policy.ReasonUnknownServer},
		"Orders":  {ledger.Refused, policy.ReasonUnknownServer},
		"orders ": {ledger.Refused, policy.ReasonUnknownServer},
		"billing": {ledger.Gone, ""},
	} {
		for _, l := range []labels{alert, pidOnly(c.PID()).with("severity", "critical")} {
			results, lines := b.recorded(t, time.Now(), l.with("server", name))
			check(t, results[0], policy.None, want.outcome, want.reason)
			if len(lines) != 1 || lines[0].Event != ledger.EventOutcome || lines[0].Server != name || lines[0].Outcome != want.outcome {
				t.Errorf("server %q: the ledger says %+v", name, lines)
			}
		}
	}
	stays()
}

// The session that the alert names is gone, and its pid belongs to a protected
// backend: the outcome is gone, not a refusal.
func TestAReusedPidOfAProtectedBackendIsGone(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig")
	for _, pid := range []int{
		pgtest.Value[int](t, srv, "select pid from pg_stat_activity where backend_type = 'checkpointer'"),
		srv.WalSender(t).PID(),
		srv.Run(t, "super1", "select pg_sleep(60)").PID(),
	} {
		b.sendsNothing(t, pidOnly(pid).with("backend_start", "2020-01-01T00:00:00.000000Z",
			"query_start", "2020-01-01T00:00:00.000000Z"), ledger.Gone, "")
	}
}
