package postgres

import (
	"cmp"
	"slices"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// locks is who waits for whom, as one statement has seen it. What the sessions
// do is read by a later statement, and meanwhile they go on: a wait belongs to
// a session's statement, and a transaction is to blame, only where both cannot
// have changed in between.
type locks struct {
	asked   time.Time     // by the server's clock, before anything was seen
	waiters []waiter      // the longest first
	behind  map[int32]int // the roots, and how many wait behind each
}

// waiter is a process that waits. The PID of its Waiter is the session that it
// belongs to: a parallel worker's is its leader.
type waiter struct {
	session.Waiter
	process int32
	since   time.Time // zero in the first instant
}

func (l *locks) found(waiters []waiter) {
	l.waiters = waiters
	all := make([]session.Waiter, len(waiters))
	for i, w := range waiters {
		all[i] = w.Waiter
	}
	l.behind = session.Roots(all)
}

// sessions are the waiters, each session once, for its longest wait.
func (l *locks) sessions() []session.Waiter {
	var once []session.Waiter
	seen := map[int32]bool{}
	for _, w := range l.waiters {
		if !seen[w.PID] {
			seen[w.PID] = true
			once = append(once, w.Waiter)
		}
	}
	return once
}

// pids are the backends of which more must be known: of so many sessions that
// have waited for the longest, and the roots.
func (l *locks) pids(sessions int) []int32 {
	var pids []int32
	longest := map[int32]bool{}
	for _, w := range l.waiters {
		if len(longest) < sessions || longest[w.PID] {
			longest[w.PID] = true
			pids = append(pids, w.PID, w.process)
		}
	}
	for pid := range l.behind {
		if pid != session.PreparedTransaction {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

// into adds what has been found out to the snapshot. known are the backends of
// pids, read afterwards.
func (l *locks) into(to *session.Snapshot, sessions int, known map[int32]backend) {
	to.Waiters = l.sessions()
	longest := map[int32]bool{}
	for _, w := range to.Waiters[:min(len(to.Waiters), sessions)] {
		longest[w.PID] = true
	}
	for _, w := range l.waiters {
		s := known[w.PID]
		if longest[w.PID] && s.BackendType == session.BackendTypeClient && !s.own && w.still(s, known[w.process]) {
			to.LockWaits = append(to.LockWaits, session.LockWait{Session: s.Session, Age: w.Age})
			longest[w.PID] = false // once
		}
	}
	for pid, n := range l.behind {
		s, is := known[pid]
		if pid == session.PreparedTransaction {
			s, is = backend{Session: session.Session{ID: session.ID{Server: to.Server}}}, true
		}
		if is && !s.own && !since(s.Session).After(l.asked) {
			to.Blockers = append(to.Blockers, session.Blocker{Session: s.Session, Behind: n})
		}
	}
	slices.SortFunc(to.Blockers, func(a, b session.Blocker) int {
		return cmp.Or(cmp.Compare(b.Behind, a.Behind), cmp.Compare(a.PID, b.PID))
	})
}

// still reports whether a process of the session waits now, too, and the
// session's statement is the one that has begun to wait: a later one would have
// begun after that.
func (w waiter) still(s, process backend) bool {
	began := s.QueryStart
	if s.State == session.StateFastpath {
		began = s.StateChange
	}
	return (s.State == session.StateActive || s.State == session.StateFastpath) &&
		process.WaitEventType == session.WaitEventTypeLock &&
		(process.PID == s.PID || process.leaderPID == s.PID) &&
		!began.IsZero() && !began.After(w.since)
}

// since is when the session began what it may block others with: its
// transaction, or to be in no transaction; what it holds then it holds as a
// session. The zero time of a session that hides both says nothing of
// transactions, and may stand.
func since(s session.Session) time.Time {
	switch {
	case !s.XactStart.IsZero():
		return s.XactStart
	case !s.StateChange.IsZero():
		return s.StateChange
	default:
		return s.BackendStart
	}
}
