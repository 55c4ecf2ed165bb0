package ledger

import (
	"context"
	"errors"
	"time"
)

// Errors of Answer. Nothing was written then.
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
	// Waiting: the question waits for a person, as of now or since an earlier Ask.
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
// the denied line. After an error nothing waits that did not wait before.
func (l *Ledger) Ask(ctx context.Context, asked Entry) (Standing, Entry, error) {
	return 0, Entry{}, errors.ErrUnsupported
}

// Answer makes a person's answer durable: EventApproved or EventDenied. Of all
// callers with one ID exactly one succeeds, in the life of the file. The entry
// returned is the asked line. After an error other than ErrNoApproval and
// ErrAnswered the question still waits.
func (l *Ledger) Answer(ctx context.Context, id string, answer Event, by, comment string, now time.Time) (Entry, error) {
	return Entry{}, errors.ErrUnsupported
}

// Approvals returns the asked lines of what waits at the time, oldest first.
func (l *Ledger) Approvals(now time.Time) []Entry { return nil }

// Expire writes the expired lines that are due.
func (l *Ledger) Expire(ctx context.Context, now time.Time) error { return nil }
