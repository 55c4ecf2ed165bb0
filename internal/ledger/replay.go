package ledger

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"
)

// cutOff is the detail of an outcome that a crash prevented.
const cutOff = "pgbailiff stopped before it learned what became of the signal, which counts as sent"

// replay takes in a line that was read back, before anybody else is there.
func (l *Ledger) replay(e Entry) {
	e = e.clipped()
	b := l.budgets[e.Server]
	switch e.Event {
	case EventIntent, EventSuspended, EventCheckpoint:
		if e.Event == EventCheckpoint && e.Server == "" {
			clear(l.budgets)
			return
		}
		if b == nil {
			b = newBudget()
			l.budgets[e.Server] = b
		}
	case EventOutcome, EventResumed:
	}
	if b != nil {
		b.replay(e)
	}
	if e.Event != EventCheckpoint {
		l.recent.add(e)
	}
}

// replay repeats what a line of the file says. Each line costs the same,
// however many there are.
func (b *budget) replay(e Entry) {
	switch e.Event {
	case EventIntent:
		// A version that knew no decisions wrote an intent before the last
		// rotation's checkpoint, or after it, or without an outcome.
		s := b.recall(e.ID, e.Time)
		if e.Decision != "" {
			intent := e
			s.intent = &intent
		}
	case EventOutcome:
		switch s := b.signals[e.ID]; {
		case s == nil:
		case e.Signalled:
			s.intent = nil
		default:
			b.drop(e.ID)
		}
	case EventSuspended:
		b.suspended = true
	case EventResumed:
		b.resume(e.Time)
	case EventCheckpoint:
		clear(b.signals)
		for i, at := range e.Spent {
			id := ""
			if i < len(e.SpentIDs) {
				id = e.SpentIDs[i]
			}
			b.recall(id, at)
		}
		for _, open := range e.Open {
			open = open.clipped()
			b.recall(open.ID, open.Time).intent = &open
		}
		b.since, b.suspended = e.Since, e.Suspended
	}
}

// recall is a signal that counts as sent until a line says that it was not.
func (b *budget) recall(id string, at time.Time) *signal {
	for n := len(b.signals); id == ""; n++ {
		if _, taken := b.signals[nameless(n)]; !taken {
			id = nameless(n)
		}
	}
	s := &signal{at: at, spent: true, sent: true, told: true}
	b.signals[id] = s
	return s
}

// nameless stands for the ID of a line that has none.
func nameless(n int) string { return "-" + strconv.Itoa(n) }

// checkpoint is the line that replay turns into this budget. It leaves out
// what has no intent in the file yet: that intent will follow.
func (b *budget) checkpoint(server string, now time.Time) Entry {
	e := Entry{Time: now, Event: EventCheckpoint, Server: server, Since: b.since, Suspended: b.suspended}
	ids := slices.SortedFunc(maps.Keys(b.signals), func(one, other string) int {
		return cmp.Or(b.signals[one].at.Compare(b.signals[other].at), cmp.Compare(one, other))
	})
	for _, id := range ids {
		s := b.signals[id]
		if s.intent == nil && !s.told {
			continue
		}
		e.Spent, e.SpentIDs = append(e.Spent, s.at), append(e.SpentIDs, id)
		if s.intent != nil {
			open := *s.intent
			open.Event = "" // it is no second intent
			e.Open = append(e.Open, open)
		}
	}
	return e
}

// unfinished are the outcomes of the intents that a crash cut off.
func (b *budget) unfinished(now time.Time) []Entry {
	var all []Entry
	for _, s := range b.signals {
		if s.intent == nil {
			continue
		}
		e := *s.intent
		e.Event, e.Time, e.Outcome, e.Signalled, e.Detail = EventOutcome, now, Failed, true, cutOff
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b Entry) int { return cmp.Compare(a.ID, b.ID) })
	return all
}
