package session_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// pidValue is a member of a family, without the rest of its session.
type pidValue struct {
	PID   int32
	Value float64
}

func top(s session.Snapshot, family int, opts session.SnapshotOptions) (members []pidValue, more int64) {
	got, more := s.Top(family, opts)
	for _, m := range got {
		members = append(members, pidValue{m.PID, m.Value})
	}
	return members, more
}

// running is a session that has run a statement for so many seconds.
func running(pid int32, seconds float64) session.Aged {
	s := session.Aged{Ages: session.Ages{session.FamilyQuery: seconds, session.FamilyTransaction: seconds}}
	s.PID, s.State, s.QueryStart = pid, session.StateActive, time.Unix(1, 0)
	s.XactStart = s.QueryStart
	return s
}

func lockWait(pid int32, seconds float64) session.LockWait {
	return session.LockWait{Session: running(pid, seconds).Session, Age: seconds}
}

func blocker(pid int32, behind int) session.Blocker {
	return session.Blocker{Session: running(pid, 1).Session, Behind: behind}
}

func TestTopOfEachFamily(t *testing.T) {
	unknownStart := running(4, 60)
	unknownStart.QueryStart = time.Time{}
	count := func(members int64) session.Count {
		var c session.Count
		c.Members[session.FamilyQuery] = members
		return c
	}
	waiting := session.Count{WaitEventType: session.WaitEventTypeLock, Backends: 5}
	for name, tt := range map[string]struct {
		family   int
		snapshot session.Snapshot
		want     []pidValue
		more     int64
	}{
		"the oldest queries, and the number of the others": {
			session.FamilyQuery,
			session.Snapshot{
				Sessions: []session.Aged{running(1, 30), running(2, 50), running(3, 40)},
				Counts:   []session.Count{count(2), count(5)},
			},
			[]pidValue{{2, 50}, {3, 40}},
			5,
		},
		"queries that reach the minimum age": {
			session.FamilyQuery,
			session.Snapshot{Sessions: []session.Aged{running(1, 9.999), running(2, 10)}, Counts: []session.Count{count(1)}},
			[]pidValue{{2, 10}},
			0,
		},
		"a query without a known start": {
			session.FamilyQuery,
			session.Snapshot{Sessions: []session.Aged{unknownStart}},
			nil, 0,
		},
		"two rows with one pid": {
			session.FamilyQuery,
			session.Snapshot{Sessions: []session.Aged{running(1, 20), running(1, 30)}, Counts: []session.Count{count(1)}},
			[]pidValue{{1, 20}},
			0,
		},
		"queries of one age, by pid": {
			session.FamilyQuery,
			session.Snapshot{Sessions: []session.Aged{running(3, 20), running(1, 20), running(2, 20)}, Counts: []session.Count{count(3)}},
			[]pidValue{{1, 20}, {2, 20}},
			1,
		},
		"lock waits, and the waiters after those that were read": {
			session.FamilyLockWait,
			session.Snapshot{
				LocksKnown: true, Counts: []session.Count{waiting},
				LockWaits: []session.LockWait{lockWait(1, 40), lockWait(2, 9)},
				Waiters:   []session.Waiter{{PID: 1, Age: 40}, {PID: 2, Age: 9}, {PID: 3, Age: 12}, {PID: 4, Age: 8}},
			},
			[]pidValue{{1, 40}},
			1,
		},
		"every session that waits for a lock, when the locks are not known": {
			session.FamilyLockWait,
			session.Snapshot{Counts: []session.Count{waiting, {WaitEventType: "IO", Backends: 3}}},
			nil, 5,
		},
		"root blockers, whatever their age": {
			session.FamilyBlocked,
			session.Snapshot{LocksKnown: true, Blockers: []session.Blocker{blocker(1, 1), blocker(2, 7), blocker(3, 2)}},
			[]pidValue{{2, 7}, {3, 2}},
			1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, more := top(tt.snapshot, tt.family, session.SnapshotOptions{MinAge: 10, MaxSessions: 2})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if more != tt.more {
				t.Errorf("%d more, want %d", more, tt.more)
			}
		})
	}
}
