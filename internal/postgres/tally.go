package postgres

import (
	"cmp"
	"slices"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// tally builds the counts of a snapshot from its rows, and keeps the oldest
// sessions of each family of ages.
type tally struct {
	opts     session.SnapshotOptions
	to       *session.Snapshot
	families [session.NumFamilies]session.Family
	counts   map[group]int // index into to.Counts
	sessions []session.Aged
}

// group is what sessions are counted by.
type group struct {
	datname, waitEventType string
	state                  session.State
}

func newTally(opts session.SnapshotOptions, to *session.Snapshot) *tally {
	return &tally{opts: opts, to: to, families: session.Families(), counts: map[group]int{}}
}

// idle counts n idle sessions of a database. Every database that accepts
// connections comes here at least once, possibly with n = 0.
func (t *tally) idle(s session.Session, n int64) {
	if !slices.Contains(t.to.Databases, s.Datname) {
		t.to.Databases = append(t.to.Databases, s.Datname)
	}
	t.to.Connections += n
	t.count(s).Backends += n
}

// session counts one session. now is the server's clock after the row was read.
// The session may have begun something in between, so ages are cut at 0.
func (t *tally) session(s session.Session, now time.Time) {
	c := t.count(s)
	c.Backends++
	t.to.Connections++
	var ages session.Ages
	reached := false
	for i := range t.families {
		since := t.families[i].Since(&s.Activity)
		if since.IsZero() {
			continue
		}
		ages[i] = max(0, now.Sub(since).Seconds())
		c.Max[i] = max(c.Max[i], ages[i])
		if ages[i] >= t.opts.MinAge {
			c.Members[i]++
			reached = true
		}
	}
	if reached {
		t.sessions = append(t.sessions, session.Aged{Session: s, Ages: ages})
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

// finish keeps the oldest MaxSessions sessions of each family of ages.
func (t *tally) finish() {
	order := make([]int, len(t.sessions))
	for i := range order {
		order[i] = i
	}
	keep := make([]bool, len(t.sessions))
	for f := range t.families {
		if t.families[f].Includes == nil {
			continue
		}
		slices.SortFunc(order, func(i, j int) int {
			a, b := &t.sessions[i], &t.sessions[j]
			return cmp.Or(cmp.Compare(b.Ages[f], a.Ages[f]), cmp.Compare(a.PID, b.PID))
		})
		for _, i := range order[:min(len(order), t.opts.MaxSessions)] {
			keep[i] = true
		}
	}
	kept := t.sessions[:0]
	for i := range t.sessions {
		if keep[i] {
			kept = append(kept, t.sessions[i])
		}
	}
	clear(t.sessions[len(kept):]) // releases their texts
	t.to.Sessions = kept
}
