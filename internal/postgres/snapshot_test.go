package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

func everything() session.SnapshotOptions {
	return session.SnapshotOptions{MaxSessions: 1000, Text: true}
}

func snapshot(t testing.TB, s *postgres.Server) session.Snapshot {
	t.Helper()
	got, err := s.Snapshot(proctest.Deadline(t), everything())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// sessionOf returns the row of a client, if it has one.
func sessionOf(got session.Snapshot, c *pgtest.Client) (session.Aged, bool) {
	i := slices.IndexFunc(got.Sessions, func(s session.Aged) bool { return s.PID == int32(c.PID()) })
	if i < 0 {
		return session.Aged{}, false
	}
	return got.Sessions[i], true
}

// states counts the backends of the database postgres by state.
func states(got session.Snapshot) map[session.State]int64 {
	n := map[session.State]int64{}
	for _, c := range got.Counts {
		if c.Datname == "postgres" {
			n[c.State] += c.Backends
		}
	}
	return n
}

func TestSnapshotOfEveryState(t *testing.T) {
	srv := pgtest.Start(t, "track_activity_query_size=4096")
	s := start(t, srv, "monsig")
	active := srv.Run(t, "app", "select pg_sleep(60)", pgtest.AppName("reports"))
	idle := srv.Open(t, "app")
	idle.Exec(t, "select 1")
	idling := srv.IdleInTransaction(t, "app", "select 2")
	aborted := srv.AbortedTransaction(t, "app")
	srv.Exec(t, "alter role app2 set track_activities = off")
	srv.Open(t, "app2").Exec(t, "select 1")

	got := snapshot(t, s)
	if diff := cmp.Diff(map[session.State]int64{
		session.StateActive: 1, session.StateIdle: 2, session.StateIdleInXact: 1, // idle: pgtest's own session too
		session.StateIdleAborted: 1, session.StateDisabled: 1,
	}, states(got)); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	if _, has := sessionOf(got, idle); has {
		t.Error("an idle session has a row of its own")
	}
	row, _ := sessionOf(got, active)
	if known := active.Activity(t); !row.QueryStart.Equal(known.QueryStart) || !row.BackendStart.Equal(known.BackendStart) ||
		row.Usename != "app" || row.Datname != "postgres" || row.ApplicationName != "reports" || row.ClientAddr != "127.0.0.1" ||
		row.Query != "select pg_sleep(60)" || row.Ages[session.FamilyQuery] <= 0 || row.Ages[session.FamilyTransaction] < row.Ages[session.FamilyQuery] {
		t.Errorf("active: %+v", row)
	}
	if row, _ := sessionOf(got, idling); row.Ages[session.FamilyIdleInTransaction] <= 0 || row.Ages[session.FamilyQuery] != 0 || row.Query != "select 2" {
		t.Errorf("idle in transaction: %+v", row)
	}
	if row, _ := sessionOf(got, aborted); row.Ages[session.FamilyIdleInTransaction] <= 0 || !row.XactStart.IsZero() {
		t.Errorf("aborted: %+v", row)
	}
	if !slices.Contains(got.Databases, "postgres") || slices.Contains(got.Databases, "template0") {
		t.Errorf("databases: %v", got.Databases)
	}
	f := got.Facts
	if f.InRecovery || f.MaxConnections == 0 || f.Version == "" || f.SystemIdentifier == "" || !f.CanSee || !f.CanSignal || f.PostmasterStart.IsZero() {
		t.Errorf("facts: %+v", f)
	}
}

// Only the oldest sessions have rows; all are counted.
func TestSnapshotIsBounded(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	var clients []*pgtest.Client
	for range 5 {
		clients = append(clients, srv.Run(t, "app", "select pg_sleep(60)"))
	}
	got, err := s.Snapshot(proctest.Deadline(t), session.SnapshotOptions{MaxSessions: 2})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Sessions) != 2 || got.Sessions[0].Query != "" {
		t.Errorf("%d sessions: %+v", len(got.Sessions), got.Sessions)
	}
	for _, c := range clients[:2] {
		if _, has := sessionOf(got, c); !has {
			t.Errorf("one of the oldest has no row")
		}
	}
	var members int64
	for _, c := range got.Counts {
		members += c.Members[session.FamilyQuery]
	}
	if members != 5 {
		t.Errorf("%d members of the family of queries, want 5", members)
	}
	none, err := s.Snapshot(proctest.Deadline(t), session.SnapshotOptions{MinAge: 3600, MaxSessions: 50})
	if err != nil || len(none.Sessions) != 0 {
		t.Errorf("%+v, %v", none.Sessions, err)
	}
}

