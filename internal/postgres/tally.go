package postgres

import (
	"cmp"
	"slices"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// tally turns the rows of a snapshot into its counts, and keeps the oldest
// sessions of each family.
type tally struct {
	opts   session.SnapshotOptions
	to     *session.Snapshot
	counts map[group]int // index into to.Counts
	old    []session.Aged
}

// group is what sessions are counted by.
type group struct {
	datname, waitEventType string
	state                  session.State
}

func newTally(opts session.SnapshotOptions, to *session.Snapshot) *tally {
	return &tally{opts: opts, to: to, counts: map[group]int{}}
}

// idle counts sessions of a database that are plainly idle; every database
// that accepts connections comes by at least once.
func (t *tally) idle(s session.Session, n int64) {
	if !slices.Contains(t.to.Databases, s.Datname) {
		t.to.Databases = append(t.to.Databases, s.Datname)
	}
	t.to.Connections += n
	t.count(s).Backends += n
}

// session counts a session at an instant of the server's clock. It may have
// gone on between the row and the clock, so no age is negative.
func (t *tally) session(s session.Session, now time.Time) {
	age := func(is bool, since time.Time) float64 {
		if !is || since.IsZero() {
			return 0
		}
		return max(0, now.Sub(since).Seconds())
	}
	active, idling := s.State == session.StateActive && !s.QueryStart.IsZero(), s.State.InIdleTransaction()
	ages := session.Ages{
		Query:  age(active, s.QueryStart),
		Xact:   age(true, s.XactStart),
		IdleIn: age(idling, s.StateChange),
	}
	c := t.count(s)
	c.Backends++
	c.Max.Query, c.Max.Xact, c.Max.IdleIn = max(c.Max.Query, ages.Query), max(c.Max.Xact, ages.Xact), max(c.Max.IdleIn, ages.IdleIn)
	old := false
	for _, f := range []struct {
		is  bool
		age float64
		n   *int64
	}{
		{active, ages.Query, &c.Old.Queries},
		{!s.XactStart.IsZero(), ages.Xact, &c.Old.Xacts},
		{idling, ages.IdleIn, &c.Old.IdleIn},
	} {
		if f.is && f.age >= t.opts.MinAge {
			*f.n++
			old = true
		}
	}
	t.to.Connections++
	if old {
		t.old = append(t.old, session.Aged{Session: s, Ages: ages})
	}
}

func (t *tally) count(s session.Session) *session.Count {
	key := group{s.Datname, s.WaitEventType, s.State}
	i, known := t.counts[key]
	if !known {
		i = len(t.to.Counts)
		t.counts[key] = i
		t.to.Counts = append(t.to.Counts, session.Count{Datname: s.Datname, State: s.State, WaitEventType: s.WaitEventType})
	}
	return &t.to.Counts[i]
}

// finish keeps the oldest sessions of each family, as many as were asked for.
func (t *tally) finish() {
	keep := map[int32]bool{}
	for _, age := range []func(session.Ages) float64{
		func(a session.Ages) float64 { return a.Query },
		func(a session.Ages) float64 { return a.Xact },
		func(a session.Ages) float64 { return a.IdleIn },
	} {
		slices.SortFunc(t.old, func(a, b session.Aged) int {
			return cmp.Or(cmp.Compare(age(b.Ages), age(a.Ages)), cmp.Compare(a.PID, b.PID))
		})
		for _, s := range t.old[:min(len(t.old), t.opts.MaxSessions)] {
			keep[s.PID] = true
		}
	}
	t.to.Sessions = slices.DeleteFunc(t.old, func(s session.Aged) bool { return !keep[s.PID] })
}
