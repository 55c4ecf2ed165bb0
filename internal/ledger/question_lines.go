package ledger

import (
	"fmt"
	"maps"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/policy"
)

// The details of the lines that the ledger writes by itself.
const (
	// UnactedDetail is that of the outcome of an approval that a crash cut off.
	UnactedDetail = "pgbailiff stopped before it acted on the approval; nothing was signalled"
	// tooSlowDetail is that of one whose caller had stopped waiting.
	tooSlowDetail = "the ledger was too slow to record the approval; nothing was signalled"
	// NotAskedDetail is that of a question whose caller had stopped waiting.
	NotAskedDetail = "the ledger was too slow; nobody was asked"
)

// AsQuestion is the asked line in the form in which it is written and remembered.
func (e Entry) AsQuestion() (Entry, error) {
	size := 0
	for name, value := range e.Labels {
		size += len(name) + len(value)
	}
	e = e.Normalized(EventAsked)
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

// line is a line about the question, after the asked one.
func (q *question) line(event Event, reason policy.Reason, now time.Time) Entry {
	e := q.asked
	e.Time, e.Event, e.Reason = now.UTC(), event, reason
	e.Outcome, e.Question = "", Question{}
	return e
}

// failed is the outcome of an approved question that nobody acted on.
func (q *question) failed(detail string, now time.Time) Entry {
	e := *q.approved
	e.Time, e.Event, e.ID = now.UTC(), EventOutcome, ""
	e.Outcome, e.Detail = Failed, detail
	return e
}
