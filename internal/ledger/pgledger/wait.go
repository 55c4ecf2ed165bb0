package pgledger

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// pollEvery is how often the ledger is asked what became of the intents that
// requests wait for, with one statement for all of them.
const pollEvery = 100 * time.Millisecond

var errClosed = errors.New("the ledger is closed")

// waiters are the requests that wait for an intent to be out of the way.
type waiters struct {
	closed <-chan struct{}
	some   chan struct{} // buffered: there are waiters

	mu    sync.Mutex // guards by
	byID  map[string]chan struct{}
	count map[string]int
}

func newWaiters(closed <-chan struct{}) *waiters {
	return &waiters{closed: closed, some: make(chan struct{}, 1), byID: map[string]chan struct{}{}, count: map[string]int{}}
}

// wait returns when the intent has an outcome, or its owner is gone.
func (w *waiters) wait(ctx context.Context, id string) error {
	w.mu.Lock()
	out := w.byID[id]
	if out == nil {
		out = make(chan struct{})
		w.byID[id] = out
	}
	w.count[id]++
	w.mu.Unlock()
	select {
	case w.some <- struct{}{}:
	default:
	}
	defer w.leave(id, out)
	select {
	case <-out:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-w.closed:
		return errClosed
	}
}

func (w *waiters) leave(id string, out chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byID[id] != out { // it was woken
		return
	}
	if w.count[id]--; w.count[id] == 0 {
		delete(w.byID, id)
		delete(w.count, id)
	}
}

// wake lets those go on who wait for an intent.
func (w *waiters) wake(ids ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		if out := w.byID[id]; out != nil {
			close(out)
			delete(w.byID, id)
			delete(w.count, id)
		}
	}
}

// ids are those of the intents that somebody waits for.
func (w *waiters) ids() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Keys(w.byID))
}

// poll asks what became of the intents that requests wait for, until Close.
func (s *Store) poll() {
	for {
		select {
		case <-s.working.Done():
			return
		case <-s.waiters.some:
		}
		for ids := s.waiters.ids(); len(ids) > 0; ids = s.waiters.ids() {
			select {
			case <-s.working.Done():
				return
			case <-time.After(pollEvery):
			}
			if ended, err := s.ended(s.working, ids); err == nil {
				s.waiters.wake(ended...)
			}
		}
	}
}

// ended are those of the intents that nobody carries out any more.
func (s *Store) ended(ctx context.Context, ids []string) (ended []string, _ error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	err := s.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, endedSQL, pgx.NamedArgs{"ids": ids})
		if err != nil {
			return err
		}
		ended, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return ended, err
}
