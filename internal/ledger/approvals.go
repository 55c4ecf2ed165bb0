package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/policy"
)

// Errors of Answer. Nothing was written then but, perhaps, that the question has
// expired.
var (
	// ErrNoApproval: there is no question with this ID.
	ErrNoApproval = errors.New("nothing with this id waits, or has waited lately, for an approval")
	// ErrAnswered: the question was answered already, or has expired.
	ErrAnswered = errors.New("this was answered already, or has expired")
)

// Standing is what the ledger knows about a question when it is asked. The zero
// Standing is none of these.
type Standing int

// The standings.
const (
	// Waiting: the question waits for a person, as of now or since an earlier Ask,
	// or was approved a moment ago and is about to be carried out.
	Waiting Standing = iota + 1
	// Denied: a person has denied a question about the same target.
	Denied
	// TooMany: so many questions wait that no other is asked.
	TooMany
)

const (
	// unacted is the detail of the outcome of an approval that a crash cut off.
	unactedDetail = "pgbailiff stopped before it acted on the approval; nothing was signalled"
	// tooSlowDetail is that of one whose caller had stopped waiting.
	tooSlowDetail = "the ledger was too slow to record the approval; nothing was signalled"
	// notAskedDetail is the detail of a question whose caller had stopped waiting.
	notAskedDetail = "the ledger was too slow; nobody was asked"
)

// Ask makes durable that an order waits for a person until asked.Until, unless
// one with the same server, target and action waits already, or a person has
// denied one with the same server and target. asked.Target holds what the order
// names and nothing else. The entry returned is the asked line or, of a denial,
// the denied line without the query. After an error nothing waits that did not
// wait before. The context bounds the waiting.
func (l *Ledger) Ask(ctx context.Context, asked Entry) (Standing, Entry, error) {
	asked, err := asked.question()
	if err != nil {
		return 0, Entry{}, err
	}
	for {
		l.mu.Lock()
		denied, isDenied := l.questions.denied.get(identityOf(asked))
		q := l.questions.open[orderOf(asked)]
		switch {
		case isDenied:
			l.mu.Unlock()
			return Denied, denied, nil
		case q != nil && q.busy != nil:
			busy := q.busy
			l.mu.Unlock()
			if err := wait(ctx, busy); err != nil {
				return 0, Entry{}, err
			}
			continue
		case q != nil && !q.overdue(asked.Time):
			l.mu.Unlock()
			return Waiting, q.asked, nil
		case l.questions.known(asked.ID):
			l.mu.Unlock()
			return 0, Entry{}, fmt.Errorf("write the ledger: a question needs its own ID, not %q", asked.ID)
		}
		expired := l.expire(l.questions.due(asked.Time), asked.Time)
		if l.questions.waiting() >= maxWaiting {
			l.mu.Unlock()
			_ = expired.write(ctx, l)
			return TooMany, Entry{}, nil
		}
		q = l.questions.add(asked)
		q.busy = make(chan struct{})
		l.mu.Unlock()
		_ = expired.write(ctx, l)
		if err := l.write(ctx, l.askedRequest(q), asked); err != nil {
			return 0, Entry{}, err
		}
		return Waiting, asked, nil
	}
}

// askedRequest writes the asked line. If its caller has stopped waiting, the
// question expires at once.
func (l *Ledger) askedRequest(q *question) *request {
	return &request{text: encode(q.asked), done: func(err error, waiting bool) *request {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.idle(q)
		if err != nil {
			l.questions.withdraw(q)
			return nil
		}
		q.written = true
		l.recent.add(q.asked)
		if waiting {
			return nil
		}
		e := q.line(EventExpired, policy.ReasonApproval, q.asked.Time)
		e.Detail = notAskedDetail
		return l.endRequest([]*question{q}, []Entry{e})
	}}
}

// Answer makes a person's answer durable: EventApproved or EventDenied. Of all
// callers with one ID exactly one succeeds, in the life of the file. The entry
// returned is the asked line. After an error other than ErrNoApproval and
// ErrAnswered the question still waits, unless the line becomes durable after
// the context has ended: then the answer counts, and an approval has the outcome
// failed.
func (l *Ledger) Answer(ctx context.Context, id string, answer Event, by, comment string, now time.Time) (Entry, error) {
	reason := policy.ReasonApproval
	switch answer {
	case EventApproved:
	case EventDenied:
		reason = policy.ReasonDenied
	default:
		return Entry{}, fmt.Errorf("write the ledger: %q is no answer", answer)
	}
	for {
		l.mu.Lock()
		q := l.questions.all[id]
		switch {
		case q == nil && !l.questions.answered.has(id):
			l.mu.Unlock()
			return Entry{}, ErrNoApproval
		case q != nil && q.busy != nil:
			busy := q.busy
			l.mu.Unlock()
			if err := wait(ctx, busy); err != nil {
				return Entry{}, err
			}
			continue
		case q == nil || !q.waits():
			l.mu.Unlock()
			return Entry{}, ErrAnswered
		case q.overdue(now):
			expired := l.expire([]*question{q}, now)
			l.mu.Unlock()
			_ = expired.write(ctx, l)
			return Entry{}, ErrAnswered
		}
		e := q.line(answer, reason, now)
		e.By, e.Comment = by, comment
		e = e.clipped()
		q.busy = make(chan struct{})
		l.mu.Unlock()
		if err := l.write(ctx, l.answerRequest(q, e), e); err != nil {
			return Entry{}, err
		}
		return q.asked, nil
	}
}

