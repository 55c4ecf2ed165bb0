package ledger

import (
	"cmp"
	"slices"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/policy"
)

// The bounds of what is kept about questions.
const (
	// MaxWaiting is how many questions wait at a time.
	MaxWaiting    = 1000
	maxRemembered = 10_000
)

// questions are the orders that a person was asked about. The caller locks them
// and passes the time.
type questions struct {
	// all are the questions that are not over in the file, by ID.
	all map[string]*question
	// open are those of them that are not over in memory either.
	open map[order]*question

	denied   *memory[identity, Entry]  // the denied lines, without the query
	answered *memory[string, struct{}] // the IDs of the questions that are over
}

// question is one of them, from the call of Ask on until the line that ends it is
// durable: denied or expired or, after an approved, the intent or the outcome of
// its decision.
type question struct {
	asked    Entry
	written  bool   // the asked line is durable
	approved *Entry // the approved line, once it is durable
	ended    bool   // the line that ends it is durable or will be
	// busy is closed, and nil again, when the line that is being written now is
	// durable or has failed. What becomes of the question is open until then.
	busy chan struct{}
}

// identity is what the target of a question is known by, in the precision of the
// file.
type identity struct {
	server                                           string
	pid                                              int32
	backendStart, queryStart, xactStart, stateChange int64
}

// order is what only one question at a time is about.
type order struct {
	identity
	action policy.Action
}

func identityOf(e Entry) identity {
	return identity{
		e.Server, e.PID, e.BackendStart.UnixMicro(),
		e.QueryStart.UnixMicro(), e.XactStart.UnixMicro(), e.StateChange.UnixMicro(),
	}
}

func orderOf(e Entry) order { return order{identityOf(e), e.Action} }

func newQuestions() *questions {
	return &questions{
		all: map[string]*question{}, open: map[order]*question{},
		denied: newMemory[identity, Entry](), answered: newMemory[string, struct{}](),
	}
}

// add adds a question whose asked line is written next.
func (qs *questions) add(asked Entry) *question {
	q := &question{asked: asked}
	qs.all[asked.ID], qs.open[orderOf(asked)] = q, q
	return q
}

// known reports whether there is, or was lately, a question with this ID.
func (qs *questions) known(id string) bool {
	return qs.all[id] != nil || qs.answered.has(id)
}

// end ends a question in memory. It stays among all until its end is durable.
func (qs *questions) end(q *question) {
	q.ended = true
	if o := orderOf(q.asked); qs.open[o] == q {
		delete(qs.open, o)
	}
}

// withdraw forgets a question whose asked line could not be written.
func (qs *questions) withdraw(q *question) {
	qs.end(q)
	delete(qs.all, q.asked.ID)
}

// remove forgets a question whose end is durable. Its ID is remembered.
func (qs *questions) remove(q *question) {
	qs.end(q)
	delete(qs.all, q.asked.ID)
	qs.answered.put(q.asked.ID, struct{}{})
}

// deny ends a question by its denied line, which is durable.
func (qs *questions) deny(q *question, denied Entry) {
	qs.remove(q)
	denied.Query = ""
	qs.denied.put(identityOf(denied), denied)
}

// unacted is the question with this ID, if it was approved and nothing has come
// of that yet.
func (qs *questions) unacted(id string) *question {
	if q := qs.all[id]; q != nil && q.approved != nil {
		return q
	}
	return nil
}

// acted ends an approved question, because a line of its decision is durable.
func (qs *questions) acted(decision string) {
	if q := qs.all[decision]; q != nil && q.approved != nil {
		qs.remove(q)
	}
}

// waits reports whether a person may answer the question.
func (q *question) waits() bool { return q.written && q.approved == nil && !q.ended }

// overdue reports whether the question must expire. One that is being answered is
// left alone.
func (q *question) overdue(now time.Time) bool {
	return q.waits() && q.busy == nil && !now.Before(q.asked.Until)
}

// due are the questions that must expire, oldest first.
func (qs *questions) due(now time.Time) []*question {
	return qs.sorted(func(q *question) bool { return q.overdue(now) })
}

// waiting is how many questions wait or are being asked.
func (qs *questions) waiting() (n int) {
	for _, q := range qs.open {
		if q.approved == nil {
			n++
		}
	}
	return n
}

// sorted returns some of the questions, oldest first.
func (qs *questions) sorted(which func(*question) bool) []*question {
	var some []*question
	for _, q := range qs.all {
		if which(q) {
			some = append(some, q)
		}
	}
	slices.SortFunc(some, func(a, b *question) int {
		return cmp.Or(a.asked.Time.Compare(b.asked.Time), cmp.Compare(a.asked.ID, b.asked.ID))
	})
	return some
}

// replay applies an entry that was read back. Its cost does not depend on how
// many there are.
func (qs *questions) replay(e Entry) {
	q := qs.all[e.ID]
	switch e.Event {
	case EventAsked:
		if e.ID != "" && q == nil { // a line that was copied must not hide the question
			qs.add(e).written = true
		}
	case EventApproved:
		if q != nil {
			q.approved = &e
		}
	case EventDenied:
		if q != nil {
			qs.deny(q, e)
		}
	case EventExpired:
		if q != nil {
			qs.remove(q)
		}
	case EventIntent:
		qs.acted(e.Decision)
	case EventOutcome: // that of a signal is of an intent, which may be older than the question
		if e.ID == "" {
			qs.acted(e.Decision)
		}
	case EventSuspended, EventResumed, EventReloaded:
	}
}
