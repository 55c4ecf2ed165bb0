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
// for an outcome. Nothing was written then.
var ErrNoIntent = errors.New("no intent waits for this outcome")

// Begin reserves one signal of the server's budget and makes the intent
// durable. The intent's Time is the time of both. If the answer is not Allowed,
// nothing was written and nothing is reserved. After an error nothing is
// reserved, and no signal may be sent. The context bounds the waiting.
//
// The intent of an order by hand (SourceManual) takes nothing out of the budget,
// and is always Allowed if it can be written.
func (l *Ledger) Begin(ctx context.Context, intent Entry, limits Limits) (Begun, error) {
	intent = intent.Normalized(EventIntent)
	intent.Outcome, intent.Signalled = "", false
	if intent.Decision == "" {
		intent.Decision = intent.ID
	}
	l.mu.Lock()
	b, known := l.budgets[intent.Server]
	if !known {
		b = newBudget()
	}
	if _, used := b.signals[intent.ID]; used || intent.ID == "" || intent.Time.IsZero() {
		l.mu.Unlock()
		return Begun{}, fmt.Errorf("write the ledger: an intent needs its own ID and a time, not %q at %s", intent.ID, intent.Time)
	}
	s, allowance, suspends := b.begin(intent, limits)
	if allowance == Allowed {
		l.budgets[intent.Server] = b
	}
	l.mu.Unlock()
	if suspends {
		l.suspend(ctx, intent.Server, intent.Time)
	}
	if allowance != Allowed {
		return Begun{Allowance: allowance}, nil
	}
	err := l.write(ctx, &request{text: encode(intent), done: func(err error, waiting bool) *request {
		l.mu.Lock()
		defer l.mu.Unlock()
		if err != nil {
			b.release(intent.ID)
			return nil
		}
		s.intent = &intent
		l.recent.add(intent)
		l.questions.acted(intent.Decision)
		if waiting {
			return nil
		}
		return l.finishAbandoned(s, intent)
	}}, intent)
	if err != nil {
		l.mu.Lock()
		s.finished, s.spent = true, false
		l.mu.Unlock()
		return Begun{}, err
	}
	return Begun{Allowance: Allowed, ID: intent.ID}, nil
}

// Repin says that the signal of an intent goes to another statement of the same
// transaction than the intent tells. One process needs no such claim, so the
// answer is always Allowed.
func (l *Ledger) Repin(_ context.Context, intent Entry) (Begun, error) {
	return Begun{Allowance: Allowed, ID: intent.ID}, nil
}

// finishAbandoned is the outcome of an intent that became durable after its
// caller had stopped waiting, and so sends no signal. The caller holds the lock.
func (l *Ledger) finishAbandoned(s *signal, intent Entry) *request {
	e := intent
	e.Event, e.Outcome, e.Detail = EventOutcome, Failed, "the ledger was too slow; nothing was signalled"
	s.finished, s.spent = true, false
	l.recent.add(e)
	return l.outcomeRequest(s, e)
}

// Finish writes the one outcome of the intent with the same ID and server. If
// Signalled is set, the signal stays spent and may bring a suspension;
// otherwise it no longer counts. A signal counts by the time of its intent.
// After an error other than ErrNoIntent the line is written again with the next
// one.
func (l *Ledger) Finish(ctx context.Context, outcome Entry) error {
	outcome = outcome.Normalized(EventOutcome)
	l.mu.Lock()
	b, s := l.budgets[outcome.Server], (*signal)(nil)
	if b != nil {
		s = b.signals[outcome.ID]
	}
	if s == nil || s.finished || s.intent == nil {
		l.mu.Unlock()
		return fmt.Errorf("write the ledger: %w: %q", ErrNoIntent, outcome.ID)
	}
	if outcome.Decision == "" {
		outcome.Decision = s.intent.Decision
	}
	suspends := b.finish(s, outcome.Signalled)
	l.recent.add(outcome)
	l.mu.Unlock()
	r := l.outcomeRequest(s, outcome)
	if suspends {
		r.text = append(r.text, encode(l.suspension(outcome.Server, outcome.Time))...)
	}
	return l.write(ctx, r, outcome)
}

