package postgres_test

import (
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// idleSession is idle outside a transaction. It returns what a person sees of it.
func idleSession(t *testing.T, srv *pgtest.Server) (*pgtest.Client, session.Fence) {
	t.Helper()
	c := srv.Open(t, "app")
	c.Exec(t, "select 1")
	c.Await(t, "state = 'idle' and wait_event = 'ClientRead'")
	a := c.Activity(t)
	return c, session.Fence{Server: "orders", PID: int32(c.PID()), BackendStart: a.BackendStart, StateChange: a.StateChange, AlsoIdle: true}
}

// A person's fence names plain idleness, to the microsecond and in no other state.
// The fence of an alert cannot name it.
func TestOnlyAPersonsFenceNamesAnIdleSession(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	c, f := idleSession(t, srv)
	other := f
	other.StateChange = other.StateChange.Add(time.Microsecond)
	alerts := f
	alerts.AlsoIdle = false
	reused := f
	reused.BackendStart = reused.BackendStart.Add(time.Microsecond)
	both := f
	both.QueryStart = c.Activity(t).QueryStart
	for name, tc := range map[string]struct {
		f    session.Fence
		want session.Verdict
	}{
		"an alert's":            {alerts, session.VerdictMoved},
		"a microsecond off":     {other, session.VerdictMoved},
		"another session":       {reused, session.VerdictGone},
		"with a statement's":    {both, session.VerdictMoved},
		"by its last statement": {session.Fence{PID: f.PID, BackendStart: f.BackendStart, QueryStart: both.QueryStart, AlsoIdle: true}, session.VerdictMoved},
	} {
		t.Run(name, func(t *testing.T) {
			for _, verb := range []session.Verb{session.Cancel, session.Terminate} {
				got, err := s.Signal(proctest.Deadline(t), verb, tc.f)
				if err != nil || got.Verdict != tc.want {
					t.Errorf("%s: verdict %q, %v; want %q", verb, got.Verdict, err, tc.want)
				}
			}
		})
	}
	if !c.Exists(t) {
		t.Fatal("the session was ended")
	}
	got, err := s.Signal(proctest.Deadline(t), session.Terminate, f)
	if err != nil || got.Verdict != session.VerdictSignalled {
		t.Fatalf("%+v, %v", got, err)
	}
	srv.WaitFor(t, "select not exists (select from pg_stat_activity where pid = $1)", c.PID())
}

// A session that begins a statement, or a transaction, after it was seen is not
// ended, even if it is idle again.
func TestAnIdleSessionThatHasGoneOnIsNotSignalled(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	for name, goOn := range map[string]func(*pgtest.Client){
		"active":              func(c *pgtest.Client) { c.Start(t, "select pg_sleep(60)") },
		"idle again":          func(c *pgtest.Client) { c.Exec(t, "select 1") },
		"idle in transaction": func(c *pgtest.Client) { c.Exec(t, "begin; select 1") },
	} {
		t.Run(name, func(t *testing.T) {
			c, f := idleSession(t, srv)
			goOn(c)
			got, err := s.Signal(proctest.Deadline(t), session.Terminate, f)
			if err != nil || got.Verdict != session.VerdictMoved || got.After.Present {
				t.Errorf("%+v, %v", got, err)
			}
			if !c.Exists(t) {
				t.Error("the session was ended")
			}
		})
	}
}

// Idleness in a transaction is what it was, also in a person's fence.
func TestAPersonsFenceNamesAnIdleTransaction(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	for name, c := range map[string]*pgtest.Client{
		"idle": srv.IdleInTransaction(t, "app", "select 1"), "aborted": srv.AbortedTransaction(t, "app"),
	} {
		f := session.FenceOf(find(t, s, c).Session)
		if got, err := s.Signal(proctest.Deadline(t), session.Terminate, f); err != nil || got.Verdict != session.VerdictSignalled {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
