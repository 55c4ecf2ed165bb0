package postgres_test

import (
	"errors"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// PostgreSQL reads roles before it signals, and may wait for a lock then. The
// statement reads what the session does after that wait.
func TestASignalThatWaitsForALockDoesNotHitTheNextStatement(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	ctx := proctest.Deadline(t)
	holder, locker := srv.Open(t, "postgres"), srv.Open(t, "super1")
	holder.Exec(t, "select pg_advisory_lock(1)")
	target := srv.Connect(t, "app")
	for _, sql := range []string{"select pg_sleep(0)", "select pg_try_advisory_lock(2)"} { // so that it need not read pg_authid later
		if _, err := target.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	pid := int32(target.PgConn().PID())
	second := make(chan error, 1)
	go func() {
		defer close(second)
		if _, err := target.Exec(ctx, "select pg_advisory_lock(1)"); err != nil {
			second <- err
			return
		}
		_, err := target.Exec(ctx, "select pg_sleep(60)")
		second <- err
	}()
	does := func(application, waitEvent string) bool { // the view would wait for pg_authid
		return pgtest.Value[bool](t, srv, `select exists (select from pg_stat_get_activity(null)
			where application_name = $1 and wait_event = $2)`, application, waitEvent)
	}
	for !does("pgtest", "advisory") {
	}
	seen, _, err := s.Find(ctx, pid)
	if err != nil {
		t.Fatal(err)
	}
	locker.Exec(t, "begin; lock pg_catalog.pg_authid")
	var got session.Signalled
	sent := make(chan error, 1)
	go func() {
		var err error
		got, err = s.Signal(ctx, session.Cancel, fence(seen))
		sent <- err
	}()
	for !does("pgbailiff", "relation") && len(sent) == 0 {
	}
	holder.Exec(t, "select pg_advisory_unlock(1)")
	for !does("pgtest", "PgSleep") && len(second) == 0 {
	}
	locker.Exec(t, "commit")
	switch err := <-sent; {
	case errors.Is(err, session.ErrNotSent): // it has waited for too long
	case err != nil || got.Verdict != session.VerdictMoved:
		t.Errorf("%+v, %v", got, err)
	}
	if len(second) != 0 {
		t.Errorf("the second statement: %v", <-second)
	}
	srv.Exec(t, "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'")
	if err := <-second; err == nil {
		t.Error("the second statement has ended well")
	}
}

// PostgreSQL reads the role of a session before it signals the session. If that read
// times out on a lock, nothing was sent.
func TestASignalThatTimedOutOnALockWasNotSent(t *testing.T) {
	srv := pgtest.Start(t)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	locker := srv.Open(t, "super1")
	s := start(t, srv, "monsig")
	seen := find(t, s, c)
	locker.Exec(t, "begin; lock pg_catalog.pg_authid")
	got, err := s.Signal(proctest.Deadline(t), session.Terminate, fence(seen))
	if !errors.Is(err, session.ErrUnreachable) || !errors.Is(err, session.ErrNotSent) {
		t.Errorf("%+v, %v", got, err)
	}
	if !c.Exists(t) {
		t.Error("the session is gone")
	}
}
