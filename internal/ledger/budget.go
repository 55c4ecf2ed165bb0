package ledger

import "time"

// Allowance is the answer to the question whether a signal may be sent. The
// zero Allowance says no.
type Allowance int

// The answers. OverBudget says that as many signals as the limits allow were
// sent lately or are being sent now. Suspended lasts until an operator resumes.
const (
	OverBudget Allowance = iota
	Suspended
	Allowed
)

// budget is what was spent on one server lately. It has no lock and no clock:
// the ledger has both.
type budget struct {
	signals   map[string]*signal // by the ID of the intent
	since     time.Time          // what was spent before does not count towards a suspension
	suspended bool
}

// signal is one intent and what is known of its outcome.
type signal struct {
	at     time.Time
	limits Limits // those that allowed it

	spent bool // counts against the budget; false once it is known that nothing was sent
	sent  bool // it was sent, as far as anybody knows: it counts towards a suspension too
	// intent is the durable line whose outcome is not durable yet. An intent is
	// written once its signal is reserved: until then there is none.
	intent *Entry
	told   bool // the outcome is known, durable or not
}

func newBudget() *budget { return &budget{signals: map[string]*signal{}} }

// reserve spends one signal, if the limits allow it. The last result is true
// when this brings the suspension: the limits were tightened, or a crash left
// signals that nobody could count.
func (b *budget) reserve(id string, now time.Time, l Limits) (*signal, Allowance, bool) {
	n := b.tally(now, l)
	suspends := b.suspend(n, l)
	switch {
	case b.suspended:
		return nil, Suspended, suspends
	case n.actions >= l.Actions, n.suspending >= l.SuspendAfter:
		return nil, OverBudget, false
	}
	s := &signal{at: now, limits: l, spent: true}
	b.signals[id] = s
	return s, Allowed, false
}

// finish takes in what became of a signal and reports whether that brings the
// suspension.
func (b *budget) finish(s *signal, sent bool) (suspends bool) {
	s.told, s.spent, s.sent = true, sent, sent
	return sent && b.suspend(b.tally(s.at, s.limits), s.limits)
}

// tally counts signals.
type tally struct {
	actions    int // spent within the window
	suspending int // spent within the suspend window, since the last resumption
	sent       int // those of them that were sent
}

// tally counts what the limits are about, and drops what is too old to count
// once both its lines are durable.
func (b *budget) tally(now time.Time, l Limits) (n tally) {
	actions, suspending := now.Add(-time.Duration(l.Window)), b.later(now.Add(-time.Duration(l.SuspendWindow)))
	old := now.Add(-time.Duration(max(l.Window, l.SuspendWindow)))
	for id, s := range b.signals {
		switch {
		case s.at.Before(old) && s.told && s.intent == nil:
			delete(b.signals, id)
			continue
		case s.spent && s.at.After(actions):
			n.actions++
		}
		if s.at.After(suspending) {
			if s.spent {
				n.suspending++
			}
			if s.sent {
				n.sent++
			}
		}
	}
	return n
}

// suspend reports whether there are too many signals now, for the first time.
func (b *budget) suspend(n tally, l Limits) bool {
	if b.suspended || n.sent == 0 || n.sent < l.SuspendAfter {
		return false
	}
	b.suspended = true
	return true
}

// drop removes a signal that has no line in the file, or both of them.
func (b *budget) drop(id string) { delete(b.signals, id) }

func (b *budget) resume(now time.Time) {
	b.suspended, b.since = false, now
}

// count is how many signals were spent after an instant.
func (b *budget) count(after time.Time) int {
	n := 0
	for _, s := range b.signals {
		if s.spent && s.at.After(after) {
			n++
		}
	}
	return n
}

// later is an instant, but not before the last resumption.
func (b *budget) later(t time.Time) time.Time {
	if t.Before(b.since) {
		return b.since
	}
	return t
}
