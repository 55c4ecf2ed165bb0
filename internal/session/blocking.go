package session

import "slices"

// PreparedTransaction is the pid of a blocker that is a prepared transaction. It
// holds its locks without a backend, so nothing can be signalled.
const PreparedTransaction int32 = 0

// WaitEventTypeLock is the wait event type of a backend that waits for a
// heavyweight lock.
const WaitEventTypeLock = "Lock"

// Waiter is a backend that waits for a lock, itself or through its parallel
// workers.
type Waiter struct {
	PID int32
	// Age is how long it has waited, in seconds.
	Age float64
	// Object identifies the object to lock.
	Object string
	// Blockers are the pids that it waits for: those that hold a conflicting lock
	// and those that wait for one ahead of it in the queue. Empty also where
	// PostgreSQL was not asked.
	Blockers []int32
}

// Queue is who waits for whom, by pids. It does not change.
type Queue struct {
	waiting map[int32]bool
	behind  map[int32][]int32 // by blocker: the direct waiters
	before  map[int32][]int32 // by waiter: the direct blockers
}

// NewQueue makes a Queue of all waiters of a server. A backend may be among them
// more than once, for itself and for its parallel workers. A waiter whose blockers
// are not known is taken to have those of another waiter for the same object.
func NewQueue(waiters []Waiter) Queue {
	q := Queue{waiting: make(map[int32]bool, len(waiters)), behind: map[int32][]int32{}, before: map[int32][]int32{}}
	byObject := map[string][]int32{}
	for _, w := range waiters {
		q.waiting[w.PID] = true
		if len(w.Blockers) > 0 && byObject[w.Object] == nil {
			byObject[w.Object] = w.Blockers
		}
	}
	for _, w := range waiters {
		blockers := w.Blockers
		if len(blockers) == 0 {
			blockers = byObject[w.Object]
		}
		for _, b := range blockers {
			q.behind[b] = append(q.behind[b], w.PID)
			q.before[w.PID] = append(q.before[w.PID], b)
		}
	}
	return q
}

// Waiters returns the pids of the backends that wait for this one directly, in
// ascending order and each once. In a queue for one object everybody waits
// directly for everybody ahead.
func (q Queue) Waiters(pid int32) []int32 { return ascending(q.behind[pid]) }

// Blockers returns the pids that this backend waits for directly, in ascending
// order and each once. One may be PreparedTransaction.
func (q Queue) Blockers(pid int32) []int32 { return ascending(q.before[pid]) }

// Waits reports whether the backend waits for a lock.
func (q Queue) Waits(pid int32) bool { return q.waiting[pid] }

// Behind returns how many other backends wait for this one, directly or not.
func (q Queue) Behind(pid int32) int {
	seen := map[int32]bool{pid: true}
	next := []int32{pid}
	for len(next) > 0 {
		last := next[len(next)-1]
		next = next[:len(next)-1]
		for _, w := range q.behind[last] {
			if !seen[w] {
				seen[w] = true
				next = append(next, w)
			}
		}
	}
	return len(seen) - 1
}

func ascending(pids []int32) []int32 {
	pids = slices.Clone(pids)
	slices.Sort(pids)
	return slices.Compact(pids)
}

// Roots returns the root blockers, the backends that block others and do not
// wait themselves, with the number of backends that wait for each, directly or
// not. A deadlock has no root.
func Roots(waiters []Waiter) map[int32]int {
	q := NewQueue(waiters)
	roots := map[int32]int{}
	for pid := range q.behind {
		if !q.waiting[pid] {
			roots[pid] = q.Behind(pid)
		}
	}
	return roots
}

// Blocked returns how many backends wait behind the session, directly or not, as
// the series of the family "blocked" does for the root blockers. It is 0 for
// another session of the same pid, and for a transaction that may have begun
// after the locks were read.
func (s *Snapshot) Blocked(q Queue, of Session) int {
	if q.Waits(of.PID) {
		return q.Behind(of.PID)
	}
	for _, b := range s.Blockers {
		if b.PID == of.PID && b.BackendStart.Equal(of.BackendStart) && b.XactStart.Equal(of.XactStart) {
			return b.Behind
		}
	}
	return 0
}
