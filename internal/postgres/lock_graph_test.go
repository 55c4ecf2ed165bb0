package postgres

import (
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// A session that goes on between the read of the locks and the read of the backends
// must not have the wait of its last statement on the next one: a fence on that
// would hold.
func TestALockWaitBelongsToItsStatement(t *testing.T) {
	srv := pgtest.Start(t)
	for name, next := range map[string]func(t *testing.T, waiter *pgtest.Client){
		"another statement": func(t *testing.T, waiter *pgtest.Client) {
			waiter.Start(t, "select pg_sleep(60)")
		},
		"another wait": func(t *testing.T, waiter *pgtest.Client) {
			srv.IdleInTransaction(t, "app", "select pg_advisory_xact_lock(2)")
			waiter.Start(t, "select pg_advisory_lock(2)")
			waiter.Await(t, "wait_event_type = 'Lock'")
		},
		"nothing": func(*testing.T, *pgtest.Client) {},
	} {
		t.Run(name, func(t *testing.T) {
			c := openScrapeConn(t, srv)
			holder := srv.IdleInTransaction(t, "app", "select pg_advisory_xact_lock(1)")
			waiter := srv.Blocked(t, "app", "select pg_advisory_lock(1)")
			seen := c.locksNow(t)
			before, has := lockWaitOf(c.withBackends(t, seen), waiter)
			if known := waiter.Activity(t); !has || !before.QueryStart.Equal(known.QueryStart) || before.Age <= 0 {
				t.Fatalf("while it waits: %t, %+v", has, before)
			}
			holder.Exec(t, "commit")
			if err := waiter.Wait(t); err != nil {
				t.Fatal(err)
			}
			next(t, waiter)
			if w, has := lockWaitOf(c.withBackends(t, seen), waiter); has {
				t.Errorf("after that the wait is that of %s, and the statement that waited is that of %s", w.QueryStart, before.QueryStart)
			}
			if name == "another wait" {
				w, has := lockWaitOf(c.withBackends(t, c.locksNow(t)), waiter)
				if known := waiter.Activity(t); !has || !w.QueryStart.Equal(known.QueryStart) {
					t.Errorf("its own wait: %t, %+v", has, w)
				}
			}
		})
	}
}

// A statement that has got its lock does not wait any more.
func TestALockWaitThatIsOverIsDropped(t *testing.T) {
	srv := pgtest.Start(t)
	c := openScrapeConn(t, srv)
	holder := srv.IdleInTransaction(t, "app", "select pg_advisory_xact_lock(1)")
	waiter := srv.Blocked(t, "app", "select pg_advisory_lock(1); select pg_sleep(60)")
	seen := c.locksNow(t)
	holder.Exec(t, "commit")
	waiter.Await(t, "wait_event = 'PgSleep'")
	if w, has := lockWaitOf(c.withBackends(t, seen), waiter); has {
		t.Errorf("%+v", w)
	}
}

// A wait without a start could be that of any statement, so it has no series.
func TestALockWaitWithoutWaitstartIsOnlyCounted(t *testing.T) {
	srv := pgtest.Start(t)
	c := openScrapeConn(t, srv)
	holder := srv.IdleInTransaction(t, "app", "select pg_advisory_xact_lock(1)")
	waiter := srv.Blocked(t, "app", "select pg_advisory_lock(1)")
	seen := c.locksNow(t)
	seen.waiters[0].since = time.Time{}
	got := c.withBackends(t, seen)
	if w, has := lockWaitOf(got, waiter); has {
		t.Errorf("it has a series: %+v", w)
	}
	if len(got.Waiters) != 1 || countBehind(got, holder) != 1 {
		t.Errorf("it does not count: %+v", got)
	}
}

// A session that has ended the transaction that others waited for must not be named
// as a blocker with its next transaction.
func TestARootBlockerBelongsToItsTransaction(t *testing.T) {
	srv := pgtest.Start(t)
	for name, tt := range map[string]struct {
		take, then string
	}{
		"another transaction":           {"begin; select pg_advisory_xact_lock(1)", "commit; begin"},
		"no transaction":                {"begin; select pg_advisory_xact_lock(1)", "commit"},
		"another, of a session's lock":  {"select pg_advisory_lock(1)", "select pg_advisory_unlock(1)"},
		"a transaction instead of none": {"select pg_advisory_lock(1)", "begin; select pg_advisory_unlock(1)"},
	} {
		t.Run(name, func(t *testing.T) {
			c := openScrapeConn(t, srv)
			holder := srv.Open(t, "app")
			holder.Exec(t, tt.take)
			waiter := srv.Blocked(t, "app", "select pg_advisory_lock(1)")
			seen := c.locksNow(t)
			if n := countBehind(c.withBackends(t, seen), holder); n != 1 {
				t.Fatalf("%d wait behind it while it blocks", n)
			}
			holder.Exec(t, tt.then)
			if err := waiter.Wait(t); err != nil {
				t.Fatal(err)
			}
			if got := c.withBackends(t, seen); countBehind(got, holder) != 0 {
				t.Errorf("it blocks nobody any more, and is named: %+v", got.Blockers)
			}
		})
	}
}

// A session that is still in the same transaction is named, whatever it does there.
func TestARootBlockerMayRunAnotherStatement(t *testing.T) {
	srv := pgtest.Start(t)
	c := openScrapeConn(t, srv)
	holder := srv.IdleInTransaction(t, "app", "select pg_advisory_xact_lock(1)")
	srv.Blocked(t, "app", "select pg_advisory_lock(1)")
	seen := c.locksNow(t)
	holder.Start(t, "select pg_sleep(60)")
	if got := c.withBackends(t, seen); countBehind(got, holder) != 1 {
		t.Errorf("%+v", got.Blockers)
	}
}

func TestStillWaits(t *testing.T) {
	at := time.Date(2026, 11, 22, 11, 5, 54, 0, time.UTC)
	earlier, later := at.Add(-time.Second), at.Add(time.Microsecond)
	w := waiter{Waiter: session.Waiter{PID: 7}, process: 8, since: at}
	worker := lockBackend{leaderPID: 7}
	worker.PID, worker.WaitEventType = 8, "Lock"
	others, works := worker, worker
	others.leaderPID, works.WaitEventType = 9, "IO"
	leader := func(state session.State, query, change time.Time) lockBackend {
		return lockBackend{Session: session.Session{
			ID: session.ID{PID: 7}, Activity: session.Activity{State: state, QueryStart: query, StateChange: change},
		}}
	}
	for name, tt := range map[string]struct {
		session lockBackend
		process lockBackend
		want    bool
	}{
		"of its statement":            {leader(session.StateActive, earlier, earlier), worker, true},
		"of a statement that is over": {leader(session.StateActive, later, later), worker, false},
		"of a statement unknown":      {leader(session.StateActive, time.Time{}, earlier), worker, false},
		"of a fastpath call":          {leader(session.StateFastpath, time.Time{}, earlier), worker, true},
		"of a call that is over":      {leader(session.StateFastpath, time.Time{}, later), worker, false},
		"of no statement":             {leader(session.StateIdle, earlier, earlier), worker, false},
		"of nobody any more":          {lockBackend{}, worker, false},
		"of a process that has gone":  {leader(session.StateActive, earlier, earlier), lockBackend{}, false},
		"of another's process":        {leader(session.StateActive, earlier, earlier), others, false},
		"of a process that works":     {leader(session.StateActive, earlier, earlier), works, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := w.stillWaits(tt.session, tt.process); got != tt.want {
				t.Errorf("%t, want %t", got, tt.want)
			}
		})
	}
}

