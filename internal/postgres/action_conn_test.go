package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// startWithAnswerTimeout is start with another answerTimeout of the action
// connection.
func startWithAnswerTimeout(t *testing.T, srv *pgtest.Server, answerTimeout time.Duration) *postgres.Server {
	t.Helper()
	s, err := postgres.New(postgres.Config{Name: "orders", DSN: srv.DSN("monsig")}, postgres.NewDials(16), log.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	s.SetAnswerTimeout(answerTimeout)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

const ourBackends = "select coalesce(array_agg(pid), '{}') from pg_stat_activity where application_name = 'pgbailiff'"

// ours is the pid of our only connection's backend.
func ours(t *testing.T, srv *pgtest.Server) int32 {
	t.Helper()
	srv.WaitFor(t, "select count(*) = 1 from pg_stat_activity where application_name = 'pgbailiff'")
	return pgtest.Value[[]int32](t, srv, ourBackends)[0]
}

// The context of a caller ends while its statement runs: the connection stays open,
// and the callers that share the statement get its result.
func TestACallersContextDoesNotEndTheStatement(t *testing.T) {
	srv := pgtest.Start(t)
	s := startWithAnswerTimeout(t, srv, time.Hour)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	find(t, s, c)
	before := ours(t, srv)
	thaw := srv.Freeze(t, postgres.ApplicationName)
	var leaving, others sync.WaitGroup
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	for range 5 {
		leaving.Go(func() {
			if _, _, err := s.Find(short, int32(c.PID())); !errors.Is(err, session.ErrUnreachable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the context has ended: %v", err)
			}
		})
	}
	ctx := proctest.Deadline(t)
	for range 5 {
		others.Go(func() {
			if seen, ok, err := s.Find(ctx, int32(c.PID())); err != nil || !ok || seen.PID != int32(c.PID()) {
				t.Errorf("the context has not ended: %v, %t, %v", seen, ok, err)
			}
		})
	}
	leaving.Wait()
	thaw()
	others.Wait()
	if after := ours(t, srv); after != before {
		t.Errorf("the connection was opened anew: pid %d became %d", before, after)
	}
}

// fillUp takes every connection slot that is left to ordinary users.
func fillUp(t *testing.T, srv *pgtest.Server) {
	t.Helper()
	for {
		conn, err := pgx.Connect(proctest.Deadline(t), srv.DSN("app"))
		if sqlstate(err) == "53300" {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
	}
}

// While no other connection can be opened, one that does not answer is kept. When it
// answers again, it is used again.
func TestASilentConnectionIsKeptWhileThereIsNoOther(t *testing.T) {
	srv := pgtest.Start(t, "max_connections=12")
	s := startWithAnswerTimeout(t, srv, 500*time.Millisecond)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	f := fence(find(t, s, c))
	before := ours(t, srv)
	fillUp(t, srv)
	thaw := srv.Freeze(t, postgres.ApplicationName)
	for range 3 {
		_, _, err := s.Find(proctest.Deadline(t), f.PID)
		if !errors.Is(err, session.ErrUnreachable) || sqlstate(err) != "53300" {
			t.Errorf("find: %v", err)
		}
		_, err = s.Signal(proctest.Deadline(t), session.Cancel, f)
		if !errors.Is(err, session.ErrNotSent) || sqlstate(err) != "53300" { // another job's statement hangs
			t.Errorf("signal: %v", err)
		}
	}
	thaw()
	for { // it may need a moment
		_, ok, err := s.Find(proctest.Deadline(t), f.PID)
		if err == nil && ok {
			break
		}
		if sqlstate(err) != "53300" {
			t.Fatalf("%t, %v", ok, err)
		}
	}
	if after := ours(t, srv); after != before {
		t.Errorf("the connection was opened anew: pid %d became %d", before, after)
	}
	if got, err := s.Signal(proctest.Deadline(t), session.Cancel, f); err != nil || got.Verdict != session.VerdictSignalled {
		t.Errorf("%+v, %v", got, err)
	}
}

// If another connection can be opened, the job goes on there.
func TestASilentConnectionIsReplaced(t *testing.T) {
	srv := pgtest.Start(t)
	s := startWithAnswerTimeout(t, srv, 500*time.Millisecond)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	f := fence(find(t, s, c))
	before := ours(t, srv)
	thaw := srv.Freeze(t, postgres.ApplicationName)
	if seen := find(t, s, c); seen.PID != f.PID {
		t.Errorf("found %+v", seen)
	}
	if got, err := s.Signal(proctest.Deadline(t), session.Cancel, f); err != nil || got.Verdict != session.VerdictSignalled {
		t.Errorf("%+v, %v", got, err)
	}
	thaw() // the old backend notices that its connection was closed
	if after := ours(t, srv); after == before {
		t.Errorf("still pid %d", after)
	}
}

// A signal whose statement does not answer may have been sent, and is not
// repeated on another connection.
func TestASignalThatIsNotAnsweredMayHaveBeenSent(t *testing.T) {
	srv := pgtest.Start(t)
	s := startWithAnswerTimeout(t, srv, 500*time.Millisecond)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	f := fence(find(t, s, c))
	thaw := srv.Freeze(t, postgres.ApplicationName)
	if _, err := s.Signal(proctest.Deadline(t), session.Cancel, f); !errors.Is(err, session.ErrUnreachable) || errors.Is(err, session.ErrNotSent) {
		t.Errorf("%v", err)
	}
	if !c.Running() {
		t.Error("it was sent twice")
	}
	thaw()
	if state := sqlstate(c.Wait(t)); state != "57014" {
		t.Errorf("the client saw %q", state)
	}
}

// A connection that broke while it was idle is replaced by the next job.
func TestABrokenConnectionIsReplaced(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	c := srv.Run(t, "app", "select pg_sleep(60)")
	f := fence(find(t, s, c))
	for range 3 {
		broken := ours(t, srv)
		srv.Exec(t, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pgbailiff'")
		srv.WaitFor(t, "select not exists (select from pg_stat_activity where pid = $1)", broken)
		find(t, s, c)
	}
	if got, err := s.Signal(proctest.Deadline(t), session.Cancel, f); err != nil || got.Verdict != session.VerdictSignalled {
		t.Errorf("%+v, %v", got, err)
	}
}

// A connection that answers late is used again, while attempts to open another one
// fail. In this test every statement is late, and the server refuses connections.
func TestALateAnswerKeepsTheConnection(t *testing.T) {
	srv := pgtest.Start(t)
	s := startWithAnswerTimeout(t, srv, time.Nanosecond)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	// When this returns, with or without success, the first ping has ended, and with
	// it the choice between its late answer and another connection.
	_, _, _ = s.Find(proctest.Deadline(t), int32(c.PID()))
	before := ours(t, srv)
	srv.Pause(t)
	for range 20 {
		find(t, s, c)
	}
	srv.Resume(t)
	if after := ours(t, srv); after != before {
		t.Errorf("the connection was opened anew: pid %d became %d", before, after)
	}
}

// A signal whose connection breaks may have been sent. It is not sent again on
// another connection.
func TestASignalIsNotRepeatedAfterABrokenConnection(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	c := srv.Run(t, "app", "select pg_sleep(60)")
	f := fence(find(t, s, c))
	before := ours(t, srv)
	thaw := srv.Freeze(t, postgres.ApplicationName)
	sent := make(chan error, 1)
	go func() {
		_, err := s.Signal(context.Background(), session.Cancel, f)
		sent <- err
	}()
	srv.Exec(t, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pgbailiff'")
	thaw()
	switch err := <-sent; {
	case err == nil && ours(t, srv) != before:
		t.Error("it was sent again")
	case err != nil && (!errors.Is(err, session.ErrUnreachable) || !c.Running()):
		t.Errorf("running: %t, %v", c.Running(), err)
	}
}

// A backend that is not a client backend, or is one of our own, is not signalled,
// whatever the fence says.
func TestSignalRefusesWhatIsProtected(t *testing.T) {
	srv := pgtest.Start(t)
	s, other := start(t, srv, "monsig"), start(t, srv, "monsig")
	walsender := srv.WalSender(t)
	find(t, s, walsender)
	find(t, other, walsender)
	for _, pid := range append(pgtest.Value[[]int32](t, srv, ourBackends), int32(walsender.PID())) {
		seen, ok, err := s.Find(proctest.Deadline(t), pid)
		if err != nil || !ok {
			t.Fatalf("find %d: %t, %v", pid, ok, err)
		}
		f := session.Fence{PID: pid, BackendStart: seen.BackendStart, StateChange: seen.StateChange, QueryStart: seen.QueryStart}
		got, err := s.Signal(proctest.Deadline(t), session.Terminate, f)
		if err != nil || got.Verdict != session.VerdictProtected {
			t.Errorf("pid %d (%s): %+v, %v", pid, seen.BackendType, got, err)
		}
	}
}
