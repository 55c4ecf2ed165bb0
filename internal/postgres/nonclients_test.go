package postgres_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// A parallel query whose worker waits for a lock is itself a waiter, not a root
// blocker of the sessions behind it.
func TestAParallelQueryWaitsThroughItsWorker(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	srv.Exec(t, "create table many as select n from generate_series(1, 10000) n", "analyze many",
		"create table held ()", "create table own ()", "grant all on many, held, own to app",
		`create function wait() returns bigint language plpgsql parallel safe as
		 'begin return (select count(*) from public.held); end'`)
	root := srv.IdleInTransaction(t, "app", "lock table held")
	parallel := srv.IdleInTransaction(t, "app", "lock table own",
		"set parallel_leader_participation = off", "set parallel_setup_cost = 0", "set parallel_tuple_cost = 0",
		"set min_parallel_table_scan_size = 0", "set max_parallel_workers_per_gather = 2")
	parallel.Start(t, "select count(*) from many where wait() = n")
	srv.WaitFor(t, `select count(*) = 2 from pg_stat_activity where leader_pid = $1 and wait_event_type = 'Lock'`, parallel.PID())
	last := srv.Blocked(t, "app", "select * from own")

	got := snapshot(t, s)
	if len(got.Blockers) != 1 || got.Blockers[0].PID != int32(root.PID()) || got.Blockers[0].Behind != 2 {
		t.Errorf("blockers: %+v, want only %d, with 2 behind it", got.Blockers, root.PID())
	}
	var waiting []int32
	for _, w := range got.LockWaits {
		waiting = append(waiting, w.PID)
	}
	if want := []int32{int32(parallel.PID()), int32(last.PID())}; !slices.Equal(waiting, want) {
		t.Fatalf("those who wait: %v, want %v", waiting, want)
	}
	w, known := got.LockWaits[0], parallel.Activity(t)
	if w.BackendType != session.BackendTypeClient || !w.QueryStart.Equal(known.QueryStart) || w.Age <= 0 {
		t.Errorf("the wait of the parallel query: %+v", w)
	}
	if len(got.Waiters) != 2 || !slices.Contains(got.Waiters[0].Blockers, int32(root.PID())) {
		t.Errorf("waiters: %+v", got.Waiters)
	}
}

// A session that blocks a background process is named, even if no client waits.
func TestABlockerOfAReplicationWorkerIsNamed(t *testing.T) {
	srv := pgtest.Start(t, "wal_level=logical")
	s := start(t, srv, "monsig")
	srv.Exec(t, "create table t (n int primary key)", "create publication p for table t", "create database copy")
	copied := srv.Open(t, "postgres", database("copy"))
	copied.Exec(t, "create table t (n int primary key)")
	srv.Exec(t, "select pg_create_logical_replication_slot('p', 'pgoutput')")
	copied.Exec(t, fmt.Sprintf(`create subscription s connection 'host=%s port=%d user=postgres dbname=postgres'
		publication p with (create_slot = false, slot_name = 'p', copy_data = false)`, srv.Host(), srv.Port()))
	copied.Exec(t, "begin; lock table t")
	srv.Exec(t, "insert into t values (1)")
	srv.WaitFor(t, `select count(*) = 1 from pg_stat_activity
		where backend_type <> 'client backend' and wait_event_type = 'Lock'`)

	got := snapshot(t, s)
	if len(got.Blockers) != 1 || got.Blockers[0].PID != int32(copied.PID()) || got.Blockers[0].Behind != 1 {
		t.Errorf("blockers: %+v", got.Blockers)
	}
	if len(got.LockWaits) != 0 {
		t.Errorf("lock waits of what is no client: %+v", got.LockWaits)
	}
}

// A role that may not see the waiting sessions still gets their blockers, because
// every role may read pg_locks.
func TestABlockerOfHiddenSessionsIsNamed(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "nopriv")
	root := srv.IdleInTransaction(t, "nopriv", "select pg_advisory_xact_lock(1)")
	srv.Blocked(t, "app", "select pg_advisory_lock(1)")
	got := snapshot(t, s)
	if !got.LocksKnown || len(got.LockWaits) != 0 {
		t.Errorf("%+v", got)
	}
	if len(got.Blockers) != 1 || got.Blockers[0].PID != int32(root.PID()) || got.Blockers[0].XactStart.IsZero() {
		t.Errorf("blockers: %+v", got.Blockers)
	}
}

// database is an option of pgtest: to connect to another database than
// postgres.
func database(name string) func(*pgx.ConnConfig) {
	return func(c *pgx.ConnConfig) { c.Database = name }
}
