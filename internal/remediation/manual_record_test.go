package remediation_test

// In this file: how orders by hand are refused before anything is looked at, and
// what the record and the metrics say.

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// There is no way to act on a bare pid, not even where one server is configured.
func TestAnOrderByHandWithoutAnIdentityIsRefused(t *testing.T) {
	srv := pgtest.Start(t)
	h := &hooks{}
	b := newTestRemediator(t, srv, "monsig", hooked(h))
	c := srv.Run(t, "app", "select pg_sleep(60)")
	stays := untouched(t, srv, c.PID())
	for name, tc := range map[string]struct {
		change  func(*session.Fence)
		invalid error
		want    policy.Reason
	}{
		"no server":         {func(f *session.Fence) { f.Server = "" }, nil, policy.ReasonNoIdentity},
		"no pid":            {func(f *session.Fence) { f.PID = 0 }, nil, policy.ReasonNoIdentity},
		"a negative pid":    {func(f *session.Fence) { f.PID = -int32(c.PID()) }, nil, policy.ReasonNoIdentity},
		"no backend_start":  {func(f *session.Fence) { f.BackendStart = time.Time{} }, nil, policy.ReasonNoIdentity},
		"no period":         {func(f *session.Fence) { f.QueryStart = time.Time{} }, nil, policy.ReasonNoIdentity},
		"a bare pid":        {func(f *session.Fence) { *f = session.Fence{Server: f.Server, PID: f.PID} }, nil, policy.ReasonNoIdentity},
		"a pid and a time":  {func(f *session.Fence) { *f = session.Fence{Server: f.Server, PID: f.PID, Before: time.Now()} }, nil, policy.ReasonNoIdentity},
		"no pid, it says":   {func(*session.Fence) {}, session.ErrNoPID, policy.ReasonNoIdentity},
		"not to be read":    {func(*session.Fence) {}, errors.New("query_start is no time"), policy.ReasonNoIdentity},
		"an unknown server": {func(f *session.Fence) { f.Server = strings.Repeat("x", 1000) }, nil, policy.ReasonUnknownServer},
	} {
		t.Run(name, func(t *testing.T) {
			f := seen(t, c)
			tc.change(&f)
			before := len(b.ledger.Recent(1000))
			req := remediation.Manual("ann", "", orders(policy.Terminate, policy.RefusalReasons()...), f, tc.invalid)
			req.Since = time.Now() // which stands in for an identity in an alert only
			got := b.remediator.Remediate(t.Context(), req)
			check(t, got, policy.Terminate, ledger.Refused, tc.want)
			checkLines(t, b.ledger.Recent(len(b.ledger.Recent(1000))-before), "refused "+string(tc.want))
			if got.Detail == "" || strings.Contains(got.Detail, "alert") || got.By != "ann" || got.Retry || len(got.Server) > 300 {
				t.Errorf("the result is %+v", got)
			}
		})
	}
	if h.finds != 0 {
		t.Errorf("the server was asked %d times", h.finds)
	}
	stays()
}

// An order that says nothing does nothing.
func TestAnOrderByHandOfNothing(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig")
	c := srv.Run(t, "app", "select pg_sleep(60)")
	stays := untouched(t, srv, c.PID())
	b.ordersNothing(t, policy.Order{Action: policy.None}, seen(t, c), policy.ReasonNoAction)
	stays()
}

// The lines of an order say who, why, on whom; the intent is there before the
// signal.
func TestTheLedgerSaysWhoOrderedIt(t *testing.T) {
	srv := pgtest.Start(t)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	f := seen(t, c)
	var b *testRemediator
	b = newTestRemediator(t, srv, "monsig", hooked(&hooks{
		beforeSignal: func(int, session.Verb) error {
			if lines := b.ledger.Recent(10); len(lines) != 1 || lines[0].Event != ledger.EventIntent || lines[0].By != "ann" {
				t.Errorf("before the signal the ledger says %+v", lines)
			}
			return nil
		},
	}))
	logged := b.listen()
	got, lines := b.ordered(t, orders(policy.Cancel), f)
	checkLines(t, lines, "intent cancel", "cancelled+")
	system := pgtest.Value[string](t, srv, "select system_identifier::text from pg_control_system()")
	for _, line := range lines {
		line.Time, line.ID, line.SessionID, line.WaitEventType, line.WaitEvent = time.Time{}, "", "", "", ""
		line.XactStart, line.StateChange = ledger.Time{}, ledger.Time{}
		want := ledger.Entry{
			Event: ledger.EventIntent, Decision: got.Decision, Server: "orders", SystemIdentifier: system,
			Target: ledger.Target{PID: f.PID, BackendStart: ledger.Time{Time: f.BackendStart}, QueryStart: ledger.Time{Time: f.QueryStart}},
			Action: policy.Cancel, Reason: policy.ReasonManual,
			Origin: ledger.Origin{Source: "manual", By: "ann", Comment: "too slow"},
			Facts: ledger.Facts{
				Datname: "postgres", Usename: "app", ApplicationName: "pgtest", ClientAddr: "127.0.0.1",
				State: session.StateActive, Query: "select pg_sleep(60)",
			},
		}
		if line.Event == ledger.EventOutcome {
			want.Event, want.Outcome, want.Signalled = ledger.EventOutcome, ledger.Cancelled, true
		}
		if diff := cmp.Diff(want, line); diff != "" {
			t.Errorf("the line (-want +got):\n%s", diff)
		}
	}
	for _, says := range []string{"source=manual", "by=ann", "action=cancel", "outcome=cancelled", fmt.Sprint("pid=", f.PID)} {
		if !strings.Contains(logged.String(), says) {
			t.Errorf("the log does not say %s:\n%s", says, logged)
		}
	}
}

