package postgres

import (
	"cmp"
	"slices"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// lockGraph has the lock waits that one statement has read. A later statement
// reads what the sessions do, and they go on in between. Therefore a statement is
// only shown as waiting, and a transaction as blocking, if it is certainly the
// one that was there when the locks were read.
type lockGraph struct {
	asked   time.Time     // by the server's clock, before the locks were read
	waiters []waiter      // the longest first
	roots   map[int32]int // how many wait behind each root blocker
}

// waiter is a process that waits. The PID of its Waiter is the session that it
// belongs to: a parallel worker's is its leader.
type waiter struct {
	session.Waiter
	process int32
	since   time.Time // zero in the first instant of the wait
}

// lockBackend is a backend of any type that waits for a lock or holds one.
type lockBackend struct {
	session.Session
	leaderPID int32
	own       bool // pgbailiff's
}

func newLockGraph(asked time.Time, waiters []waiter) lockGraph {
	all := make([]session.Waiter, len(waiters))
	for i, w := range waiters {
		all[i] = w.Waiter
	}
	return lockGraph{asked: asked, waiters: waiters, roots: session.Roots(all)}
}

// sessions are the waiters, each session once, with its longest wait.
func (g *lockGraph) sessions() []session.Waiter {
	var once []session.Waiter
	seen := map[int32]bool{}
	for _, w := range g.waiters {
		if !seen[w.PID] {
			seen[w.PID] = true
			once = append(once, w.Waiter)
		}
	}
	return once
}

// pids are the backends to read next: those of maxSessions sessions that have
// waited for the longest, and the root blockers.
func (g *lockGraph) pids(maxSessions int) []int32 {
	var pids []int32
	longest := map[int32]bool{}
	for _, w := range g.waiters {
		if len(longest) < maxSessions || longest[w.PID] {
			longest[w.PID] = true
			pids = append(pids, w.PID, w.process)
		}
	}
	for pid := range g.roots {
		if pid != session.PreparedTransaction {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

// addTo adds the waiters, the lock waits and the blockers to the snapshot.
// backends are those of pids, read afterwards.
func (g *lockGraph) addTo(to *session.Snapshot, maxSessions int, backends map[int32]lockBackend) {
	to.Waiters = g.sessions()
	longest := map[int32]bool{}
	for _, w := range to.Waiters[:min(len(to.Waiters), maxSessions)] {
		longest[w.PID] = true
	}
	for _, w := range g.waiters {
		b := backends[w.PID]
		if longest[w.PID] && b.BackendType == session.BackendTypeClient && !b.own && w.stillWaits(b, backends[w.process]) {
			to.LockWaits = append(to.LockWaits, session.LockWait{Session: b.Session, Age: w.Age})
			longest[w.PID] = false // each session once
		}
	}
	for pid, n := range g.roots {
		b, known := backends[pid]
		if pid == session.PreparedTransaction {
			b, known = lockBackend{Session: session.Session{ID: session.ID{Server: to.Server}}}, true
		}
		if known && !b.own && !holdsSince(b.Session).After(g.asked) {
			to.Blockers = append(to.Blockers, session.Blocker{Session: b.Session, Behind: n})
		}
	}
	slices.SortFunc(to.Blockers, func(a, b session.Blocker) int {
		return cmp.Or(cmp.Compare(b.Behind, a.Behind), cmp.Compare(a.PID, b.PID))
	})
}

// stillWaits reports whether a process of the session waits now as well, in the
// statement that has begun to wait: a later statement would have begun after the
// wait.
func (w waiter) stillWaits(s, process lockBackend) bool {
	began := s.QueryStart
	if s.State == session.StateFastpath {
		began = s.StateChange
	}
	return (s.State == session.StateActive || s.State == session.StateFastpath) &&
		process.WaitEventType == session.WaitEventTypeLock &&
		(process.PID == s.PID || process.leaderPID == s.PID) &&
		!began.IsZero() && !began.After(w.since)
}

// holdsSince is the start of what the session may hold locks in: its transaction,
// or, outside of a transaction, its state, because it can hold session-level
// locks then. A session that shows neither, because it does not track its
// activity, is taken as the same since its start.
func holdsSince(s session.Session) time.Time {
	switch {
	case !s.XactStart.IsZero():
		return s.XactStart
	case !s.StateChange.IsZero():
		return s.StateChange
	default:
		return s.BackendStart
	}
}
