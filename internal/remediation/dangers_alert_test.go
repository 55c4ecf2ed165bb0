package remediation_test

// In this file: the alert is wrong.

import (
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
)

func TestAlertWithoutIdentityIsFencedByTime(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig")
	busy := srv.Run(t, "app", "select pg_sleep(60)")
	transaction := srv.IdleInTransaction(t, "app", "select 1")
	idle := srv.Open(t, "app")
	idle.Exec(t, "select 1")
	queryStart, stateChange := busy.Activity(t).QueryStart, transaction.Activity(t).StateChange
	critical := func(c *pgtest.Client) labels { return pidOnly(c.PID()).with("severity", "critical") }
	for name, tc := range map[string]struct {
		client   *pgtest.Client
		startsAt time.Time
		outcome  ledger.Outcome
		reason   policy.Reason
	}{
		"raised before the query":    {busy, queryStart.Add(-time.Second), ledger.Gone, ""},
		"raised as the query began":  {busy, queryStart, ledger.Gone, ""},
		"raised before the idling":   {transaction, stateChange.Add(-time.Second), ledger.Gone, ""},
		"raised as the idling began": {transaction, stateChange, ledger.Gone, ""},
		"of a session that is idle":  {idle, time.Now(), ledger.Gone, ""},
		"raised in the future":       {busy, time.Now().Add(time.Hour), ledger.Refused, policy.ReasonNoIdentity},
		"raised at an unknown time":  {busy, time.Time{}, ledger.Refused, policy.ReasonNoIdentity},
		"raised an hour too early":   {busy, time.Now().Add(-time.Hour), ledger.Gone, ""},
		"raised in 1970":             {transaction, time.Unix(0, 0), ledger.Gone, ""},
	} {
		t.Run(name, func(t *testing.T) {
			stays := untouched(t, srv, tc.client.PID())
			results, lines := b.recorded(t, tc.startsAt, critical(tc.client))
			check(t, results[0], policy.None, tc.outcome, tc.reason)
			if len(lines) != 1 || lines[0].Event != ledger.EventOutcome || lines[0].Outcome != tc.outcome || lines[0].Reason != tc.reason {
				t.Errorf("the ledger says %+v", lines)
			}
			stays()
		})
	}
	t.Run("not at all where identity is required", func(t *testing.T) {
		strict := newTestRemediator(t, srv, "monsig", func(s *remediation.Settings) { s.Config.RequireIdentity = true })
		stays := untouched(t, srv, busy.PID())
		strict.sendsNothing(t, pidOnly(busy.PID()), ledger.Refused, policy.ReasonNoIdentity)
		for _, missing := range []string{"backend_start", "query_start"} {
			strict.sendsNothing(t, backendIdentity(t, srv, busy.PID(), "query_start").with(missing, ""), ledger.Refused, policy.ReasonNoIdentity)
		}
		stays()
	})
	t.Run("what it has of an identity must hold", func(t *testing.T) {
		stays := untouched(t, srv, busy.PID())
		const other = "2020-01-01T00:00:00.000000Z"
		for _, label := range []string{"backend_start", "query_start", "xact_start", "state_change"} {
			b.sendsNothing(t, pidOnly(busy.PID()).with(label, other), ledger.Gone, "")
		}
		stays()
	})
	t.Run("raised after they began", func(t *testing.T) {
		for _, c := range []*pgtest.Client{busy, transaction} {
			results, _ := b.recorded(t, time.Now(), critical(c))
			check(t, results[0], policy.Terminate, ledger.Terminated, policy.ReasonSeverity)
		}
		if !idle.Alive(t) {
			t.Error("the idle session was ended")
		}
	})
}

func TestLabelsWithSQL(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig")
	srv.Exec(t, "create table victims (id int)")
	c := srv.Run(t, "app", "select pg_sleep(60)")
	stays := untouched(t, srv, c.PID())
	alert := backendIdentity(t, srv, c.PID(), "query_start")
	all := "(select pg_terminate_backend(pid) from pg_stat_activity)"
	for _, pid := range []string{
		alert["pid"] + "; drop table victims", alert["pid"] + " or true", all, "-1", "0", "+" + alert["pid"], "0" + alert["pid"],
		alert["pid"] + "\x00", "1e9", "$(reboot)", "99999999999",
	} {
		b.sendsNothing(t, alert.with("pid", pid), ledger.Refused, policy.ReasonBadLabel)
	}
	for _, label := range []string{"backend_start", "query_start", "xact_start", "state_change"} {
		b.sendsNothing(t, alert.with(label, "now()' or '1'='1"), ledger.Refused, policy.ReasonBadLabel)
	}
	b.sendsNothing(t, alert.with("pid", ""), ledger.Refused, policy.ReasonNoPID)
	results, lines := b.recorded(t, time.Now(), alert.with("server", "orders'; drop table victims; --", "severity", "critical"))
	check(t, results[0], policy.None, ledger.Refused, policy.ReasonUnknownServer)
	if len(lines) != 1 || lines[0].Reason != policy.ReasonUnknownServer {
		t.Errorf("the ledger says %+v", lines)
	}
	stays()
	// Such a value in a label that is no identity does no harm, and is recorded as it
	// is.
	sql := "'; drop table victims; --\n{\"event\":\"intent\"}"
	results, lines = b.recorded(t, time.Now(), alert.with("severity", "warning", "alertname", sql, "datname", sql, "usename", sql))
	check(t, results[0], policy.Cancel, ledger.Cancelled, policy.ReasonSeverity)
	if len(lines) != 2 || lines[0].Alertname != sql || lines[0].Usename != "app" || lines[1].Datname != "postgres" {
		t.Errorf("the ledger says %+v", lines)
	}
	if pgtest.Value[int](t, srv, "select count(*)::int from victims") != 0 || !c.Alive(t) {
		t.Error("a session was hit")
	}
}

// The alert says one thing about the session and the database another.
func TestTheLiveSessionOverridesTheAlertsLabels(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig",
		rules(t, policy.RuleConfig{Name: "leave alone", Matchers: []string{`application_name="payroll"`}, Action: policy.None},
			policy.RuleConfig{Name: "end", Matchers: []string{`application_name="batch"`, `usename="etl"`}, Action: policy.Terminate}))
	payroll := srv.Run(t, "app", "select pg_sleep(60)", pgtest.AppName("payroll"))
	stays := untouched(t, srv, payroll.PID())
	line := b.sendsNothing(t, backendIdentity(t, srv, payroll.PID(), "query_start").
		with("application_name", "batch", "usename", "etl"), ledger.Refused, policy.ReasonRule)
	if line.Rule != "leave alone" || line.ApplicationName != "payroll" {
		t.Errorf("the ledger says %+v", line)
	}
	stays()

	root := srv.Run(t, "super1", "select pg_sleep(60)", pgtest.AppName("batch"))
	stays = untouched(t, srv, root.PID())
	b.sendsNothing(t, backendIdentity(t, srv, root.PID(), "query_start").with("usename", "etl"), ledger.Refused, policy.ReasonProtectedUser)
	stays()

	// All matchers of a rule must hold: half of them order nothing.
	half := srv.Run(t, "app", "select pg_sleep(60)", pgtest.AppName("batch"))
	got := b.alert(t, identity(t, half, "warning", "query_start").with("usename", "etl"))
	check(t, got, policy.Cancel, ledger.Cancelled, policy.ReasonSeverity)
	if !half.Alive(t) {
		t.Error("the session was ended")
	}
}
