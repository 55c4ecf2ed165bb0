package ledger

import (
	"context"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/policy"
)

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
