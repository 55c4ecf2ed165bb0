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
	Behind      []pidLink
}

// pidLink is a pid, and the page of its session.
type pidLink struct{ Label, Link string }

// addBlocking fills in the blockers and the waiters of all servers. The text of
// a blocker that is listed is not shown again.
func (p *Pages) addBlocking(v *indexView, servers []Server, listed []lasting) {
	type waiting struct {
		age float64
		waiterView
	}
	var waiters []waiting
	for i, s := range servers {
		if s.Err != nil {
			continue
		}
		if !s.Snapshot.LocksKnown {
			v.NoBlocking = append(v.NoBlocking, name(s.Name))
		}
		for _, b := range s.Snapshot.Blockers {
			b.Server = s.Name
			bv := p.newBlocker(b)
			if slices.ContainsFunc(listed, func(l lasting) bool { return l.server == i && l.PID == b.PID }) {
				bv.Text = ""
			}
			v.Blockers = append(v.Blockers, bv)
		}
		known, behind := known(s), map[int32][]int32{}
		for _, w := range s.Snapshot.Waiters {
			behind[w.PID] = w.Blockers
		}
		v.MoreWait += max(0, len(s.Snapshot.Waiters)-len(s.Snapshot.LockWaits))
		for _, w := range s.Snapshot.LockWaits {
			w.Server = s.Name
			wv := waiterView{backend: p.newBackend(w.Session), Waits: duration(w.Age), Lock: lock(w.Session)}
			pids := slices.Clone(behind[w.PID])
			slices.Sort(pids)
			for _, pid := range slices.Compact(pids) { // one for each worker of a parallel query
				wv.Behind = append(wv.Behind, pidLink{pidLabel(pid), p.link(known[pid].ID)})
			}
			waiters = append(waiters, waiting{w.Age, wv})
		}
	}
	slices.SortStableFunc(v.Blockers, func(a, b blockerView) int { return cmp.Compare(b.Behind, a.Behind) })
	v.MoreBlock = max(0, len(v.Blockers)-rows)
	v.Blockers = v.Blockers[:min(len(v.Blockers), rows)]
	slices.SortStableFunc(waiters, func(a, b waiting) int { return cmp.Compare(b.age, a.age) })
	for _, w := range waiters[:min(len(waiters), rows)] {
		v.Waiters = append(v.Waiters, w.waiterView)
	}
	v.MoreWait += max(0, len(waiters)-rows)
}

// known are the sessions that a snapshot names, by pid.
func known(s Server) map[int32]session.Session {
	all := map[int32]session.Session{}
	for _, a := range s.Snapshot.Sessions {
		all[a.PID] = a.Session
	}
	for _, w := range s.Snapshot.LockWaits {
		all[w.PID] = w.Session
	}
	for _, b := range s.Snapshot.Blockers {
		all[b.PID] = b.Session
	}
	for pid, found := range all {
		found.Server = s.Name
		all[pid] = found
	}
	return all
}

func (p *Pages) newBlocker(b session.Blocker) blockerView {
	v := blockerView{backend: p.newBackend(b.Session), Behind: b.Behind, State: name(string(b.State))}
	switch {
	case b.PID == session.PreparedTransaction:
		v.Prepared = true
		return v
	case !b.Visible():
		v.State = "hidden from our role"
	case b.BackendType != session.BackendTypeClient:
		v.Type = name(b.BackendType)
	}
	v.Text, v.Last = p.text(b.Session)
	return v
}

func pidLabel(pid int32) string {
	if pid == session.PreparedTransaction {
		return "a prepared transaction"
	}
	return "pid " + strconv.FormatInt(int64(pid), 10)
}

// lock is what a session waits for, if it still does.
func lock(s session.Session) string {
	if s.WaitEventType == session.WaitEventTypeLock {
		return name(s.WaitEvent)
	}
	return ""
}
