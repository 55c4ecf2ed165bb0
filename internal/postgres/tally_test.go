package postgres

import (
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// counted returns the snapshot of these sessions.
func counted(opts session.SnapshotOptions, now time.Time, sessions ...session.Session) session.Snapshot {
	var got session.Snapshot
	t := newTally(opts, &got)
	for _, s := range sessions {
		t.session(s, now)
	}
	t.finish()
	return got
}

// busy is a session of the database shop that began everything so long ago.
func busy(pid int32, state session.State, now time.Time, age time.Duration) session.Session {
	start := now.Add(-age)
	return session.Session{
		ID: session.ID{PID: pid}, Datname: "shop",
		Activity: session.Activity{State: state, QueryStart: start, XactStart: start, StateChange: start},
	}
}

// Every family of ages has its own maximum and its own number of members, from
// the minimum age on.
func TestTallyCountsByFamily(t *testing.T) {
	now := time.Date(2026, 11, 22, 11, 5, 54, 0, time.UTC)
	got := counted(session.SnapshotOptions{MinAge: 10, MaxSessions: 50}, now,
		busy(1, session.StateActive, now, 30*time.Second),
		busy(2, session.StateActive, now, 10*time.Second),
		busy(3, session.StateActive, now, 9*time.Second),
		busy(4, session.StateIdleInXact, now, 60*time.Second),
	)
	want := []session.Count{
		{
			Datname: "shop", State: session.StateActive, Backends: 3,
			Max:     session.Ages{session.FamilyQuery: 30, session.FamilyTransaction: 30},
			Members: [session.NumFamilies]int64{session.FamilyQuery: 2, session.FamilyTransaction: 2},
		},
		{
			Datname: "shop", State: session.StateIdleInXact, Backends: 1,
			Max:     session.Ages{session.FamilyTransaction: 60, session.FamilyIdleInTransaction: 60},
			Members: [session.NumFamilies]int64{session.FamilyTransaction: 1, session.FamilyIdleInTransaction: 1},
		},
	}
	if diff := cmp.Diff(want, got.Counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if got.Connections != 4 || len(got.Sessions) != 3 {
		t.Errorf("%d connections, %d sessions", got.Connections, len(got.Sessions))
	}
}

// The oldest of each family stay, also where another family has older ones.
func TestTallyKeepsTheOldestOfEachFamily(t *testing.T) {
	now := time.Date(2026, 11, 22, 11, 5, 54, 0, time.UTC)
	got := counted(session.SnapshotOptions{MaxSessions: 1}, now,
		busy(1, session.StateActive, now, 10*time.Second),
		busy(2, session.StateActive, now, 20*time.Second),
		busy(3, session.StateIdleInXact, now, 50*time.Second),
		busy(4, session.StateIdleInXact, now, 60*time.Second),
	)
	var pids []int32
	for _, s := range got.Sessions {
		pids = append(pids, s.PID)
	}
	if diff := cmp.Diff([]int32{2, 4}, pids); diff != "" {
		t.Errorf("pids (-want +got):\n%s", diff)
	}
}

// BenchmarkTally counts 800 sessions that are not idle. 480 of them are old
// enough to be members of a family.
func BenchmarkTally(b *testing.B) {
	now := time.Date(2026, 11, 22, 11, 5, 54, 0, time.UTC)
	var sessions []session.Session
	for i := range 800 {
		age := time.Duration(i%5*5) * time.Second
		s := session.Session{
			ID:      session.ID{Server: "orders", PID: int32(1 + i), BackendStart: now.Add(-time.Hour)},
			Datname: "shop" + strconv.Itoa(i%4), Usename: "app", BackendType: session.BackendTypeClient,
		}
		s.Activity = session.Activity{
			State: session.StateActive, QueryStart: now.Add(-age), XactStart: now.Add(-age), StateChange: now.Add(-age),
		}
		if i%2 == 0 {
			s.State, s.WaitEventType = session.StateIdleInXact, "Client"
		}
		sessions = append(sessions, s)
	}
	b.ReportAllocs()
	for b.Loop() {
		var got session.Snapshot
		t := newTally(session.SnapshotOptions{MinAge: 10, MaxSessions: 50}, &got)
		for _, s := range sessions {
			t.session(s, now)
		}
		t.finish()
		if len(got.Sessions) == 0 || got.Connections != 800 {
			b.Fatalf("%d sessions of %d", len(got.Sessions), got.Connections)
		}
	}
}
