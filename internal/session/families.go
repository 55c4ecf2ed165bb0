package session

import (
	"cmp"
	"slices"
	"time"
)

// The families, as indices of Families and of everything that is kept by family.
const (
	FamilyQuery = iota
	FamilyTransaction
	FamilyIdleInTransaction
	FamilyLockWait
	FamilyBlocked
	NumFamilies
)

// Family is one kind of series of single backends. Its value is either the age
// of what a session does, or something that the snapshot has beside the
// activity.
type Family struct {
	// Name is the family's label value in pgbailiff_sessions_over_limit.
	Name string
	// Metric is the name of the series, without the prefix, and Help its
	// description.
	Metric, Help string
	// Period is the label that completes the identity: when the session began
	// what the series is about.
	Period string

	// Includes is set where the value is an age. It reports whether a session in
	// this state belongs to the family; its age is the time since Period, and it
	// is a member from SnapshotOptions.MinAge on.
	Includes func(State) bool
	// MaxMetric is the name of the largest age in each database, and MaxHelp its
	// description. Empty where the value is no age.
	MaxMetric, MaxHelp string

	// Members is set where the value is not an age. It returns the members that
	// the snapshot names, each pid once, and how many there are in all.
	Members func(*Snapshot, SnapshotOptions) (members []Member, total int64)
}

// Families returns the table of all families. A new one is a row here, with its
// constant, and a column of Session or Snapshot if the value is not read yet.
func Families() [NumFamilies]Family {
	return [NumFamilies]Family{
		FamilyQuery: {
			Name:      "query",
			Metric:    "query_duration_seconds",
			Help:      "How long the active statement of a backend has been running.",
			Period:    LabelQueryStart,
			Includes:  func(s State) bool { return s == StateActive },
			MaxMetric: "max_query_duration_seconds",
			MaxHelp:   "How long the longest active statement has been running; 0 when there is none.",
		},
		FamilyTransaction: {
			Name:      "transaction",
			Metric:    "transaction_duration_seconds",
			Help:      "How long a backend's transaction has been open.",
			Period:    LabelXactStart,
			Includes:  func(State) bool { return true },
			MaxMetric: "max_transaction_duration_seconds",
			MaxHelp:   "How long the longest transaction has been open; 0 when there is none.",
		},
		FamilyIdleInTransaction: {
			Name:      "idle_in_transaction",
			Metric:    "idle_in_transaction_duration_seconds",
			Help:      "How long a backend has been idle in an open or aborted transaction.",
			Period:    LabelStateChange,
			Includes:  State.IdleInTransaction,
			MaxMetric: "max_idle_in_transaction_duration_seconds",
			MaxHelp:   "How long the longest idling in a transaction has lasted; 0 when there is none.",
		},
		FamilyLockWait: {
			Name:    "lock_wait",
			Metric:  "lock_wait_duration_seconds",
			Help:    "How long a backend has been waiting for a lock.",
			Period:  LabelQueryStart,
			Members: lockWaits,
		},
		FamilyBlocked: {
			Name:    "blocked",
			Metric:  "blocked_backends",
			Help:    "How many backends wait behind this one, directly or not, while it does not wait itself; pid 0 is the prepared transactions.",
			Period:  LabelXactStart,
			Members: blockers,
		},
	}
}

// PeriodStart is the time of the family's period label.
func (f *Family) PeriodStart(a *Activity) time.Time {
	switch f.Period {
	case LabelQueryStart:
		return a.QueryStart
	case LabelXactStart:
		return a.XactStart
	case LabelStateChange:
		return a.StateChange
	default:
		return time.Time{}
	}
}

// Since is when the age of a session in the family begins. It is zero for a
// session that does not belong to the family, and where the value is no age.
func (f *Family) Since(a *Activity) time.Time {
	if f.Includes == nil || !f.Includes(a.State) {
		return time.Time{}
	}
	return f.PeriodStart(a)
}

// Member is a session with the value of its series in one family.
type Member struct {
	*Session
	Value float64
}

// Top returns the members of a family that have a series under these options,
// the largest value first and each pid once, and how many more have none.
func (s *Snapshot) Top(family int, opts SnapshotOptions) (top []Member, more int64) {
	f := Families()[family]
	var total int64
	if f.Includes != nil {
		top, total = s.aged(family, &f, opts)
	} else {
		top, total = f.Members(s, opts)
	}
	slices.SortFunc(top, func(a, b Member) int {
		return cmp.Or(cmp.Compare(b.Value, a.Value), cmp.Compare(a.PID, b.PID))
	})
	top = top[:min(len(top), opts.MaxSessions)]
	return top, max(0, total-int64(len(top)))
}

// aged returns the sessions that are old enough for a family of ages.
func (s *Snapshot) aged(family int, f *Family, opts SnapshotOptions) (members []Member, total int64) {
	members = make([]Member, 0, len(s.Sessions))
	for i := range s.Sessions {
		a := &s.Sessions[i]
		if age := a.Ages[family]; age >= opts.MinAge && !f.Since(&a.Activity).IsZero() {
			members = append(members, Member{&a.Session, age})
		}
	}
	for i := range s.Counts {
		total += s.Counts[i].Members[family]
	}
	return uniqueByPID(members), total
}

// lockWaits returns the sessions that have waited for a lock for long enough.
// If the waiters are not known, every session with that wait event is counted.
// A waiter that the snapshot could have named and did not, like a replication
// worker, is not counted.
func lockWaits(s *Snapshot, opts SnapshotOptions) (members []Member, total int64) {
	for i := range s.LockWaits {
		if w := &s.LockWaits[i]; w.Age >= opts.MinAge {
			members = append(members, Member{&w.Session, w.Age})
		}
	}
	members = uniqueByPID(members)
	total = int64(len(members))
	for _, w := range s.Waiters[min(len(s.Waiters), opts.MaxSessions):] {
		if w.Age >= opts.MinAge {
			total++
		}
	}
	if s.LocksKnown {
		return members, total
	}
	for i := range s.Counts {
		if s.Counts[i].WaitEventType == WaitEventTypeLock {
			total += s.Counts[i].Backends
		}
	}
	return members, total
}

// blockers returns the root blockers, whatever their age.
func blockers(s *Snapshot, _ SnapshotOptions) (members []Member, total int64) {
	for i := range s.Blockers {
		b := &s.Blockers[i]
		members = append(members, Member{&b.Session, float64(b.Behind)})
	}
	members = uniqueByPID(members)
	return members, int64(len(members))
}

// uniqueByPID keeps the first of two members with one pid: a duplicate series
// would turn the whole scrape into an error.
func uniqueByPID(members []Member) []Member {
	seen := make(map[int32]bool, len(members))
	return slices.DeleteFunc(members, func(m Member) bool {
		twice := seen[m.PID]
		seen[m.PID] = true
		return twice
	})
}
