package postgres

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// crowded is a server with many idle sessions, and a scrape connection that reads
// only the backends that can have changed.
//
// The marker shows whether a snapshot has read all backends. It is a transaction
// that failed long ago and that is removed from the delta, so that only a snapshot
// of all backends has it.
type crowded struct {
	*pgtest.Server
	r      *scrapeConn
	idle   []*pgtest.Client
	marker *pgtest.Client
}

func newCrowded(t *testing.T) *crowded {
	t.Helper()
	srv := pgtest.Start(t)
	c := &crowded{Server: srv, r: openScrapeConn(t, srv), marker: srv.AbortedTransaction(t, "app")}
	c.r.deltaMinBackends = 1
	for range 40 {
		idle := srv.Open(t, "super1")
		idle.Exec(t, "select 1")
		c.idle = append(c.idle, idle)
	}
	if got, all := c.read(t); !all || got[session.StateIdleAborted] != 1 {
		t.Fatalf("the first snapshot: %v", got)
	}
	return c
}

// snapshot is the next snapshot, as if visibilityLag had passed since the last one.
func (c *crowded) snapshot(t *testing.T) (got session.Snapshot, all bool) {
	t.Helper()
	d := &c.r.delta
	for _, at := range []*time.Time{&d.at.server, &d.at.before, &d.at.after} {
		if !at.IsZero() {
			*at = at.Add(visibilityLag)
		}
	}
	marker := int32(c.marker.PID())
	d.notIdle = slices.DeleteFunc(d.notIdle, func(pid int32) bool { return pid == marker })
	got, err := c.r.readActivity(proctest.Deadline(t), session.SnapshotOptions{MaxSessions: 1000})
	if err != nil {
		t.Fatal(err)
	}
	all = slices.ContainsFunc(got.Sessions, func(s session.Aged) bool { return s.PID == marker })
	return got, all
}

// read returns how many backends there are in each state, and whether all have
// been read.
func (c *crowded) read(t *testing.T) (states map[session.State]int64, all bool) {
	t.Helper()
	got, all := c.snapshot(t)
	states = map[session.State]int64{}
	for _, count := range got.Counts {
		states[count.State] += count.Backends
	}
	if !all { // the marker counts as idle
		states[session.StateIdle]--
		states[session.StateIdleAborted]++
	}
	return states, all
}

