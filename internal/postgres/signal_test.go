package postgres_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

func sqlstate(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	return ""
}

// settled is the effect of a signal. It watches the session if the first look does
// not settle that.
func settled(t testing.TB, s *postgres.Server, verb session.Verb, f session.Fence, got session.Signalled, id session.ID) remediation.Effect {
	t.Helper()
	met := remediation.Met(f, verb, got)
	if met != remediation.Unsettled {
		return met
	}
	last, err := s.Watch(proctest.Deadline(t), id, remediation.Settling(got))
	if err != nil {
		t.Fatal(err)
	}
	return remediation.Settle(got, last)
}

func TestCancelEndsExactlyTheStatement(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	c := srv.Run(t, "app", "select pg_sleep(60)")
	seen := find(t, s, c)
	got, err := s.Signal(proctest.Deadline(t), session.Cancel, fence(seen))
	if err != nil || got.Verdict != session.VerdictSignalled {
		t.Fatalf("signal: %+v, %v", got, err)
	}
	if got.At.Before(got.Before) || got.Before.Before(seen.QueryStart) {
		t.Errorf("clocks: %+v", got)
	}
	if state := sqlstate(c.Wait(t)); state != "57014" {
		t.Errorf("the client saw %q", state)
	}
	if !c.Alive(t) {
		t.Error("the session is gone")
	}
	last, err := s.Watch(proctest.Deadline(t), seen.ID, func(now session.Observation) bool { return !fence(seen).Stands(now) })
	if err != nil || !last.Present {
		t.Errorf("watch: %+v, %v", last, err)
	}
}

func TestTerminateEndsTheSession(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	c := srv.IdleInTransaction(t, "app", "select 1")
	seen := find(t, s, c)
	got, err := s.Signal(proctest.Deadline(t), session.Terminate, fence(seen))
	if err != nil || got.Verdict != session.VerdictSignalled {
		t.Fatalf("signal: %+v, %v", got, err)
	}
	last, err := s.Watch(proctest.Deadline(t), seen.ID, func(now session.Observation) bool { return !now.Present })
	if err != nil || last.Present {
		t.Errorf("watch: %+v, %v", last, err)
	}
}

// Every part of the identity is checked by the statement that signals.
func TestSignalChecksEveryPartOfTheIdentity(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	c := srv.Run(t, "app", "select pg_sleep(60)")
	idle := srv.IdleInTransaction(t, "app", "select 1")
	seen, idling := find(t, s, c), find(t, s, idle)
	later := time.Microsecond
	for _, tc := range []struct {
		name string
		verb session.Verb
		f    session.Fence
		want session.Verdict
	}{
		{"no such pid", session.Terminate, session.Fence{PID: 1 << 30, BackendStart: seen.BackendStart, QueryStart: seen.QueryStart}, session.VerdictGone},
		{"the pid was reused", session.Terminate, session.Fence{PID: seen.PID, BackendStart: seen.BackendStart.Add(later), QueryStart: seen.QueryStart}, session.VerdictGone},
		{"another query", session.Cancel, session.Fence{PID: seen.PID, BackendStart: seen.BackendStart, QueryStart: seen.QueryStart.Add(later)}, session.VerdictMoved},
		{"another transaction", session.Cancel, session.Fence{PID: seen.PID, BackendStart: seen.BackendStart, XactStart: seen.XactStart.Add(-later)}, session.VerdictMoved},
		{"active, not idling", session.Terminate, session.Fence{PID: seen.PID, BackendStart: seen.BackendStart, StateChange: seen.StateChange}, session.VerdictMoved},
		{"both periods must hold", session.Terminate, session.Fence{PID: seen.PID, BackendStart: seen.BackendStart, QueryStart: seen.QueryStart, XactStart: seen.XactStart.Add(later)}, session.VerdictMoved},
		{"idling, not active", session.Terminate, session.Fence{PID: idling.PID, BackendStart: idling.BackendStart, QueryStart: idling.QueryStart}, session.VerdictMoved},
		{"idling again", session.Terminate, session.Fence{PID: idling.PID, BackendStart: idling.BackendStart, StateChange: idling.StateChange.Add(-later)}, session.VerdictMoved},
		{"a cancel needs a statement", session.Cancel, session.Fence{PID: idling.PID, BackendStart: idling.BackendStart, XactStart: idling.XactStart}, session.VerdictUnjudged},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := s.Signal(proctest.Deadline(t), tc.verb, tc.f)
			if err != nil || got.Verdict != tc.want {
				t.Errorf("verdict %q, %v; want %q", got.Verdict, err, tc.want)
			}
		})
	}
	if !c.Running() || !idle.Exists(t) {
		t.Error("a session was signalled")
	}
}

func TestSignalRefusesAnIncompleteFence(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	c := srv.Run(t, "app", "select pg_sleep(60)")
	seen := find(t, s, c)
	for _, f := range []session.Fence{
		{},
		{PID: seen.PID},
		{PID: seen.PID, BackendStart: seen.BackendStart},
		{PID: seen.PID, QueryStart: seen.QueryStart},
		{PID: -1, BackendStart: seen.BackendStart, QueryStart: seen.QueryStart},
	} {
		if got, err := s.Signal(proctest.Deadline(t), session.Terminate, f); err == nil || got.Verdict != "" {
			t.Errorf("%+v: %+v, %v", f, got, err)
		}
	}
	if _, err := s.Signal(proctest.Deadline(t), "", fence(seen)); err == nil {
		t.Error("the zero verb was sent")
	}
	if !c.Running() {
		t.Error("a session was signalled")
	}
}

func TestPermissionDenied(t *testing.T) {
	srv := pgtest.Start(t)
	for _, tc := range []struct{ role, victim string }{{"mon", "app"}, {"monsig", "super1"}} {
		t.Run(tc.role+" on "+tc.victim, func(t *testing.T) {
			s := start(t, srv, tc.role)
			c := srv.Run(t, tc.victim, "select pg_sleep(60)")
			_, err := s.Signal(proctest.Deadline(t), session.Cancel, fence(find(t, s, c)))
			if !errors.Is(err, session.ErrPermissionDenied) {
				t.Errorf("%v", err)
			}
			if !c.Running() {
				t.Error("its statement was cancelled")
			}
		})
	}
}

func TestSignalRefusesAHiddenSession(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "sig")
	c := srv.Run(t, "app", "select pg_sleep(60)")
	seen := find(t, s, c)
	if seen.Visible() {
		t.Errorf("visible: %+v", seen)
	}
	known := c.Activity(t)
	got, err := s.Signal(proctest.Deadline(t), session.Terminate, session.Fence{
		PID: int32(c.PID()), BackendStart: known.BackendStart, QueryStart: known.QueryStart,
	})
	if err != nil || got.Verdict != session.VerdictNotVisible {
		t.Errorf("%+v, %v", got, err)
	}
	if !c.Running() {
		t.Error("its statement was cancelled")
	}
}

// The signalling statement looks at the session again, so that a query that began
// just before the signal is seen.
func TestSignalLooksAgain(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	c := srv.Run(t, "app", "select pg_sleep(60)")
	seen := find(t, s, c)
	got, err := s.Signal(proctest.Deadline(t), session.Cancel, fence(seen))
	if err != nil {
		t.Fatal(err)
	}
	if !got.After.Present || !got.After.BackendStart.Equal(seen.BackendStart) {
		t.Fatalf("after: %+v", got.After)
	}
	if met := settled(t, s, session.Cancel, fence(seen), got, seen.ID); met != remediation.MetTarget {
		t.Errorf("met %d: %+v", met, got)
	}
}
