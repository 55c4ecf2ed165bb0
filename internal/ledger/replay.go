package ledger

import (
	"cmp"
	"slices"
	"time"
)

// interruptedDetail is the detail of an outcome that a crash prevented.
const interruptedDetail = "pgbailiff stopped before it learned what became of the signal, which counts as sent"

// replay applies a record that was read back. Open calls it before the ledger
// is shared, so it takes no lock.
func (l *Ledger) replay(r record) {
	e := r.clipped()
	if e.Event == eventCheckpoint {
		switch {
		case l.questions.restore(r.savedQuestion):
		case e.Server == "":
			clear(l.budgets)
			l.questions = newQuestions()
		default:
			l.budgets[e.Server] = r.budget()
		}
		return
	}
	b := l.budgets[e.Server]
	if b == nil && (e.Event == EventIntent || e.Event == EventSuspended) {
		b = newBudget()
		l.budgets[e.Server] = b
	}
	if b != nil {
		b.replay(e)
	}
	l.questions.replay(e)
	l.recent.add(e)
}

// replay applies an entry that was read back. Its cost does not depend on how
// many there are.
func (b *budget) replay(e Entry) {
	switch e.Event {
	case EventIntent:
		s := b.restoreIntent(e)
		// Versions before Decision could leave an intent without an outcome, so
		// only newer intents are expected to have one.
		if e.Decision != "" {
			s.intent = &e
		}
	case EventOutcome:
		switch s := b.signals[e.ID]; {
		case s == nil:
		case e.Signalled && !s.manual:
			s.intent = nil
		default:
			b.release(e.ID)
		}
	case EventSuspended:
		b.suspended = true
	case EventResumed:
		b.resume(e.Time)
	case EventAsked, EventApproved, EventDenied, EventExpired, EventReloaded:
	}
}

// interrupted returns the outcomes of the intents that have none, ordered by
// ID. After a start, these are the ones that a crash prevented.
func (b *budget) interrupted(now time.Time) []Entry {
	var all []Entry
	for _, s := range b.signals {
		if s.intent == nil {
			continue
		}
		e := *s.intent
		e.Event, e.Time, e.Outcome, e.Signalled, e.Detail = EventOutcome, now, Failed, true, interruptedDetail
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b Entry) int { return cmp.Compare(a.ID, b.ID) })
	return all
}
