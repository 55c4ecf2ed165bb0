package remediation_test

// The manual files are about orders by hand. In this file: what a person may order,
// in which state of the session.

import (
	"slices"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// seen names what a person sees of the session now.
func seen(t testing.TB, c *pgtest.Client) session.Fence {
	t.Helper()
	a := c.Activity(t)
	return session.FenceOf(session.Session{
		ID: session.ID{Server: "orders", PID: int32(a.PID), BackendStart: a.BackendStart},
		Activity: session.Activity{
			State: session.State(a.State), QueryStart: a.QueryStart, XactStart: a.XactStart, StateChange: a.StateChange,
		},
	})
}

// idle is a session that is idle outside a transaction.
func idle(t testing.TB, srv *pgtest.Server) *pgtest.Client {
	t.Helper()
	c := srv.Open(t, "app")
	c.Exec(t, "select 1")
	c.Await(t, "state = 'idle' and wait_event = 'ClientRead'")
	return c
}

// ordered carries out a person's order, and returns its result and the lines that it
// added to the ledger, oldest first.
func (b *testRemediator) ordered(t testing.TB, o policy.Order, f session.Fence) (remediation.Result, []ledger.Entry) {
	t.Helper()
	before := len(b.ledger.Recent(1000))
	got := b.remediator.Remediate(t.Context(), remediation.Manual("ann", "too slow", o, f, nil))
	lines := b.ledger.Recent(len(b.ledger.Recent(1000)) - before)
	slices.Reverse(lines)
	if got.By != "ann" || got.Decision == "" || got.PID != f.PID || got.Server != f.Server || got.Retry {
		t.Errorf("the result is %+v", got)
	}
	for _, line := range lines {
		if line.Source != ledger.SourceManual || line.By != "ann" || line.Comment != "too slow" || line.Decision != got.Decision ||
			line.Server != f.Server || line.PID != f.PID || line.Alertname+line.Severity+line.Fingerprint != "" {
			t.Errorf("the ledger says %+v", line)
		}
	}
	if len(lines) > 0 && lines[0].Event == ledger.EventIntent && lines[0].ID != got.Decision {
		t.Errorf("the first signal has the ID %s, the answer %s", lines[0].ID, got.Decision)
	}
	return got, lines
}

// orders is ordered with an action and what it lifts.
func orders(action policy.Action, lift ...policy.Reason) policy.Order {
	return policy.Order{Action: action, Lift: lift}
}

// What becomes of each order, by what the session does.
func TestAPersonActsOnWhatTheSessionDoes(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig")
	cancelled := func(t *testing.T, c *pgtest.Client) {
		if state := sqlstate(c.Wait(t)); state != "57014" || !c.Alive(t) {
			t.Errorf("the client saw %q", state)
		}
	}
	ended := func(t *testing.T, c *pgtest.Client) {
		if c.Exists(t) {
			t.Error("the session is still there")
		}
	}
	stays := func(t *testing.T, c *pgtest.Client) {
		if !c.Exists(t) {
			t.Error("the session is gone")
		}
	}
	type want struct {
		action policy.Action
		lines  []string
		then   func(*testing.T, *pgtest.Client)
	}
	terminated := want{policy.Terminate, []string{"intent terminate", "terminated+"}, ended}
	atOnce := want{policy.CancelThenTerminate, terminated.lines, ended}
	cannot := want{policy.Cancel, []string{"refused cannot_cancel"}, stays}
	for name, tc := range map[string]struct {
		open func(*testing.T) *pgtest.Client
		want []want
	}{
		"active": {func(t *testing.T) *pgtest.Client { return srv.Run(t, "app", "select pg_sleep(60)") }, []want{
			{policy.Cancel, []string{"intent cancel", "cancelled+"}, cancelled},
			terminated,
			{policy.CancelThenTerminate, []string{"intent cancel", "cancelled+"}, cancelled},
		}},
		"idle in transaction":         {func(t *testing.T) *pgtest.Client { return srv.IdleInTransaction(t, "app", "select 1") }, []want{cannot, terminated, atOnce}},
		"aborted":                     {func(t *testing.T) *pgtest.Client { return srv.AbortedTransaction(t, "app") }, []want{cannot, terminated, atOnce}},
		"idle":                        {func(t *testing.T) *pgtest.Client { return idle(t, srv) }, []want{cannot, terminated, atOnce}},
		"a client that does not read": {func(t *testing.T) *pgtest.Client { return srv.NotReading(t, "app") }, []want{cannot, terminated, atOnce}},
	} {
		for _, want := range tc.want {
			t.Run(name+" "+string(want.action), func(t *testing.T) {
				c := tc.open(t)
				got, lines := b.ordered(t, orders(want.action), seen(t, c))
				if got.Action != want.action {
					t.Errorf("the result is %+v", got)
				}
				checkLines(t, lines, want.lines...)
				for _, line := range lines {
					if line.Outcome != ledger.Refused && (line.Reason != policy.ReasonManual || line.Rule != "") {
						t.Errorf("the ledger says %+v", line)
					}
				}
				want.then(t, c)
			})
		}
	}
	t.Run("a cancel that is ignored", func(t *testing.T) {
		b := newTestRemediator(t, srv, "monsig", shortGrace(300*model.Millisecond))
		c := ignoresCancel(t, srv)
		got, lines := b.ordered(t, orders(policy.CancelThenTerminate), seen(t, c))
		check(t, got, policy.CancelThenTerminate, ledger.Terminated, policy.ReasonManual)
		checkLines(t, lines, "intent cancel", "ignored+", "intent terminate", "terminated+")
		if lines[2].ID == got.Decision || lines[2].ID == lines[0].ID {
			t.Error("the second signal has the ID of the first")
		}
	})
	t.Run("a transaction", func(t *testing.T) {
		c := srv.IdleInTransaction(t, "app", "select 1")
		f := seen(t, c)
		f.StateChange, f.XactStart = time.Time{}, c.Activity(t).XactStart
		c.Exec(t, "select 2")
		got, _ := b.ordered(t, orders(policy.Terminate), f)
		check(t, got, policy.Terminate, ledger.Terminated, policy.ReasonManual)
	})
}

// An alert cannot name a session that is idle outside a transaction, even if its
// request says that it may.
func TestAnAlertNeverEndsAnIdleSession(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig", liftsAll(t, policy.Terminate))
	c := idle(t, srv)
	stays := untouched(t, srv, c.PID())
	alert := identity(t, c, "critical", "state_change")
	b.sendsNothing(t, alert, ledger.Gone, "")
	req := request(alert, 0, time.Now(), time.Now())
	req.Fence.AlsoIdle = true
	check(t, b.remediator.Remediate(t.Context(), req), policy.None, ledger.Gone, "")
	stays()
}