// outcomeRequest writes the outcome of a signal.
func (l *Ledger) outcomeRequest(s *signal, e Entry) *request {
	return &request{text: encode(e), mustWrite: true, done: func(err error, _ bool) *request {
		if err != nil {
			return nil
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		s.intent = nil
		if b := l.budgets[e.Server]; !s.spent && b != nil {
			b.release(e.ID)
		}
		return nil
	}}
}

// Append writes a decision without a signal: a refusal, a dry run, a session
// that is gone. After an error the line is not in the file, but Recent has it;
// only the outcome of an approval is written again with the next line.
func (l *Ledger) Append(ctx context.Context, e Entry) error {
	e = e.Normalized(EventOutcome)
	e.ID, e.Signalled = "", false
	l.mu.Lock()
	var r *request
	if q := l.questions.unacted(e.Decision); q != nil {
		r = l.endRequest([]*question{q}, []Entry{e})
	} else {
		l.recent.add(e)
		r = &request{text: encode(e)}
	}
	l.mu.Unlock()
	return l.write(ctx, r, e)
}

// suspend writes a suspension that began without an outcome. Write logs its
// errors.
func (l *Ledger) suspend(ctx context.Context, server string, now time.Time) {
	e := l.suspension(server, now)
	_ = l.write(ctx, &request{text: encode(e), mustWrite: true}, e)
}

// suspension logs and remembers a suspension, and returns its entry.
func (l *Ledger) suspension(server string, now time.Time) Entry {
	level.Error(l.logger).Log("msg", "Remediation suspended after too many signals",
		"server", server, "hint", "POST /-/resume?server="+server)
	e := Entry{Time: now, Event: EventSuspended, Server: server}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recent.add(e)
	return e
}

// Resume ends a suspension once the line about it is durable. By is the person
// who did it; empty: somebody with the token.
func (l *Ledger) Resume(ctx context.Context, server, by string, now time.Time) error {
	e := Entry{Time: now, Server: server, Origin: Origin{By: by}}.Normalized(EventResumed)
	return l.write(ctx, &request{text: encode(e), done: func(err error, waiting bool) *request {
		if err != nil {
			return nil
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		b := l.budgets[e.Server]
		if !waiting { // the operator was told that it failed, so the suspension stays
			if b == nil || !b.suspended {
				return nil
			}
			again := e
			again.Event, again.Origin = EventSuspended, Origin{}
			return &request{text: encode(again), mustWrite: true}
		}
		if b != nil {
			b.resume(e.Time)
		}
		l.recent.add(e)
		return nil
	}}, e)
}

// Reloaded writes that a person loaded the configuration anew.
func (l *Ledger) Reloaded(ctx context.Context, by string, now time.Time) error {
	e := Entry{Time: now, Origin: Origin{By: by}}.Normalized(EventReloaded)
	return l.write(ctx, &request{text: encode(e), done: func(err error, _ bool) *request {
		if err == nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.recent.add(e)
		}
		return nil
	}}, e)
}

// write returns when the request is durable. Without a file there is nothing to
// wait for. It counts and logs an error, with the fields of the entry.
func (l *Ledger) write(ctx context.Context, r *request, e Entry) error {
	if l.writer == nil {
		if r.done != nil {
			r.done(nil, true)
		}
		return nil
	}
	began := time.Now()
	err := l.writer.do(ctx, r)
	if err == nil {
		l.metrics.Up.Set(1)
		l.metrics.Writes.Observe(time.Since(began).Seconds())
		return nil
	}
	l.metrics.Up.Set(0)
	l.metrics.Errors.Add(float64(bytes.Count(r.text, []byte("\n"))))
	level.Error(l.logger).Log("msg", "Ledger write failed", "event", e.Event, "server", e.Server,
		"pid", e.PID, "outcome", e.Outcome, "reason", e.Reason, "will_retry", r.mustWrite, "err", err)
	return fmt.Errorf("write the ledger: %w", err)
}

// Normalized is the entry in the form in which it is written and remembered: with
// this event, every text bounded and valid UTF-8, and the time in UTC.
func (e Entry) Normalized(event Event) Entry {
	e = e.clipped()
	e.Time, e.Event = e.Time.UTC(), event
	return e
}

// encode is the line of an Entry or a record. All their fields can be encoded.
func encode[T Entry | record](e T) []byte {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false) // people grep for SQL
	if err := encoder.Encode(e); err != nil {
		return nil
	}
	return line.Bytes()
}
