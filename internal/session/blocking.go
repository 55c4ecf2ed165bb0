package session

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

// Roots returns the root blockers, the backends that block others and do not
// wait themselves, with the number of backends that wait for each, directly or
// not. A backend may be among the waiters more than once, for itself and for its
// parallel workers. A waiter whose blockers are not known is taken to have those
// of another waiter for the same object. A deadlock has no root.
func Roots(waiters []Waiter) map[int32]int {
	waiting := make(map[int32]bool, len(waiters))
	byObject := map[string][]int32{}
	for _, w := range waiters {
		waiting[w.PID] = true
		if len(w.Blockers) > 0 && byObject[w.Object] == nil {
			byObject[w.Object] = w.Blockers
		}
	}
	behind := map[int32][]int32{} // by blocker: the direct waiters
	for _, w := range waiters {
		blockers := w.Blockers
		if len(blockers) == 0 {
			blockers = byObject[w.Object]
		}
		for _, b := range blockers {
			behind[b] = append(behind[b], w.PID)
		}
	}
	roots := map[int32]int{}
	for pid := range behind {
		if !waiting[pid] {
			roots[pid] = countBehind(pid, behind)
		}
	}
	return roots
}

// countBehind returns how many backends wait for root, directly or not.
func countBehind(root int32, behind map[int32][]int32) int {
	seen := map[int32]bool{}
	next := []int32{root}
	for len(next) > 0 {
		pid := next[len(next)-1]
		next = next[:len(next)-1]
		for _, w := range behind[pid] {
			if !seen[w] {
				seen[w] = true
				next = append(next, w)
			}
		}
	}
	return len(seen)
}
