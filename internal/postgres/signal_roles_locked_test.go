package postgres_test

import (
	"errors"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// PostgreSQL reads the role of a session before it signals it. What could not
// read it has sent nothing.
func TestASignalThatWaitedForALockInVainWasNotSent(t *testing.T) {
	srv := pgtest.Start(t)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	locker := srv.Open(t, "super1")
	s := start(t, srv, "monsig")
	seen := find(t, s, c)
	locker.Exec(t, "begin; lock pg_catalog.pg_authid")
	got, err := s.Signal(deadline(t), session.Terminate, fence(seen))
	if !errors.Is(err, session.ErrUnreachable) || !errors.Is(err, session.ErrNotSent) {
		t.Errorf("%+v, %v", got, err)
	}
	if !c.Exists(t) {
		t.Error("it was hit")
	}
}
