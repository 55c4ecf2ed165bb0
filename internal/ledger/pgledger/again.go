package pgledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/go-kit/log/level"
	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

const (
	// againFirst is the first pause before what failed is written again; it
	// doubles up to againMost.
	againFirst = 50 * time.Millisecond
	againMost  = 2 * time.Second
	// againTimeout bounds one attempt.
	againTimeout = 5 * time.Second
	// closeTimeout bounds the last attempts.
	closeTimeout = 5 * time.Second
)

// late is something that must be written and could not be.
type late struct {
	entry ledger.Entry
	write func(context.Context) error
	// lost says what is lost if it is never written; empty: nothing.
	lost    string
	closed  <-chan struct{}
	written chan struct{}
}

// wait returns when it is written.
func (l *late) wait(ctx context.Context) error {
	select {
	case <-l.written:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-l.closed:
		return errClosed
	}
}

// again is what must be written again. It holds at most the signals that are under
// way.
type again struct {
	some chan struct{} // buffered: the queue is not empty

	mu    sync.Mutex // guards queue
	queue []*late    // oldest first
}

func newAgain() *again { return &again{some: make(chan struct{}, 1)} }

func (a *again) add(l *late) {
	a.mu.Lock()
	a.queue = append(a.queue, l)
	a.mu.Unlock()
	select {
	case a.some <- struct{}{}:
	default:
	}
}

// first is the oldest; nil: there is none.
func (a *again) first() *late {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) == 0 {
		return nil
	}
	return a.queue[0]
}

// done removes the oldest.
func (a *again) done() {
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.queue[0].written)
	a.queue = a.queue[1:]
}

// rest are those that are not written.
func (a *again) rest() []*late {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.queue
}

// late is the outcome of a signal.
func (s *Store) late(outcome ledger.Entry) *late {
	return &late{
		entry: outcome, lost: "the outcome " + string(outcome.Outcome) + " of " + outcome.ID,
		closed: s.working.Done(), written: make(chan struct{}),
		write: func(ctx context.Context) error {
			ended, already, err := s.finish(ctx, outcome)
			if err == nil && !ended && !already {
				_ = level.Error(s.options.Logger).Log("msg", "The outcome came too late: the intent has another one",
					"server", outcome.Server, "pid", outcome.PID, "outcome", outcome.Outcome, "id", outcome.ID)
			}
			if err == nil {
				s.waiters.wake(outcome.ID)
			}
			return err
		},
	}
}

// abandoned ends an intent that may have become durable after its caller had
// stopped waiting. If it has not, it never will.
func (s *Store) abandoned(intent ledger.Entry) *late {
	return &late{
		entry: intent, closed: s.working.Done(), written: make(chan struct{}),
		write: func(ctx context.Context) error {
			args := pgx.NamedArgs{
				"id": intent.ID, "server": intent.Server, "owner": s.owner,
				"intent": encode(intent), "outcome": s.overlay(false, abandonedDetail),
			}
			return s.writeAbout(ctx, intent.Server, true, func(b *pgx.Batch) {
				b.Queue(neverSQL, args)
				b.Queue(abandonSQL, args)
			})
		},
	}
}

// writeAgain writes what could not be written, until Close.
func (s *Store) writeAgain() {
	for {
		select {
		case <-s.working.Done():
			return
		case <-s.again.some:
		}
		pause := againFirst
		for l := s.again.first(); l != nil; l = s.again.first() {
			select {
			case <-s.working.Done():
				return
			case <-time.After(pause/2 + rand.N(pause+1)):
			}
			ctx, cancel := context.WithTimeout(s.working, againTimeout)
			err := l.write(ctx)
			cancel()
			if err != nil {
				pause = min(max(2*pause, againFirst), againMost)
				continue
			}
			pause = 0 // others wait behind it
			_ = level.Info(s.options.Logger).Log("msg", "Ledger written after all", "event", l.entry.Event,
				"server", l.entry.Server, "pid", l.entry.PID, "outcome", l.entry.Outcome, "id", l.entry.ID)
			s.again.done()
		}
	}
}

// writeLast tries everything until closeTimeout. Its error says what is lost. No goroutine
// writes any more.
func (s *Store) writeLast() error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), closeTimeout,
		fmt.Errorf("the database did not answer within %s", closeTimeout))
	defer cancel()
	var lost []error
	for _, l := range s.again.rest() {
		err := l.write(ctx)
		for err != nil && pauseUntil(ctx, againFirst) { // a connection may have been lost before
			if later := l.write(ctx); later == nil || ctx.Err() == nil {
				err = later
			}
		}
		if cause := context.Cause(ctx); errors.Is(err, context.DeadlineExceeded) && cause != nil {
			err = cause
		}
		if err != nil && l.lost != "" {
			lost = append(lost, fmt.Errorf("%s could not be written: %w", l.lost, err))
		}
	}
	return errors.Join(lost...)
}

// pauseUntil pauses; false: the context has ended.
func pauseUntil(ctx context.Context, pause time.Duration) bool {
	select {
	case <-time.After(pause):
		return true
	case <-ctx.Done():
		return false
	}
}
