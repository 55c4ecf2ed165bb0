//go:build heavy

package postgres_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// pileup makes n sessions wait for the row that an idle transaction holds. It returns
// that transaction, and a function that ends the waiting sessions.
func pileup(t *testing.T, srv *pgtest.Server, n int) (root *pgtest.Client, disperse func()) {
	t.Helper()
	srv.Exec(t, "create table t (id int primary key, n int)", "insert into t values (1, 1)", "grant all on t to app")
	root = srv.IdleInTransaction(t, "app", "update t set n = 2")
	ctx, cancel := context.WithCancel(context.Background())
	var waiters sync.WaitGroup
	t.Cleanup(func() {
		srv.Kill(t) // ends them faster than one by one
		cancel()
		waiters.Wait()
	})
	disperse = func() {
		srv.Exec(t, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pileup'")
		srv.WaitFor(t, "select not exists (select from pg_stat_activity where application_name = 'pileup')")
	}
	config, err := pgconn.ParseConfig(srv.DSN("app"))
	if err != nil {
		t.Fatal(err)
	}
	config.RuntimeParams["application_name"] = "pileup"
	const side = 8 // connect at the same time
	conns := make(chan *pgconn.PgConn)
	failed := make(chan error, side)
	for range side {
		waiters.Go(func() {
			for range n / side {
				conn, err := pgconn.ConnectConfig(ctx, config)
				if err != nil {
					failed <- err
					return
				}
				select {
				case conns <- conn:
				case <-ctx.Done():
					_ = conn.Close(ctx)
				}
			}
		})
	}
	for range n {
		select {
		case conn := <-conns:
			waiters.Go(func() {
				_, _ = conn.Exec(ctx, "update t set n = 3").ReadAll() // until disperse, or the server's end
				_ = conn.Close(ctx)
			})
		case err := <-failed:
			t.Fatal(err)
		}
	}
	srv.WaitFor(t, "select count(*) = $1 from pg_stat_activity where wait_event_type = 'Lock'", n)
	return root, disperse
}

// A thousand sessions wait for one row. A scrape ends in time with what could be
// read, and opens no other connection.
func TestSnapshotWithAThousandWaiters(t *testing.T) {
	const waiters, limit = 1000, 5 * time.Second
	// By default each of them looks for a deadlock after a second. A thousand that do
	// so block the whole server for a minute.
	srv := pgtest.Start(t, "max_connections=1100", "log_connections=on", "deadlock_timeout=1h")
	s := start(t, srv, "monsig")
	opened := func() int { return strings.Count(srv.Log(), "application_name=pgbailiff") }
	snapshot(t, s)
	root, disperse := pileup(t, srv, waiters)
	find(t, s, root) // now the action connection is open as well
	before := opened()

	scrape := func() {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		begun := time.Now()
		got, err := s.Snapshot(ctx, session.SnapshotOptions{MinAge: 0.001, MaxSessions: 50, Text: true})
		took := time.Since(begun)
		if err != nil || took > limit+returnMargin {
			t.Errorf("after %s: %v", took, err)
			return
		}
		t.Logf("%s; LocksKnown: %t", took, got.LocksKnown)
		checkPileup(t, got, root, waiters)
	}
	scrape()
	var both sync.WaitGroup
	both.Go(scrape)
	both.Go(scrape)
	both.Wait()
	for range 5 { // far too short for a scrape
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		begun := time.Now()
		_, _ = s.Snapshot(ctx, everything())
		cancel()
		if took := time.Since(begun); took > returnMargin {
			t.Errorf("%s for a scrape of 5 ms", took)
		}
	}
	scrape()

	disperse()
	if got := snapshot(t, s); !got.LocksKnown || len(got.Waiters)+len(got.LockWaits)+len(got.Blockers) != 0 {
		t.Errorf("after the pile-up: %+v", got)
	}
	if now := opened(); now != before {
		t.Errorf("%d connections were opened, %d of them before the pile-up", now, before)
	}
}

// checkPileup checks a snapshot of a pile-up: either the locks are complete, or
// LocksKnown is false.
func checkPileup(t *testing.T, got session.Snapshot, root *pgtest.Client, waiters int) {
	t.Helper()
	var waiting int64
	for _, c := range got.Counts {
		if c.WaitEventType == "Lock" {
			waiting += c.Backends
		}
	}
	if waiting != int64(waiters) {
		t.Errorf("%d wait for a lock, want %d", waiting, waiters)
	}
	switch {
	case !got.LocksKnown && len(got.Waiters)+len(got.LockWaits)+len(got.Blockers) > 0:
		t.Errorf("LocksKnown is false, and there is: %+v %+v", got.LockWaits, got.Blockers)
	case got.LocksKnown && (len(got.Blockers) != 1 || got.Blockers[0].PID != int32(root.PID()) || got.Blockers[0].Behind != waiters):
		t.Errorf("blockers: %+v", got.Blockers)
	case got.LocksKnown && (len(got.Waiters) != waiters || len(got.LockWaits) != 50):
		t.Errorf("%d waiters, %d lock waits", len(got.Waiters), len(got.LockWaits))
	}
}

// The server's statement_timeout ends the read of the locks. A scrape after one whose
// caller has left waits for that, and no longer.
func TestSnapshotWithoutBlockersForLong(t *testing.T) {
	scrapeWhileLocksAreLocked(t, time.Second, 10*time.Second, 10*time.Second)
}
