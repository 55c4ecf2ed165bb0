package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// A session that our role may not see any more is not gone.
func TestWatchOfASessionThatIsHidden(t *testing.T) {
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
