package collector

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// family is one kind of series of single backends.
type family struct {
	name   string
	desc   *prometheus.Desc
	period func(session.Session) time.Time // the identity's own label
	// of returns the family's members, each once and the most important first,
	// and how many there are in all.
	of func(session.Snapshot) (members []member, total int64)
}

// member is a backend with the value of its series.
type member struct {
	session.Session
	value float64
}

func (c *Collector) families() []family {
	queryStart := func(s session.Session) time.Time { return s.QueryStart }
	xactStart := func(s session.Session) time.Time { return s.XactStart }
	return []family{
		{
			name: "query", desc: c.descs.query, period: queryStart,
			of: c.lasting(
				func(s session.Aged) (bool, float64) {
					return s.State == session.StateActive && !s.QueryStart.IsZero(), s.Ages.Query
				},
				func(o session.Old) int64 { return o.Queries }),
		},
		{
			name: "transaction", desc: c.descs.xact, period: xactStart,
			of: c.lasting(
				func(s session.Aged) (bool, float64) { return !s.XactStart.IsZero(), s.Ages.Xact },
				func(o session.Old) int64 { return o.Xacts }),
		},
		{
			name: "idle_in_transaction", desc: c.descs.idleIn,
			period: func(s session.Session) time.Time { return s.StateChange },
			of: c.lasting(
				func(s session.Aged) (bool, float64) { return s.State.InIdleTransaction(), s.Ages.IdleIn },
				func(o session.Old) int64 { return o.IdleIn }),
		},
		{name: "lock_wait", desc: c.descs.lockWait, period: queryStart, of: c.lockWaits},
		{name: "blocked", desc: c.descs.blocked, period: xactStart, of: blockers},
	}
}

// lasting are the sessions that have been at it for long enough.
func (c *Collector) lasting(is func(session.Aged) (bool, float64), old func(session.Old) int64) func(session.Snapshot) ([]member, int64) {
	return func(snapshot session.Snapshot) (members []member, total int64) {
		for _, s := range snapshot.Sessions {
			if yes, age := is(s); yes && age >= time.Duration(c.cfg.MinDuration).Seconds() {
				members = append(members, member{s.Session, milliseconds(age)})
			}
		}
		members = uniqueByPID(members)
		slices.SortFunc(members, func(a, b member) int {
			return cmp.Or(cmp.Compare(b.value, a.value), cmp.Compare(a.PID, b.PID))
		})
		for _, count := range snapshot.Counts {
			total += old(count.Old)
		}
		return members, total
	}
}

// lockWaits are the sessions that have waited for a lock for long enough. If
// there was no time to find out who they are, all that wait are over the limit.
// Of the first waiters it is known whether they are sessions that still wait;
// one that is not, like a replication worker, is not over the limit either.
func (c *Collector) lockWaits(snapshot session.Snapshot) (members []member, total int64) {
	long := func(age float64) bool { return age >= time.Duration(c.cfg.MinDuration).Seconds() }
	for _, w := range snapshot.LockWaits {
		if long(w.Age) {
			members = append(members, member{w.Session, milliseconds(w.Age)})
		}
	}
	members = uniqueByPID(members)
	total = int64(len(members))
	for _, w := range snapshot.Waiters[min(len(snapshot.Waiters), c.cfg.MaxSessions):] {
		if long(w.Age) {
			total++
		}
	}
	if snapshot.Blocking {
		return members, total
	}
	for _, count := range snapshot.Counts {
		if count.WaitEventType == "Lock" {
			total += count.Backends
		}
	}
	return members, total
}

// blockers are the roots, whatever their age.
func blockers(snapshot session.Snapshot) (members []member, total int64) {
	for _, b := range snapshot.Blockers {
		members = append(members, member{b.Session, float64(b.Behind)})
	}
	members = uniqueByPID(members)
	return members, int64(len(members))
}

// backend is one that has a series, with its identity as labels.
type backend struct {
	session.Session
	pid, backendStart string
}

// sessions emits the series of single backends, and what each of them does.
func (c *Collector) sessions(snapshot session.Snapshot, emit emitter) {
	backends := map[int32]backend{}
	for _, f := range c.families() {
		members, total := f.of(snapshot)
		members = members[:min(len(members), c.cfg.MaxSessions)]
		for _, m := range members {
			is, known := backends[m.PID]
			if !known || !is.BackendStart.Equal(m.BackendStart) {
				is = backend{m.Session, strconv.Itoa(int(m.PID)), session.FormatTime(m.BackendStart)}
			}
			if !known {
				backends[m.PID] = is
			}
			emit.gauge(f.desc, m.value,
				m.Server, is.pid, is.backendStart, session.FormatTime(f.period(m.Session)),
				m.Datname, m.Usename, m.ApplicationName, m.ClientAddr)
		}
		emit.gauge(c.descs.overLimit, float64(max(0, total-int64(len(members)))), snapshot.Server, f.name)
	}
	delete(backends, session.PreparedTransaction)
	for _, s := range backends {
		emit.gauge(c.descs.info, 1,
			s.Server, s.pid, s.backendStart, session.FormatTime(s.QueryStart),
			string(s.State), s.WaitEventType, s.WaitEvent, queryID(s.QueryID), s.LogID(), c.cfg.Text(s.Query))
	}
}

// uniqueByPID keeps the first of two rows with one pid: one duplicate series
// would turn the whole scrape into an error.
func uniqueByPID(members []member) []member {
	seen := make(map[int32]bool, len(members))
	return slices.DeleteFunc(members, func(m member) bool {
		twice := seen[m.PID]
		seen[m.PID] = true
		return twice
	})
}

func queryID(id int64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatInt(id, 10)
}

// milliseconds rounds seconds to the precision that an age deserves.
func milliseconds(seconds float64) float64 { return math.Round(seconds*1000) / 1000 }