// Only client backends have lock waits, and all backends can be blockers, but our
// own sessions are neither.
func TestOnlyClientsAreLockWaitsAndAllBackendsAreBlockers(t *testing.T) {
	at := time.Date(2026, 11, 22, 11, 5, 54, 0, time.UTC)
	waiting := func(pid int32, kind string, own bool) lockBackend {
		return lockBackend{own: own, Session: session.Session{
			ID: session.ID{PID: pid, BackendStart: at}, BackendType: kind,
			Activity: session.Activity{State: session.StateActive, QueryStart: at, XactStart: at, WaitEventType: "Lock"},
		}}
	}
	var waiters []waiter
	known := map[int32]lockBackend{}
	for i, b := range []lockBackend{
		waiting(1, session.BackendTypeClient, false), waiting(2, "autovacuum worker", false), waiting(3, session.BackendTypeClient, true),
	} {
		known[b.PID] = b
		b.PID += 10 // behind it, one of the same kind
		known[b.PID] = b
		waiters = append(waiters, waiter{
			Waiter:  session.Waiter{PID: b.PID, Age: float64(10 - i), Blockers: []int32{b.PID - 10}},
			process: b.PID, since: at,
		})
	}
	graph := newLockGraph(at, waiters)
	var got session.Snapshot
	graph.addTo(&got, 10, known)
	if len(got.Waiters) != 3 || len(got.LockWaits) != 1 || got.LockWaits[0].PID != 11 || got.LockWaits[0].Age != 10 {
		t.Errorf("waits: %+v", got.LockWaits)
	}
	if len(got.Blockers) != 2 || got.Blockers[0].PID != 1 || got.Blockers[1].PID != 2 {
		t.Errorf("blockers: %+v", got.Blockers)
	}
}
