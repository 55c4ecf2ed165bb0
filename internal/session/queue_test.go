package session_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// place is where a backend stands in a queue.
type place struct {
	Waiters, Blockers []int32
	Behind            int
	Waits             bool
}

func TestQueue(t *testing.T) {
	for name, tt := range map[string]struct {
		waiters []session.Waiter
		want    map[int32]place
	}{
		"nobody waits": {nil, map[int32]place{1: {}}},
		"a chain": {
			[]session.Waiter{asked(3, 2), asked(2, 1)},
			map[int32]place{
				1: {Waiters: []int32{2}, Behind: 2},
				2: {Waiters: []int32{3}, Blockers: []int32{1}, Behind: 1, Waits: true},
				3: {Blockers: []int32{2}, Waits: true},
				4: {},
			},
		},
		"a queue: everyone waits for all before": {
			[]session.Waiter{asked(4, 3, 1, 2), asked(3, 2, 1), asked(2, 1)},
			map[int32]place{
				1: {Waiters: []int32{2, 3, 4}, Behind: 3},
				2: {Waiters: []int32{3, 4}, Blockers: []int32{1}, Behind: 2, Waits: true},
				4: {Blockers: []int32{1, 2, 3}, Waits: true},
			},
		},
		"a parallel query, and a blocker given twice": {
			[]session.Waiter{asked(2, 1, 1), asked(2, 3, 1)},
			map[int32]place{
				1: {Waiters: []int32{2}, Behind: 1},
				2: {Blockers: []int32{1, 3}, Waits: true},
			},
		},
		"a deadlock: nobody is behind itself": {
			[]session.Waiter{asked(1, 2), asked(2, 1), asked(3, 1)},
			map[int32]place{
				1: {Waiters: []int32{2, 3}, Blockers: []int32{2}, Behind: 2, Waits: true},
				2: {Waiters: []int32{1}, Blockers: []int32{1}, Behind: 2, Waits: true},
				3: {Blockers: []int32{1}, Waits: true},
			},
		},
		"not asked: the blockers of another waiter for its object": {
			[]session.Waiter{notAsked(3, "row"), askedAbout(2, "row", 1), notAsked(4, "other row")},
			map[int32]place{
				1: {Waiters: []int32{2, 3}, Behind: 2},
				3: {Blockers: []int32{1}, Waits: true},
				4: {Waits: true},
			},
		},
		"a prepared transaction": {
			[]session.Waiter{asked(2, session.PreparedTransaction)},
			map[int32]place{
				session.PreparedTransaction: {Waiters: []int32{2}, Behind: 1},
				2:                           {Blockers: []int32{session.PreparedTransaction}, Waits: true},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			q, got := session.NewQueue(tt.waiters), map[int32]place{}
			for pid := range tt.want {
				got[pid] = place{q.Waiters(pid), q.Blockers(pid), q.Behind(pid), q.Waits(pid)}
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAQueueGivesItsPidsAway(t *testing.T) {
	q := session.NewQueue([]session.Waiter{asked(2, 1), asked(3, 1)})
	q.Waiters(1)[0] = 42
	if got := q.Waiters(1); got[0] != 2 {
		t.Errorf("the queue has changed: %v", got)
	}
}

func TestBlockedIsOfOneTransaction(t *testing.T) {
	holder := running(1, 60).Session
	holder.BackendStart = backendStart
	waiter := running(2, 30).Session
	snapshot := session.Snapshot{
		Waiters:  []session.Waiter{asked(2, 1), asked(3, 2)},
		Blockers: []session.Blocker{{Session: holder, Behind: 2}},
	}
	otherSession, otherTransaction := holder, holder
	otherSession.BackendStart = queryStart
	otherTransaction.XactStart = queryStart
	for name, tt := range map[string]struct {
		of   session.Session
		want int
	}{
		"the root blocker":                         {holder, 2},
		"one in between":                           {waiter, 1},
		"the last":                                 {running(3, 1).Session, 0},
		"another session on the same pid":          {otherSession, 0},
		"the session's next transaction":           {otherTransaction, 0},
		"a session that has nothing to do with it": {running(9, 1).Session, 0},
	} {
		if got := snapshot.Blocked(session.NewQueue(snapshot.Waiters), tt.of); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}
