package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// returnMargin is more than a busy machine needs to return after the end of a
// context, and less than a scrape takes that ignores its context.
const returnMargin = 20 * time.Second

// If the blockers cannot be read, the snapshot has the rest, and the next scrape
// does not wait for long.
func TestSnapshotWithoutBlockers(t *testing.T) {
	scrapeWhileLocksAreLocked(t, 2*time.Second)
}

// scrapeWhileLocksAreLocked scrapes once with each of these limits, while pg_locks
// cannot be read.
func scrapeWhileLocksAreLocked(t *testing.T, limits ...time.Duration) {
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
		if took := time.Since(begun); took > limit+returnMargin {
			t.Errorf("took %s of %s", took, limit)
		}
	}
	srv.Exec(t, "rollback")
	if got := snapshot(t, s); !got.LocksKnown || len(got.LockWaits) != 1 || len(got.Blockers) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestSnapshotOfPreparedTransactions(t *testing.T) {
	srv := pgtest.Start(t, "max_prepared_transactions=5")
	s := start(t, srv, "monsig")
	srv.Exec(t, "create table t (id int primary key, n int)", "insert into t values (1, 1)", "grant all on t to app")
	owner := srv.Open(t, "app")
	owner.Exec(t, "begin; update t set n = 2; prepare transaction 'forgotten'")
	waiter := srv.Blocked(t, "app", "update t set n = 3")
	got := snapshot(t, s)
	if len(got.Facts.Prepared) != 1 || got.Facts.Prepared[0].Count != 1 || got.Facts.Prepared[0].Oldest <= 0 {
		t.Errorf("prepared: %+v", got.Facts.Prepared)
	}
	if len(got.Blockers) != 1 || got.Blockers[0].PID != session.PreparedTransaction || got.Blockers[0].Behind != 1 {
		t.Errorf("blockers: %+v", got.Blockers)
	}
	if len(got.LockWaits) != 1 || got.LockWaits[0].PID != int32(waiter.PID()) {
		t.Errorf("lock waits: %+v", got.LockWaits)
	}
	srv.Exec(t, "rollback prepared 'forgotten'")
}

func TestSnapshotNamesTheRootBlocker(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	srv.Exec(t, "create table t (id int primary key, n int)", "insert into t values (1, 1), (2, 2)", "grant all on t to app")
	root := srv.IdleInTransaction(t, "app", "update t set n = 9 where id = 1")
	middle := srv.Open(t, "app")
	middle.Exec(t, "begin; update t set n = 9 where id = 2")
	middle.Start(t, "update t set n = 9 where id = 1")
	middle.Await(t, "wait_event_type = 'Lock'")
	srv.Blocked(t, "app", "update t set n = 9 where id = 1")
	srv.Blocked(t, "app", "update t set n = 9 where id = 2")
	got := snapshot(t, s)
	if len(got.Blockers) != 1 || got.Blockers[0].PID != int32(root.PID()) || got.Blockers[0].Behind != 3 ||
		got.Blockers[0].State != session.StateIdleInXact {
		t.Errorf("blockers: %+v", got.Blockers)
	}
	if len(got.LockWaits) != 3 || got.LockWaits[0].PID != int32(middle.PID()) || got.LockWaits[0].Age <= 0 {
		t.Errorf("lock waits: %+v", got.LockWaits)
	}
}
