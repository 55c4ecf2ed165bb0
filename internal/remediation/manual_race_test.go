package remediation_test

// In this file: something happens between what a person saw and the signal.

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// kinds are sessions that a person may see, and the order that would work.
func kinds(srv *pgtest.Server) map[string]struct {
	open   func(*testing.T) *pgtest.Client
	action policy.Action
} {
	return map[string]struct {
		open   func(*testing.T) *pgtest.Client
		action policy.Action
	}{
		"active":              {func(t *testing.T) *pgtest.Client { return srv.Run(t, "app", "select pg_sleep(60)") }, policy.Cancel},
		"idle":                {func(t *testing.T) *pgtest.Client { return idle(t, srv) }, policy.Terminate},
		"idle in transaction": {func(t *testing.T) *pgtest.Client { return srv.IdleInTransaction(t, "app", "select 1") }, policy.Terminate},
	}
}

// goOn ends what the session does, and begins its next statement.
func goOn(t *testing.T, srv *pgtest.Server, c *pgtest.Client) {
	t.Helper()
	if c.Running() {
		srv.Exec(t, fmt.Sprintf("select pg_cancel_backend(%d)", c.PID()))
		_ = c.Wait(t)
	}
	c.Start(t, "select pg_sleep(60)")
}

func TestWhatEndsBetweenTheSentenceAndTheClickIsGone(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig")
	for name, kind := range kinds(srv) {
		t.Run(name, func(t *testing.T) {
			c := kind.open(t)
			f := seen(t, c)
			goOn(t, srv, c)
			stays := untouched(t, srv, c.PID())
			got, lines := b.ordered(t, orders(kind.action), f)
			check(t, got, kind.action, ledger.Gone, "")
			checkLines(t, lines, "gone")
			stays()
		})
	}
}

// The same between the look and the signal: the statement that signals checks it
// again.
func TestWhatEndsBetweenTheLookAndTheSignalIsGone(t *testing.T) {
	srv := pgtest.Start(t)
	for name, kind := range kinds(srv) {
		t.Run(name, func(t *testing.T) {
			c := kind.open(t)
			f := seen(t, c)
			b := newTestRemediator(t, srv, "monsig", hooked(&hooks{afterFind: func(call int, _ *session.Found) {
				if call == 1 {
					goOn(t, srv, c)
				}
			}}))
			got, lines := b.ordered(t, orders(kind.action), f)
			check(t, got, kind.action, ledger.Gone, "")
			checkLines(t, lines, "intent "+string(kind.action), "gone")
			untouched(t, srv, c.PID())()
			if !c.Running() {
				t.Errorf("its next statement was hit: %v", c.Wait(t))
			}
		})
	}
}

// A pid that names another session, or a time that differs by a microsecond.
func TestAPersonNamesTheWholeIdentity(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig")
	for name, kind := range kinds(srv) {
		c := kind.open(t)
		stays := untouched(t, srv, c.PID())
		right := seen(t, c)
		later := func(at time.Time) time.Time {
			if at.IsZero() {
				return at
			}
			return at.Add(time.Microsecond)
		}
		for what, f := range map[string]session.Fence{
			"another session":  {Server: "orders", PID: right.PID, BackendStart: later(right.BackendStart), QueryStart: right.QueryStart, StateChange: right.StateChange},
			"another activity": {Server: "orders", PID: right.PID, BackendStart: right.BackendStart, QueryStart: later(right.QueryStart), StateChange: later(right.StateChange)},
			"no session":       {Server: "orders", PID: 1 << 30, BackendStart: right.BackendStart, QueryStart: right.QueryStart, StateChange: right.StateChange},
			"two periods": {
				Server: "orders", PID: right.PID, BackendStart: right.BackendStart, XactStart: right.BackendStart,
				QueryStart: right.QueryStart, StateChange: right.StateChange,
			},
		} {
			t.Run(name+", "+what, func(t *testing.T) {
				got, lines := b.ordered(t, orders(kind.action, policy.Liftable()...), f)
				check(t, got, kind.action, ledger.Gone, "")
				checkLines(t, lines, "gone")
				if got.Detail == "" {
					t.Error("it does not say why")
				}
			})
		}
		stays()
	}
}

// Of several people who order the same at once, exactly one hits the session.
func TestPeopleWhoPressAtOnceSendOneSignal(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig")
	for name, kind := range kinds(srv) {
		t.Run(name, func(t *testing.T) {
			f := seen(t, kind.open(t))
			before := len(b.ledger.Recent(1000))
			results := make([]remediation.Result, 10)
			var all sync.WaitGroup
			for i := range results {
				all.Go(func() {
					results[i] = b.remediator.Remediate(t.Context(), remediation.Manual(fmt.Sprint("person ", i), "", orders(kind.action), f, nil))
				})
			}
			all.Wait()
			n := outcomes(results)
			if n[ledger.Cancelled]+n[ledger.Terminated] != 1 || n[ledger.Gone] != len(results)-1 {
				t.Errorf("they ended %v", n)
			}
			if sent := intents(b.ledger.Recent(len(b.ledger.Recent(1000)) - before)); sent != 1 {
				t.Errorf("%d signals", sent)
			}
		})
	}
}

// A statement that begins right before the terminate runs on, or the session is
// gone. Nothing else.
func TestAnIdleSessionThatBeginsAStatement(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig", func(s *remediation.Settings) { s.Config.VerifyTimeout = model.Minute })
	b.quiet()
	for range 20 {
		c := idle(t, srv)
		f := seen(t, c)
		var both sync.WaitGroup
		var got remediation.Result
		var failed error
		both.Go(func() { got, _ = b.ordered(t, orders(policy.Terminate), f) })
		both.Go(func() { _, failed = c.Conn().Exec(t.Context(), "select pg_sleep(0.001)") })
		both.Wait()
		there := c.Exists(t)
		switch got.Outcome {
		case ledger.Gone:
			if !there || failed != nil {
				t.Errorf("it had gone on, and its statement was hit: %v", failed)
			}
		case ledger.Terminated, ledger.Superseded:
			if there && got.Outcome == ledger.Terminated {
				t.Error("it was terminated, and is there")
			}
		default:
			t.Errorf("it ended %+v", got)
		}
	}
}