// changesTo checks what the next snapshot counts, apart from those that are
// idle, and that it has read only those that can have changed.
func (c *crowded) changesTo(t *testing.T, when string, want map[session.State]int64) {
	t.Helper()
	got, all := c.read(t)
	if all {
		t.Errorf("%s: all have been read", when)
	}
	want[session.StateIdleAborted]++
	want[session.StateIdle] = int64(len(c.idle)) + 2 // pgtest's own session and the marker
	for state, n := range want {
		if state != session.StateIdle {
			want[session.StateIdle] -= n
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", when, diff)
	}
}

type states = map[session.State]int64

// A delta has every backend that can have changed, whatever happens between two
// scrapes.
func TestDeltaReadsOnlyWhatCanHaveChanged(t *testing.T) {
	c := newCrowded(t)
	c.changesTo(t, "nothing happened", states{})
	c.idle[0].Start(t, "select pg_sleep(60)")
	c.idle[1].Exec(t, "begin")
	c.idle[2].Start(t, "begin; select 1/0")
	_ = c.idle[2].Wait(t)
	want := states{session.StateActive: 1, session.StateIdleInXact: 1, session.StateIdleAborted: 1}
	c.changesTo(t, "some began", states{session.StateActive: 1, session.StateIdleInXact: 1, session.StateIdleAborted: 1})
	c.changesTo(t, "and went on", want)
	c.idle[1].Exec(t, "commit")
	c.idle[2].Exec(t, "rollback")
	c.changesTo(t, "some ended", states{session.StateActive: 1})
	c.idle = append(c.idle, c.IdleInTransaction(t, "app", "select 1"))
	c.changesTo(t, "one came", states{session.StateActive: 1, session.StateIdleInXact: 1})
	c.Exec(t, fmt.Sprintf("select pg_terminate_backend(%d)", c.idle[0].PID()))
	c.WaitFor(t, "select not exists (select from pg_stat_activity where pid = $1)", c.idle[0].PID())
	c.idle = c.idle[1:]
	c.changesTo(t, "one has gone", states{session.StateIdleInXact: 1})
	c.r.delta.notIdle = nil
	c.changesTo(t, "a transaction is read even if its pid is not remembered", states{session.StateIdleInXact: 1})
	for _, idle := range c.idle[1:30] {
		idle.Exec(t, "begin")
	}
	if got, all := c.read(t); !all || got[session.StateIdleInXact] != 30 {
		t.Errorf("most have changed: %v, all were read: %t", got, all)
	}
}

// A session that turns tracking off shows nothing any more, not even the time of
// that.
func TestDeltaWithTrackingTurnedOff(t *testing.T) {
	c := newCrowded(t)
	fresh := c.Open(t, "super1")
	c.idle = append(c.idle, fresh)
	c.changesTo(t, "nothing happened", states{})
	c.idle[0].Exec(t, "set track_activities = off")
	c.changesTo(t, "one turned it off", states{session.StateDisabled: 1})
	c.idle[0].Exec(t, "begin")
	c.changesTo(t, "and is in a transaction", states{session.StateDisabled: 1})
	fresh.Exec(t, "set track_activities = off")
	c.changesTo(t, "another began with it", states{session.StateDisabled: 2})
	fresh.Exec(t, "set track_activities = on")
	c.changesTo(t, "and turned it on", states{session.StateDisabled: 1})
}

// After a server's clock was set back, a new statement has an earlier start than
// the last snapshot.
func TestDeltaAfterTheClockWasSetBack(t *testing.T) {
	c := newCrowded(t)
	for _, by := range []time.Duration{time.Second, time.Minute, time.Hour} {
		c.changesTo(t, "the clock goes on", states{})
		c.idle[0].Start(t, "begin; select 1/0")
		_ = c.idle[0].Wait(t)
		c.r.delta.at.server = c.r.delta.at.server.Add(by) // as it was before it was set back
		if got, all := c.read(t); !all || got[session.StateIdleAborted] != 2 {
			t.Errorf("set back by %s: %v, all were read: %t", by, got, all)
		}
		c.idle[0].Exec(t, "rollback")
	}
}

// A role that may not see the times reads all backends, because it cannot know which
// have changed.
func TestARoleThatMayNotSeeReadsAllBackends(t *testing.T) {
	c := newCrowded(t)
	c.Exec(t, "revoke pg_monitor from monsig")
	for range 2 {
		if got, _ := c.snapshot(t); got.Hidden != int64(len(c.idle))+2 || c.r.delta.since() != nil {
			t.Errorf("%d hidden; the next one reads what has changed since %v", got.Hidden, c.r.delta.since())
		}
	}
}

// All backends are read every few minutes, so that a change that a delta missed is
// not missed for longer.
func TestAllBackendsAreReadEveryFewMinutes(t *testing.T) {
	c := newCrowded(t)
	c.changesTo(t, "a moment later", states{})
	c.r.delta.lastFull = c.r.delta.lastFull.Add(-fullReadEvery)
	if _, all := c.read(t); !all {
		t.Error("minutes later only what can have changed is read")
	}
	c.changesTo(t, "a moment after that", states{})
}

// A walsender may show up long after its start. It is not counted as an idle client.
func TestDeltaWithAWalSenderThatShowsUpLate(t *testing.T) {
	c := newCrowded(t)
	before, _ := c.snapshot(t)
	sender := c.Open(t, "repl", func(config *pgx.ConnConfig) { config.RuntimeParams["replication"] = "database" })
	// The last snapshot was later than its start, and did not see it.
	c.r.delta.at = clocks{pgtest.Value[time.Time](t, c.Server, "select clock_timestamp()"), time.Now(), time.Now()}
	for _, command := range []string{"", "IDENTIFY_SYSTEM"} {
		if command != "" {
			sender.Exec(t, command)
		}
		for range 2 {
			got, all := c.snapshot(t)
			if all || got.Connections != before.Connections {
				t.Errorf("%q: %d connections, there were %d; all were read: %t", command, got.Connections, before.Connections, all)
			}
		}
	}
}

func TestDeltaUsable(t *testing.T) {
	at := time.Date(2026, 11, 22, 11, 5, 54, 0, time.UTC)
	after := func(ours, theirs time.Duration) clocks {
		return clocks{server: at.Add(theirs), before: at.Add(ours), after: at.Add(ours)}
	}
	d := delta{}.next(after(0, 0))
	slow := delta{}.next(clocks{server: at, before: at, after: at.Add(time.Minute / 2)})
	for name, tt := range map[string]struct {
		delta delta
		now   clocks
		want  bool
	}{
		"no snapshot yet":            {delta{}, after(0, 0), false},
		"both clocks go on":          {d, after(time.Minute, time.Minute), true},
		"the server's was set ahead": {d, after(time.Minute, time.Hour), true},
		"it was set back":            {d, after(time.Minute, time.Minute-visibilityLag), false},
		"it was set back, and more":  {d, after(time.Minute, -time.Hour), false},
		"set back a little":          {d, after(time.Minute, time.Minute-visibilityLag/4), true},
		"after a slow answer":        {slow, after(time.Minute, time.Minute-visibilityLag), false},
		"a long time ago":            {d, after(fullReadEvery, fullReadEvery), false},
		"a full one is long ago":     {d.next(after(time.Minute, time.Minute)), after(fullReadEvery, fullReadEvery), false},
		"the last one is not":        {d.next(after(time.Minute, time.Minute)), after(2*time.Minute, 2*time.Minute), true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.delta.since() != nil && !tt.delta.old(tt.now) && !tt.delta.setBack(tt.now); got != tt.want {
				t.Errorf("%t, want %t", got, tt.want)
			}
		})
	}
}

// Our own sessions are counted as connections and never as idle, also where only
// changes are read. Those of another program with our role are idle.
func TestDeltaDoesNotCountOurOwnSessionsAsIdle(t *testing.T) {
	c := newCrowded(t)
	for _, application := range []string{ApplicationName, ApplicationName, "psql"} {
		idle := c.Open(t, "monsig", pgtest.AppName(application))
		idle.Exec(t, "select 1")
		if application != ApplicationName {
			c.idle = append(c.idle, idle)
		}
	}
	for range 3 {
		c.changesTo(t, "nothing happened", states{})
	}
	got, _ := c.snapshot(t)
	if want := pgtest.Value[int64](t, c.Server, "select count(*) from pg_stat_activity where backend_type = 'client backend'"); got.Connections != want {
		t.Errorf("%d connections, want %d", got.Connections, want)
	}
}
