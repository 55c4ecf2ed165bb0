package page

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// blockerView is a backend that others wait for and that does not wait itself.
type blockerView struct {
	backend
	Behind   int
	Prepared bool   // a prepared transaction, not a backend
	Type     string // of the backend, if it is not a client's
	State    string
	Text     string
	Last     bool
}

// waiterView is a session that waits for a lock.
type waiterView struct {
	backend
	Waits, Lock string
	Behind      []link
}

// link is a pid, and where in the page its session is.
type link struct{ Label, Anchor string }

// addBlocking fills in the blockers and the waiters of all servers.
func (v *view) addBlocking(d Data) {
	anchors := map[string]bool{}
	for _, s := range v.Sessions {
		anchors[s.Anchor] = true
	}
	to := func(server int, pid int32) string {
		if a := anchor(server, pid); anchors[a] {
			return a
		}
		return ""
	}
	type waiting struct {
		age float64
		waiterView
	}
	var waiters []waiting
	for i, s := range d.Servers {
		if s.Err != nil {
			continue
		}
		if !s.Snapshot.LocksKnown {
			v.NoBlocking = append(v.NoBlocking, name(s.Name))
		}
		for _, b := range s.Snapshot.Blockers {
			bv := newBlocker(d, b)
			bv.Server, bv.Link = name(s.Name), to(i, b.PID)
			v.Blockers = append(v.Blockers, bv)
		}
		behind := map[int32][]int32{}
		for _, w := range s.Snapshot.Waiters {
			behind[w.PID] = w.Blockers
		}
		v.MoreWait += max(0, len(s.Snapshot.Waiters)-len(s.Snapshot.LockWaits))
		for _, w := range s.Snapshot.LockWaits {
			wv := waiterView{backend: newBackend(w.Session), Waits: duration(w.Age), Lock: lock(w.Session)}
			wv.Server, wv.Link = name(s.Name), to(i, w.PID)
			pids := slices.Clone(behind[w.PID])
			slices.Sort(pids)
			for _, pid := range slices.Compact(pids) { // one for each worker of a parallel query
				wv.Behind = append(wv.Behind, newLink(pid, to(i, pid)))
			}
			waiters = append(waiters, waiting{w.Age, wv})
		}
	}
	slices.SortStableFunc(v.Blockers, func(a, b blockerView) int { return cmp.Compare(b.Behind, a.Behind) })
	v.Blockers = v.Blockers[:min(len(v.Blockers), rows)]
	slices.SortStableFunc(waiters, func(a, b waiting) int { return cmp.Compare(b.age, a.age) })
	for _, w := range waiters[:min(len(waiters), rows)] {
		v.Waiters = append(v.Waiters, w.waiterView)
	}
	v.MoreWait += max(0, len(waiters)-rows)
}

func newBlocker(d Data, b session.Blocker) blockerView {
	v := blockerView{backend: newBackend(b.Session), Behind: b.Behind, State: name(string(b.State))}
	switch {
	case b.PID == session.PreparedTransaction:
		v.Prepared = true
		return v
	case !b.Visible():
		v.State = "hidden from our role"
	case b.BackendType != session.BackendTypeClient:
		v.Type = name(b.BackendType)
	}
	if d.Text != nil && b.Query != "" {
		v.Text, v.Last = statement(d.Text(b.Query)), b.State != session.StateActive
	}
	return v
}

func newLink(pid int32, to string) link {
	if pid == session.PreparedTransaction {
		return link{"a prepared transaction", "prepared"}
	}
	return link{"pid " + strconv.FormatInt(int64(pid), 10), to}
}

// lock is what a session waits for, if it still does.
func lock(s session.Session) string {
	if s.WaitEventType == session.WaitEventTypeLock {
		return name(s.WaitEvent)
	}
	return ""
}
