package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// A session that our role may not see any more is not reported as gone.
func TestAWatchOfAHiddenSessionIsAnError(t *testing.T) {
	srv := pgtest.Start(t)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	s := start(t, srv, "monsig")
	seen := find(t, s, c)
	srv.Exec(t, "revoke pg_monitor from monsig")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	last, err := s.Watch(ctx, seen.ID, func(now session.Observation) bool { return !now.Present })
	if !errors.Is(err, session.ErrUnreachable) {
		t.Errorf("watched %+v, %v", last, err)
	}
}

// A hidden session counts even if its role was dropped and has no name any more.
func TestAHiddenSessionOfADroppedRoleIsCounted(t *testing.T) {
	pg := pgtest.Start(t)
	s := start(t, pg, "nopriv")
	pg.Exec(t, "create role leaver login")
	pg.Open(t, "leaver")
	before := snapshot(t, s)
	pg.Exec(t, "drop role leaver")
	if got := snapshot(t, s); got.Hidden != before.Hidden || got.Hidden < 2 { // and pgtest's own
		t.Errorf("%d hidden, want %d", got.Hidden, before.Hidden)
	}
}
