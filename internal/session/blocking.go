package session

// PreparedTransaction stands, as a blocker's pid, for a prepared transaction:
// it holds its locks without a backend, and nothing can be signalled.
const PreparedTransaction int32 = 0

// Waiter is a backend that waits for a lock, itself or through its parallel
// workers.
type Waiter struct {
	PID int32
	// Age is for how long, in seconds.
	Age float64
	// Object names what it waits for.
	Object string
	// Blockers are the pids that it waits for: those that hold what it wants,
	// and those that wait before it. Empty also where nobody asked.
	Blockers []int32
}

// Roots returns, for each backend that blocks others and does not wait itself,
// how many wait behind it, directly or not. A backend may be among the waiters
// more than once, for itself and for its workers. Waiters whose blockers are not
// known count behind those of another waiter for the same object. A deadlock
// has no root.
func Roots(waiters []Waiter) map[int32]int {
	waits := make(map[int32]bool, len(waiters))
	byObject := map[string][]int32{}
	for _, w := range waiters {
		waits[w.PID] = true
		if len(w.Blockers) > 0 && byObject[w.Object] == nil {
			byObject[w.Object] = w.Blockers
		}
	}
	behind := map[int32][]int32{} // who waits directly for whom
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
		if !waits[pid] {
			roots[pid] = countBehind(pid, behind)
		}
	}
	return roots
}

// countBehind is how many wait for a backend, directly or not.
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