// Every combination of labels of the metric is there from the start. Orders by
// hand count there, and nowhere where alerts do.
func TestOrdersByHandAreCounted(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig")
	series := func(server string, action policy.Action, outcome ledger.Outcome) string {
		return fmt.Sprintf("pgbailiff_manual_actions_total{action=%s,outcome=%s,server=%s}", action, outcome, server)
	}
	for _, server := range []string{"orders", ""} {
		for _, action := range policy.Actions() {
			for _, outcome := range ledger.Outcomes() {
				if action != policy.None && b.value(t, series(server, action, outcome)) != 0 {
					t.Errorf("%s is not 0", series(server, action, outcome))
				}
			}
		}
	}
	c := srv.Run(t, "app", "select pg_sleep(60)")
	f := seen(t, c)
	b.ordered(t, orders(policy.Cancel), f)
	b.ordered(t, orders(policy.Cancel), f)
	b.ordered(t, orders(policy.Terminate), session.Fence{Server: "orders", PID: f.PID})
	f.Server = "billing"
	b.ordered(t, orders(policy.CancelThenTerminate), f)
	for _, s := range []string{
		series("orders", policy.Cancel, ledger.Cancelled), series("orders", policy.Cancel, ledger.Gone),
		series("orders", policy.Terminate, ledger.Refused), series("", policy.CancelThenTerminate, ledger.Refused),
	} {
		if got := b.value(t, s); got != 1 {
			t.Errorf("%s is %v", s, got)
		}
	}
	families, err := b.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if name := family.GetName(); name == "pgbailiff_remediations_total" || name == "pgbailiff_refusals_total" {
				if m.GetCounter().GetValue() != 0 {
					t.Errorf("%s counts an order by hand: %s", name, m)
				}
			}
		}
	}
	if n := b.observed(t, "pgbailiff_signal_delay_seconds"); n != 0 {
		t.Errorf("%d delays of an alert were observed", n)
	}
	b.shared.Serve(remediation.Settings{})
	if strings.Contains(b.metrics(t), `value:"orders"`) {
		t.Error("a server that is no longer configured has series")
	}
}

// A preview says what an order would lead to, and leaves no trace.
func TestAPreviewOfAnOrderByHand(t *testing.T) {
	srv := pgtest.Start(t)
	busy, plain := srv.Run(t, "app", "select pg_sleep(60)"), idle(t, srv)
	backup := srv.Run(t, "app", "select pg_sleep(60)", pgtest.AppName("pg_dump"))
	asks := policy.RuleConfig{Name: "asks", Matchers: []string{`usename="app"`}, Action: policy.Cancel, Approval: policy.ApprovalRequired}
	b := newTestRemediator(t, srv, "monsig", rules(t, asks), func(s *remediation.Settings) { s.Config.Mode = remediation.ModeOff })
	gone := seen(t, busy)
	gone.QueryStart = gone.QueryStart.Add(time.Microsecond)
	before := b.metrics(t)
	for name, tc := range map[string]struct {
		order policy.Order
		fence session.Fence
		want  remediation.Preview
	}{
		"a cancel": {orders(policy.Cancel), seen(t, busy), remediation.Preview{
			Action: policy.Cancel, First: session.Cancel, Outcome: ledger.DryRun, Reason: policy.ReasonManual,
		}},
		"of an idle session": {orders(policy.CancelThenTerminate), seen(t, plain), remediation.Preview{
			Action: policy.CancelThenTerminate, First: session.Terminate, Outcome: ledger.DryRun, Reason: policy.ReasonManual,
		}},
		"that cannot work": {orders(policy.Cancel), seen(t, plain), remediation.Preview{
			Action: policy.Cancel, Outcome: ledger.Refused, Reason: policy.ReasonCannotCancel,
		}},
		"of a backup": {orders(policy.Terminate), seen(t, backup), remediation.Preview{
			Action: policy.Terminate, Outcome: ledger.Refused, Reason: policy.ReasonProtectedBackup,
		}},
		"of a backup, lifted": {orders(policy.Terminate, policy.ReasonProtectedBackup), seen(t, backup), remediation.Preview{
			Action: policy.Terminate, First: session.Terminate, Outcome: ledger.DryRun, Reason: policy.ReasonManual,
		}},
		"of what has ended": {orders(policy.Cancel), gone, remediation.Preview{Action: policy.Cancel, Outcome: ledger.Gone}},
		"of nobody": {orders(policy.Cancel), session.Fence{Server: "orders", PID: gone.PID}, remediation.Preview{
			Action: policy.Cancel, Outcome: ledger.Refused, Reason: policy.ReasonNoIdentity,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got := b.remediator.Preview(t.Context(), remediation.Manual("ann", "", tc.order, tc.fence, nil))
			if explained := got.Detail != ""; explained != (got.Outcome != ledger.DryRun) {
				t.Errorf("detail: %q", got.Detail)
			}
			got.Detail = ""
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("the preview (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, b.metrics(t)); diff != "" || len(b.ledger.Recent(1)) != 0 {
				t.Errorf("it left a trace: %s", diff)
			}
		})
	}
}
