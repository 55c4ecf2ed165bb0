package ledger

import (
	"iter"
	"time"
)

// savedQuestion is what a checkpoint saves of one question. One of the three is
// set. Its event is empty, so that no reader takes it for a second line about
// the question.
type savedQuestion struct {
	Waiting  *Entry `json:"waiting,omitempty"`  // the asked line
	Approved *Entry `json:"approved,omitempty"` // the approved line, if nothing has come of it yet
	Denied   *Entry `json:"denied,omitempty"`   // the denied line, without the query
}

// save returns the checkpoints of the questions. They leave out a question whose
// asked line is not in the file yet, because that line follows in the new file.
// The same holds for the last line of a question that is over in memory only.
func (qs *questions) save(now time.Time) iter.Seq[record] {
	return func(yield func(record) bool) {
		saved := func(e Entry) (*Entry, record) {
			e.Event = ""
			return &e, record{Entry: Entry{Time: now, Event: eventCheckpoint, Server: e.Server}}
		}
		for denied := range qs.denied.all() {
			e, r := saved(denied)
			if r.Denied = e; !yield(r) {
				return
			}
		}
		for _, q := range qs.sorted(func(q *question) bool { return q.written }) {
			e, r := saved(q.asked)
			r.Waiting = e
			if q.approved != nil {
				e, r = saved(*q.approved)
				r.Approved = e
			}
			if !yield(r) {
				return
			}
		}
	}
}

// restore adds what save has saved, and reports whether it was a question.
func (qs *questions) restore(saved savedQuestion) bool {
	switch {
	case saved.Waiting != nil:
		e := saved.Waiting.clipped()
		e.Event = EventAsked
		qs.replay(e)
	case saved.Approved != nil:
		e := saved.Approved.clipped()
		e.Event = EventApproved
		q := qs.add(e)
		q.written, q.approved = true, &e
	case saved.Denied != nil:
		e := saved.Denied.clipped()
		e.Event = EventDenied
		qs.deny(&question{asked: e}, e)
	default:
		return false
	}
	return true
}
