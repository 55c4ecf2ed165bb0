package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// tardiness is far more than a busy machine needs to notice that time is up, and
// less than a scrape that does not notice needs.
const tardiness = 20 * time.Second

// When it cannot be told who blocks whom, the rest is there all the same, and
// the next scrape does not wait for long.
func TestWhoBlocksWhomCannotBeRead(t *testing.T) {
	blockingHidden(t, 2*time.Second)
}

// blockingHidden scrapes within these limits while nobody can look at locks.
func blockingHidden(t *testing.T, limits ...time.Duration) {
	t.Helper()
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	srv.Exec(t, "create table t ()", "grant all on t to app")
	srv.IdleInTransaction(t, "app", "lock table t")
	waiter := srv.Blocked(t, "app", "select * from t")
	srv.Exec(t, "begin", "lock table pg_catalog.pg_locks in access exclusive mode")
	for _, limit := range limits {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		begun := time.Now()
		got, err := s.Snapshot(ctx, everything())
		cancel()
		if _, has := sessionOf(got, waiter); err != nil || !has || got.LocksKnown || len(got.LockWaits) != 0 {
			t.Errorf("within %s: %v, %+v", limit, err, got)
		}
		if took := time.Since(begun); took > limit+tardiness {
			t.Errorf("took %s of %s", took, limit)
		}
	}
	srv.Exec(t, "rollback")
	if got := snapshot(t, s); !got.LocksKnown || len(got.LockWaits) != 1 || len(got.Blockers) != 1 {
		t.Errorf("%+v", got)
	}
}