// Of many backends only those that can have changed are read. The result must be
// that of a full read, whatever happens between two scrapes.
func TestSnapshotOfChangesEqualsFullSnapshot(t *testing.T) {
	srv := pgtest.Start(t, "max_connections=400")
	s := start(t, srv, "monsig")
	var idle []*pgtest.Client
	for i := range 260 {
		c := srv.Open(t, "app")
		if i%20 != 0 {
			c.Exec(t, "select 1")
		}
		idle = append(idle, c)
	}
	compare := func(when string) {
		t.Helper()
		changes, full := snapshot(t, s), snapshot(t, start(t, srv, "monsig"))
		// The second observer has a session of its own more.
		if diff := cmp.Diff(states(full), states(changes)); diff != "" {
			t.Errorf("%s: states (-full +changes):\n%s", when, diff)
		}
		pids := func(sn session.Snapshot) map[int32]session.State {
			m := map[int32]session.State{}
			for _, s := range sn.Sessions {
				m[s.PID] = s.State
			}
			return m
		}
		if diff := cmp.Diff(pids(full), pids(changes)); diff != "" {
			t.Errorf("%s: sessions (-full +changes):\n%s", when, diff)
		}
	}
	compare("at first")
	compare("nothing happened")
	idle[0].Start(t, "select pg_sleep(60)")
	idle[0].Await(t, "state = 'active'")
	idle[2].Exec(t, "begin")
	idle[4].Exec(t, "begin")
	idle[4].Start(t, "select 1/0")
	_ = idle[4].Wait(t)
	compare("some began")
	compare("and went on")
	idle[2].Exec(t, "commit")
	idle[4].Exec(t, "rollback")
	srv.Exec(t, fmt.Sprintf("select pg_terminate_backend(%d)", idle[0].PID()))
	srv.WaitFor(t, "select not exists (select from pg_stat_activity where pid = $1)", idle[0].PID())
	srv.IdleInTransaction(t, "app", "select 1")
	compare("some ended")
	for _, c := range idle[10:200] {
		c.Exec(t, "select 1")
	}
	compare("most have changed")
	compare("and are idle again")
}

func TestSnapshotCountsHiddenBackends(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "nopriv")
	srv.Run(t, "app", "select pg_sleep(60)")
	got := snapshot(t, s)
	if got.Facts.CanSee || got.Facts.CanSignal || got.Hidden != 2 || len(got.Sessions) != 0 || got.Connections < 3 {
		t.Errorf("%+v", got)
	}
}

// A scrape of a server that hangs ends with its context and opens no second
// connection. When the server goes on, scrapes work again.
func TestSnapshotOfAHungServer(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	snapshot(t, s)
	connections := func() int64 {
		return pgtest.Value[int64](t, srv, "select count(*) from pg_stat_activity where application_name = 'pgbailiff'")
	}
	const both = 2 // for scraping and for acting, which is opened in the background
	proctest.Until(t, "both connections", func() bool { return connections() == both })
	srv.Exec(t, "begin", "lock table pg_catalog.pg_database in access exclusive mode") // the snapshot joins it
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		_, err := s.Snapshot(ctx, everything())
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	}
	if now := connections(); now != both {
		t.Errorf("%d connections", now)
	}
	srv.Exec(t, "rollback")
	snapshot(t, s)
}

func TestOneServerDoesNotAffectAnother(t *testing.T) {
	srv, down := pgtest.Start(t), pgtest.Start(t)
	s, lost := start(t, srv, "monsig"), start(t, down, "monsig")
	snapshot(t, lost)
	down.Kill(t)
	if _, err := lost.Snapshot(proctest.Deadline(t), everything()); !errors.Is(err, session.ErrUnreachable) {
		t.Errorf("%v", err)
	}
	snapshot(t, s)
	down.Restart(t)
	proctest.Eventually(t, "a scrape after the pause that follows a failed attempt", func() error {
		_, err := lost.Snapshot(proctest.Deadline(t), everything())
		return err
	})
}