// answerRequest writes the answer. If its caller has stopped waiting, it carries
// out nothing, so an approval is followed by its outcome.
func (l *Ledger) answerRequest(q *question, answer Entry) *request {
	return &request{text: encode(answer), done: func(err error, waiting bool) *request {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.idle(q)
		if err != nil {
			return nil
		}
		l.recent.add(answer)
		if answer.Event == EventDenied {
			l.questions.deny(q, answer)
			return nil
		}
		q.approved = &answer
		if waiting {
			return nil
		}
		return l.endRequest([]*question{q}, []Entry{q.failed(tooSlowDetail, answer.Time)})
	}}
}

// Approvals returns the asked lines of what waits at the time, oldest first.
func (l *Ledger) Approvals(now time.Time) []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting := l.questions.sorted(func(q *question) bool { return q.waits() && now.Before(q.asked.Until) })
	all := make([]Entry, len(waiting))
	for i, q := range waiting {
		all[i] = q.asked
	}
	return all
}

// Expire writes the expired lines that are due. After an error they are written
// again with the next line.
func (l *Ledger) Expire(ctx context.Context, now time.Time) error {
	l.mu.Lock()
	expired := l.expire(l.questions.due(now), now)
	l.mu.Unlock()
	return expired.write(ctx, l)
}

// lastLines are lines that end questions, and the request that writes them.
type lastLines struct {
	entries []Entry
	request *request
}

// write returns when the lines are durable. It counts and logs an error.
func (ll lastLines) write(ctx context.Context, l *Ledger) error {
	if len(ll.entries) == 0 {
		return nil
	}
	return l.write(ctx, ll.request, ll.entries[0])
}

// expire ends questions whose time is over. The caller holds the lock, and then
// writes the lines.
func (l *Ledger) expire(due []*question, now time.Time) lastLines {
	ll := lastLines{entries: make([]Entry, len(due))}
	for i, q := range due {
		ll.entries[i] = q.line(EventExpired, policy.ReasonApproval, now)
	}
	ll.request = l.endRequest(due, ll.entries)
	return ll
}

// endRequest ends questions in memory, and writes the lines that end them. The
// caller holds the lock.
func (l *Ledger) endRequest(ended []*question, lines []Entry) *request {
	r := &request{mustWrite: true, done: func(error, bool) *request { // an error: the ledger is closed
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, q := range ended {
			l.questions.remove(q)
		}
		return nil
	}}
	for i, q := range ended {
		l.questions.end(q)
		l.recent.add(lines[i])
		r.text = append(r.text, encode(lines[i])...)
	}
	return r
}

// idle lets those go on who wait for what becomes of a question. The caller
// holds the lock.
func (l *Ledger) idle(q *question) {
	close(q.busy)
	q.busy = nil
}

// wait waits for a line that somebody else is writing.
func wait(ctx context.Context, busy <-chan struct{}) error {
	select {
	case <-busy:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("write the ledger: %w", context.Cause(ctx))
	}
}

// question is the asked line in the form in which it is written and remembered.
func (e Entry) question() (Entry, error) {
	size := 0
	for name, value := range e.Labels {
		size += len(name) + len(value)
	}
	e = e.normalized(EventAsked)
	e.Decision, e.Outcome, e.Signalled = e.ID, Pending, false
	e.Labels, e.StartsAt, e.Until = maps.Clone(e.Labels), e.StartsAt.UTC().Round(0), e.Until.UTC().Round(0)
	switch {
	case size > maxLabels:
		return Entry{}, fmt.Errorf("write the ledger: labels of %d bytes are too long to wait for a person", size)
	case e.ID == "" || e.Time.IsZero() || e.Until.IsZero():
		return Entry{}, fmt.Errorf("write the ledger: a question needs an ID, a time and an end, not %q at %s until %s", e.ID, e.Time, e.Until)
	}
	return e, nil
}
