package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-kit/log/level"
)

// ErrNoIntent is returned by Finish when no intent with the outcome's ID waits
// for one. Nothing was written then.
var ErrNoIntent = errors.New("no intent waits for this outcome")

// Begin reserves one signal of the server's budget and makes the intent
// durable, by one clock reading, the intent's. Not Allowed: nothing was written
// and nothing is reserved. An error: nothing is reserved, and nothing may be
// signalled. The context bounds the waiting.
func (l *Ledger) Begin(ctx context.Context, intent Entry, limits Limits) (Allowance, error) {
	intent = intent.ready(EventIntent)
	intent.Outcome, intent.Signalled = "", false
	if intent.Decision == "" {
		intent.Decision = intent.ID
	}
	l.mu.Lock()
	b, known := l.budgets[intent.Server]
	if !known {
		b = newBudget()
	}
	if _, used := b.signals[intent.ID]; used || intent.ID == "" {
		l.mu.Unlock()
		return OverBudget, fmt.Errorf("write the ledger: an intent needs an ID of its own, not %q", intent.ID)
	}
	s, allowance, suspends := b.reserve(intent.ID, intent.Time, limits)
	if allowance == Allowed {
		l.budgets[intent.Server] = b
	}
	l.mu.Unlock()
	if suspends {
		l.suspend(ctx, intent.Server, intent.Time)
	}
	if allowance != Allowed {
		return allowance, nil
	}
	err := l.write(ctx, &request{text: encode(intent), settled: func(err error, waited bool) *request {
		l.mu.Lock()
		defer l.mu.Unlock()
		if err != nil {
			b.drop(intent.ID)
			return nil
		}
		s.intent = &intent
		l.recent.add(intent)
		if waited {
			return nil
		}
		return l.tooSlow(s, intent)
	}}, intent)
	if err != nil {
		l.mu.Lock()
		s.told, s.spent = true, false
		l.mu.Unlock()
		return OverBudget, err
	}
	return Allowed, nil
}

// tooSlow is the outcome of an intent that became durable after its caller had
// stopped waiting. It needs the lock.
func (l *Ledger) tooSlow(s *signal, intent Entry) *request {
	e := intent
	e.Event, e.Outcome, e.Detail = EventOutcome, Failed, "the ledger was too slow; nothing was signalled"
	s.told, s.spent = true, false
	l.recent.add(e)
	return l.outcome(s, e)
}

// Finish writes the one outcome of the intent with the same ID and server.
// Signalled says whether it stays spent, and it may bring the suspension then;
// otherwise it counts for nothing. After an error that is not ErrNoIntent the
// line is written again with the next one.
func (l *Ledger) Finish(ctx context.Context, outcome Entry) error {
	outcome = outcome.ready(EventOutcome)
	l.mu.Lock()
	b, s := l.budgets[outcome.Server], (*signal)(nil)
	if b != nil {
		s = b.signals[outcome.ID]
	}
	if s == nil || s.told || s.intent == nil {
		l.mu.Unlock()
		return fmt.Errorf("write the ledger: %w: %q", ErrNoIntent, outcome.ID)
	}
	if outcome.Decision == "" {
		outcome.Decision = s.intent.Decision
	}
	suspends := b.finish(s, outcome.Signalled)
	l.recent.add(outcome)
	l.mu.Unlock()
	r := l.outcome(s, outcome)
	if suspends {
		r.text = append(r.text, encode(l.suspension(outcome.Server, outcome.Time))...)
	}
	return l.write(ctx, r, outcome)
}

// outcome is the request that ends an intent.
func (l *Ledger) outcome(s *signal, e Entry) *request {
	return &request{text: encode(e), keep: true, settled: func(err error, _ bool) *request {
		if err != nil {
			return nil
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		s.intent = nil
		if b := l.budgets[e.Server]; !s.spent && b != nil {
			b.drop(e.ID)
		}
		return nil
	}}
}

// Append writes a line behind which there is no signal: a refusal, a dry run,
// a session that is gone. After an error the line is lost, but for Recent.
func (l *Ledger) Append(ctx context.Context, e Entry) error {
	e = e.ready(EventOutcome)
	e.ID, e.Signalled = "", false
	l.mu.Lock()
	l.recent.add(e)
	l.mu.Unlock()
	return l.write(ctx, &request{text: encode(e)}, e)
}

// suspend writes down a suspension that began without an outcome.
func (l *Ledger) suspend(ctx context.Context, server string, now time.Time) {
	e := l.suspension(server, now)
	_ = l.write(ctx, &request{text: encode(e), keep: true}, e) // says itself what went wrong
}

// suspension tells of one and is its line.
func (l *Ledger) suspension(server string, now time.Time) Entry {
	level.Error(l.logger).Log("msg", "Too many signals: suspended until an operator resumes",
		"server", server, "resume", "POST /-/resume?server="+server)
	e := Entry{Time: now, Event: EventSuspended, Server: server}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recent.add(e)
	return e
}

// Resume ends a suspension, once that is written down.
func (l *Ledger) Resume(ctx context.Context, server string, now time.Time) error {
	e := Entry{Time: now, Server: server}.ready(EventResumed)
	return l.write(ctx, &request{text: encode(e), settled: func(err error, waited bool) *request {
		if err != nil {
			return nil
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		b := l.budgets[e.Server]
		if !waited { // the operator was told that it failed
			if b == nil || !b.suspended {
				return nil
			}
			again := e
			again.Event = EventSuspended
			return &request{text: encode(again), keep: true}
		}
		if b != nil {
			b.resume(e.Time)
		}
		l.recent.add(e)
		return nil
	}}, e)
}

// write hands a request over and waits until it is durable. Without a file it
// is at once. What fails is counted and logged, under the name of the entry.
func (l *Ledger) write(ctx context.Context, r *request, about Entry) error {
	if l.writer == nil {
		if r.settled != nil {
			r.settled(nil, true)
		}
		return nil
	}
	err := l.writer.ask(ctx, r)
	if err == nil {
		return nil
	}
	l.errors.Add(float64(bytes.Count(r.text, []byte("\n"))))
	level.Error(l.logger).Log("msg", "Writing the ledger failed", "event", about.Event, "server", about.Server,
		"pid", about.PID, "outcome", about.Outcome, "reason", about.Reason, "kept", r.keep, "err", err)
	return fmt.Errorf("write the ledger: %w", err)
}

// ready is the entry as it is written and remembered.
func (e Entry) ready(event Event) Entry {
	e = e.clipped()
	e.Time, e.Event = e.Time.UTC(), event
	return e
}

// encode is the line of an entry. Its fields can all be encoded.
func encode(e Entry) []byte {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false) // people grep for SQL
	if err := encoder.Encode(e); err != nil {
		return nil
	}
	return line.Bytes()
}
