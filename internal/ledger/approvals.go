package ledger

import (
	"context"
	"errors"
	"fmt"
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

// Ask makes durable that an order waits for a person until asked.Until, unless
// one with the same server, target and action waits already, or a person has
// denied one with the same server and target. asked.Target holds what the order
// names and nothing else. The entry returned is the asked line or, of a denial,
// the denied line without the query. After an error nothing waits that did not
// wait before. The context bounds the waiting.
func (l *Ledger) Ask(ctx context.Context, asked Entry) (Standing, Entry, error) {
	asked, err := asked.AsQuestion()
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
		if l.questions.waiting() >= MaxWaiting {
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
		e.Detail = NotAskedDetail
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
