package ledger

import (
	"slices"
	"time"
)

// Limits bound what is done to one server.
type Limits struct {
	// Actions is how many signals may be sent within Window.
	Actions int           `yaml:"actions"`
	Window  time.Duration `yaml:"window"`
	// SuspendAfter that many signals within SuspendWindow nothing more is sent,
	// until an operator resumes.
	SuspendAfter  int           `yaml:"suspend_after"`
	SuspendWindow time.Duration `yaml:"suspend_window"`
}

// Allowance is the answer to the question whether a signal may be sent. The
// zero Allowance says no.
type Allowance int

// The answers.
const (
	OverBudget Allowance = iota
	Suspended
	Allowed
)

// budget is what was spent on one server lately. It is a value's worth of
// state without a lock or a clock: the ledger has both.
type budget struct {
	spent     []spending // oldest first
	since     time.Time  // what was spent before does not count towards a suspension
	suspended bool
	carried   map[string]bool // IDs in spent that came from a checkpoint
}

type spending struct {
	at time.Time
	id string
}

// take spends one signal, if the limits allow it. The second result is true
// when this brings the suspension.
func (b *budget) take(id string, now time.Time, l Limits) (Allowance, bool) {
	b.forget(now.Add(-max(l.Window, l.SuspendWindow)))
	if b.suspend(now, l) {
		return Suspended, true
	}
	switch {
	case b.suspended:
		return Suspended, false
	case b.count(now.Add(-l.Window)) >= l.Actions:
		return OverBudget, false
	}
	b.spent = append(b.spent, spending{now, id})
	return Allowed, b.suspend(now, l)
}

// suspend reports whether there are too many signals now, for the first time.
func (b *budget) suspend(now time.Time, l Limits) bool {
	from := now.Add(-l.SuspendWindow)
	if from.Before(b.since) {
		from = b.since
	}
	if b.suspended || b.count(from) < l.SuspendAfter {
		return false
	}
	b.suspended = true
	return true
}

// giveBack returns what was taken for a signal that was not sent. It is among
// the last ones.
func (b *budget) giveBack(id string) {
	for i, s := range slices.Backward(b.spent) {
		if s.id == id {
			b.spent = slices.Delete(b.spent, i, i+1)
			return
		}
	}
}

func (b *budget) resume(now time.Time) {
	b.suspended, b.since = false, now
}

// count is how many signals were sent after an instant.
func (b *budget) count(after time.Time) int {
	n := 0
	for _, s := range b.spent {
		if s.at.After(after) {
			n++
		}
	}
	return n
}

func (b *budget) forget(before time.Time) {
	b.spent = slices.DeleteFunc(b.spent, func(s spending) bool { return s.at.Before(before) })
}

// checkpoint is the line that replay turns into this budget.
func (b *budget) checkpoint(server string, now time.Time) Entry {
	e := Entry{Time: now, Event: EventCheckpoint, Server: server, Since: b.since, Suspended: b.suspended}
	for _, s := range b.spent {
		e.Spent, e.SpentIDs = append(e.Spent, s.at), append(e.SpentIDs, s.id)
	}
	return e
}

// replay repeats what a line of the file says.
func (b *budget) replay(e Entry) {
	switch e.Event {
	case EventIntent:
		// What was taken right before a rotation has its intent after it.
		if !b.carried[e.ID] {
			b.spent = append(b.spent, spending{e.Time, e.ID})
		}
	case EventOutcome:
		if e.ID != "" && !e.Signalled {
			b.giveBack(e.ID)
		}
	case EventSuspended:
		b.suspended = true
	case EventResumed:
		b.resume(e.Time)
	case EventCheckpoint:
		b.spent, b.carried = b.spent[:0], map[string]bool{}
		for i, at := range e.Spent {
			s := spending{at: at}
			if i < len(e.SpentIDs) && e.SpentIDs[i] != "" {
				s.id = e.SpentIDs[i]
				b.carried[s.id] = true
			}
			b.spent = append(b.spent, s)
		}
		b.since, b.suspended = e.Since, e.Suspended
	}
}
