package postgres

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// activity reads the activity.
func (c *scrapeConn) activity(t testing.TB) session.Snapshot {
	t.Helper()
	got, err := c.readActivity(proctest.Deadline(t), all)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// In a fastpath call the server shows the start and the text of the previous
// statement, which has ended.
func TestAFastpathCallHasNoStatement(t *testing.T) {
	srv := pgtest.Start(t)
	c := openScrapeConn(t, srv)
	holder := srv.IdleInTransaction(t, "app", "select pg_advisory_xact_lock(1)")
	caller := srv.Open(t, "app")
	caller.Exec(t, "select 'before'")
	const pgAdvisoryLock = 2880 // its oid
	frontend := caller.Conn().PgConn().Frontend()
	frontend.Send(&pgproto3.FunctionCall{
		Function: pgAdvisoryLock, ArgFormatCodes: []uint16{1}, ResultFormatCode: 1,
		Arguments: [][]byte{binary.BigEndian.AppendUint64(nil, 1)},
	})
	if err := frontend.Flush(); err != nil {
		t.Fatal(err)
	}
	caller.Await(t, "state = 'fastpath function call' and wait_event_type = 'Lock'")

	got := c.activity(t)
	i := slices.IndexFunc(got.Sessions, func(s session.Aged) bool { return s.PID == int32(caller.PID()) })
	if i < 0 || got.Sessions[i].Query != "" || !got.Sessions[i].QueryStart.IsZero() || got.Sessions[i].XactStart.IsZero() {
		t.Errorf("%d in %+v", caller.PID(), got.Sessions)
	}
	w, has := lockWaitOf(c.withBackends(t, c.locksNow(t)), caller)
	if !has || w.Query != "" || !w.QueryStart.IsZero() || w.Age <= 0 {
		t.Errorf("its lock wait: %t, %+v", has, w)
	}
	holder.Exec(t, "commit") // so that the call ends
}

// A text as long as the server keeps them may have lost its end.
func TestQueryTruncated(t *testing.T) {
	srv := pgtest.Start(t, "track_activity_query_size=100")
	c := openScrapeConn(t, srv)
	whole := srv.IdleInTransaction(t, "app", "select 1")
	cut := srv.IdleInTransaction(t, "app", "select '"+strings.Repeat("x", 200)+"'")
	truncated := map[int32]bool{}
	for _, s := range c.activity(t).Sessions {
		truncated[s.PID] = s.QueryTruncated
	}
	if truncated[int32(whole.PID())] || !truncated[int32(cut.PID())] {
		t.Errorf("%v; %d is whole and %d is not", truncated, whole.PID(), cut.PID())
	}
}

// Every connection counts, once, and every database is named once.
func TestSnapshotCountsConnectionsAndDatabases(t *testing.T) {
	srv := pgtest.Start(t)
	c := openScrapeConn(t, srv)
	srv.Exec(t, "create database shop")
	srv.Open(t, "app").Exec(t, "select 1")
	srv.Run(t, "app", "select pg_sleep(60)")
	srv.IdleInTransaction(t, "app", "select 1")
	srv.WalSender(t)
	got := c.activity(t)
	if got.Connections != 5 { // pgtest's own and ours too; a walsender is none
		t.Errorf("%d connections", got.Connections)
	}
	slices.Sort(got.Databases)
	if want := []string{"postgres", "shop", "template1"}; !slices.Equal(got.Databases, want) {
		t.Errorf("databases: %q, want %q", got.Databases, want)
	}
}

// The privilege that counts is pg_read_all_stats, which pg_monitor brings.
func TestPgReadAllStatsIsEnoughToSee(t *testing.T) {
	srv := pgtest.Start(t)
	srv.Exec(t, "revoke pg_monitor from monsig", "grant pg_read_all_stats to monsig")
	if got := openScrapeConn(t, srv).activity(t); !got.Facts.CanSee || got.Hidden != 0 {
		t.Errorf("%+v", got)
	}
}

// A session may begin something between the read of its row and of the clock. Its
// age is 0 then.
func TestNoAgeIsNegative(t *testing.T) {
	var got session.Snapshot
	counts := newTally(all, &got)
	now := time.Date(2026, 11, 22, 11, 5, 54, 0, time.UTC)
	later := now.Add(time.Millisecond)
	counts.session(session.Session{Activity: session.Activity{State: session.StateActive, QueryStart: later, XactStart: later}}, now)
	counts.session(session.Session{Activity: session.Activity{State: session.StateIdleInXact, StateChange: later, XactStart: later}}, now)
	counts.finish()
	for _, s := range got.Sessions {
		if s.Ages != (session.Ages{}) {
			t.Errorf("%+v", s.Ages)
		}
	}
	if len(got.Sessions) != 2 {
		t.Errorf("%d sessions", len(got.Sessions))
	}
}

// The sessions of one database may come in several rows.
func TestADatabaseIsNamedOnce(t *testing.T) {
	var got session.Snapshot
	counts := newTally(all, &got)
	counts.idle(session.Session{Datname: "shop", Activity: session.Activity{State: session.StateIdle, WaitEventType: "Client"}}, 2)
	counts.idle(session.Session{Datname: "shop", Activity: session.Activity{State: session.StateIdle}}, 1)
	if len(got.Databases) != 1 || got.Connections != 3 || len(got.Counts) != 2 {
		t.Errorf("%+v", got)
	}
}

// A connection that broke since the last scrape costs no scrape.
func TestABrokenConnectionIsReplaced(t *testing.T) {
	srv := pgtest.Start(t)
	c := openScrapeConn(t, srv)
	srv.Exec(t, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pgbailiff'")
	srv.WaitFor(t, "select not exists (select from pg_stat_activity where application_name = 'pgbailiff')")
	request := newScrapeRequest(all)
	c.serve(request)
	if got := <-request.activity; got.err != nil || got.snapshot.Server != "orders" {
		t.Errorf("%+v", got)
	}
}
