package ledger

import (
	"errors"
	"time"
)

// usage is what counts against the limits of one server at one instant. A
// signal counts from its reservation on, until it is known that it was not
// sent.
type usage struct {
	actions    int // within Window
	suspending int // within SuspendWindow and since the last resumption
	sent       int // those of suspending that were sent, or may have been
}

// allow reports whether one more signal may be sent.
func (l Limits) allow(u usage) bool {
	return u.actions < l.Actions && u.suspending < l.SuspendAfter
}

// demandSuspension reports whether so many signals were sent that the server must
// be suspended.
func (l Limits) demandSuspension(u usage) bool {
	return u.sent > 0 && u.sent >= l.SuspendAfter
}

// Allowance is the answer to the question whether a signal may be sent. The
// zero Allowance says no.
type Allowance int

// The answers. OverBudget says that as many signals as the limits allow were
// sent lately or are being sent now. Suspended lasts until an operator resumes.
// Taken says that another request has sent this very signal; only a ledger that
// several replicas share gives it.
const (
	OverBudget Allowance = iota
	Suspended
	Allowed
	Taken
)

// ErrUnderWay is what Begin returns when, at the end of its context, a signal of
// another request for the same backend is still under way. Nothing was written. A
// repeat can help: it gets what became of that signal.
var ErrUnderWay = errors.New("another request's signal is under way")

// Begun is the answer to Begin and Repin. The zero Begun permits nothing.
type Begun struct {
	Allowance Allowance
	// ID is, with Allowed, that of the durable intent, which Finish ends: the one
	// that was asked for or, where its owner is gone, the one that was taken over.
	ID string
	// Became is, with Taken, the outcome of the other request's signal.
	Became Entry
}

// budget holds the signals that count against one server's limits. The caller
// locks it and passes the time.
type budget struct {
	signals   map[string]*signal // by the ID of the intent
	since     time.Time          // of the last resumption; earlier signals do not count towards a suspension
	suspended bool
}

// signal is one reservation and what is known of its outcome.
type signal struct {
	at     time.Time // of the intent
	limits Limits    // that allowed it

	manual   bool // ordered by hand; it never counts
	spent    bool // counts against the budget; false once it is known that nothing was sent
	sent     bool // counts towards a suspension too: it was sent, or may have been
	finished bool // the outcome is known, durable or not
	// intent is the durable intent whose outcome is not durable yet. It is nil
	// until the intent is written, and again once the outcome is.
	intent *Entry
}

func newBudget() *budget { return &budget{signals: map[string]*signal{}} }

// reserve takes one signal out of the budget, if the limits allow it. The last
// result is true when this call begins a suspension. That happens only when the
// limits were tightened or signals were read back from the file, because finish
// begins all others.
func (b *budget) reserve(id string, now time.Time, l Limits) (*signal, Allowance, bool) {
	u := b.usage(now, l)
	suspends := b.suspend(u, l)
	switch {
	case b.suspended:
		return nil, Suspended, suspends
	case !l.allow(u):
		return nil, OverBudget, false
	}
	s := &signal{at: now, limits: l, spent: true}
	b.signals[id] = s
	return s, Allowed, false
}

// begin reserves the signal of an intent.
func (b *budget) begin(intent Entry, l Limits) (*signal, Allowance, bool) {
	if intent.Source == SourceManual {
		return b.order(intent.ID, intent.Time), Allowed, false
	}
	return b.reserve(intent.ID, intent.Time, l)
}

// order adds a signal that a person ordered by hand, whatever the limits say.
func (b *budget) order(id string, now time.Time) *signal {
	s := &signal{at: now, manual: true}
	b.signals[id] = s
	return s
}

// finish records whether the signal was sent, and reports whether that begins a
// suspension.
func (b *budget) finish(s *signal, sent bool) (suspends bool) {
	sent = sent && !s.manual
	s.finished, s.spent, s.sent = true, sent, sent
	return sent && b.suspend(b.usage(s.at, s.limits), s.limits)
}

// usage counts the signals, and removes those that are too old to count and
// have both lines in the file.
func (b *budget) usage(now time.Time, l Limits) (u usage) {
	actions, suspending := now.Add(-time.Duration(l.Window)), b.sinceResumption(now.Add(-time.Duration(l.SuspendWindow)))
	old := now.Add(-time.Duration(max(l.Window, l.SuspendWindow)))
	for id, s := range b.signals {
		switch {
		case s.at.Before(old) && s.finished && s.intent == nil:
			delete(b.signals, id)
			continue
		case s.spent && s.at.After(actions):
			u.actions++
		}
		if s.at.After(suspending) {
			if s.spent {
				u.suspending++
			}
			if s.sent {
				u.sent++
			}
		}
	}
	return u
}

// suspend begins a suspension if the usage demands it, and reports whether it
// did.
func (b *budget) suspend(u usage, l Limits) bool {
	if b.suspended || !l.demandSuspension(u) {
		return false
	}
	b.suspended = true
	return true
}

// release removes a signal that was not sent and has either no line in the
// file or both.
func (b *budget) release(id string) { delete(b.signals, id) }

func (b *budget) resume(now time.Time) {
	b.suspended, b.since = false, now
}

// spentAfter is how many signals were spent after an instant.
func (b *budget) spentAfter(t time.Time) int {
	n := 0
	for _, s := range b.signals {
		if s.spent && s.at.After(t) {
			n++
		}
	}
	return n
}

// sinceResumption is the later one of an instant and the last resumption.
func (b *budget) sinceResumption(t time.Time) time.Time {
	if t.Before(b.since) {
		return b.since
	}
	return t
}
