package postgres_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// While a session holds a catalogue locked, no client can connect. That session and
// all others can still be found and ended.
func TestFindWhileACatalogueIsLocked(t *testing.T) {
	for _, catalogue := range []string{"pg_database", "pg_authid"} {
		t.Run(catalogue, func(t *testing.T) {
			srv := pgtest.Start(t)
			c := srv.Run(t, "app", "select pg_sleep(60)")
			locker := srv.Open(t, "super1")
			s := start(t, srv, "monsig")
			before := find(t, s, c)
			locker.Exec(t, "begin; lock pg_catalog."+catalogue)
			after := find(t, s, c)
			if after.Datname != "postgres" || after.Usename != "app" || after.Superuser != session.No || after.Query != before.Query {
				t.Errorf("found %+v", after)
			}
			if seen := find(t, s, locker); seen.Datname != "postgres" || seen.Usename != "super1" || seen.Superuser != session.Yes {
				t.Errorf("found %+v", seen)
			}
			if catalogue == "pg_authid" {
				return // PostgreSQL itself reads it before it signals
			}
			got, err := s.Signal(proctest.Deadline(t), session.Terminate, fence(after))
			if err != nil || got.Verdict != session.VerdictSignalled {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// A session whose names were not read before the lock cannot be found. Others, asked
// for at the same time, can.
func TestFindWithoutNames(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	locker := srv.Open(t, "super1")
	find(t, s, locker)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	find(t, s, c) // now its names are known
	var late *pgtest.Client
	for asked := false; !asked; { // repeated until no ping has read the names in between
		late = srv.Run(t, "app", "select pg_sleep(60)")
		locker.Exec(t, "begin; lock pg_catalog.pg_database")
		seen, ok, err := s.Find(proctest.Deadline(t), int32(late.PID()))
		if asked = !ok; !asked {
			locker.Exec(t, "commit")
		} else if !errors.Is(err, session.ErrUnreachable) || seen != (session.Found{}) {
			t.Fatalf("find: %+v, %v", seen, err)
		}
	}
	find(t, s, c)
	locker.Exec(t, "commit")
	find(t, s, late)
}

// A role's change is seen by the next Find.
func TestFindReadsTheNamesAnew(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	c := srv.Run(t, "app2", "select pg_sleep(60)")
	if seen := find(t, s, c); seen.Usename != "app2" || seen.Superuser != session.No {
		t.Errorf("found %+v", seen)
	}
	srv.Exec(t, "alter role app2 rename to boss", "alter role boss superuser")
	if seen := find(t, s, c); seen.Usename != "boss" || seen.Superuser != session.Yes {
		t.Errorf("found %+v", seen)
	}
	if seen := find(t, s, c); seen.SeenAt.Before(seen.QueryStart) || seen.SeenAt.After(pgtestNow(t, srv)) {
		t.Errorf("seen at %s", seen.SeenAt)
	}
}

// track_activity_query_size can have a value that PostgreSQL cannot read back.
func TestFindWithAnOddSizeOfTexts(t *testing.T) {
	srv := pgtest.Start(t, "track_activity_query_size=1500")
	s := start(t, srv, "monsig")
	short := srv.Run(t, "app", "select pg_sleep(60)")
	long := srv.Run(t, "app", "select pg_sleep(60) -- "+strings.Repeat("x", 1500))
	if find(t, s, short).QueryTruncated || !find(t, s, long).QueryTruncated {
		t.Error("QueryTruncated is wrong")
	}
}
