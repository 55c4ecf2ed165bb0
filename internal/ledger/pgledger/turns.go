package pgledger

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"
)

// turns lets one call of this process at a time write about a server. The database
// would do so as well, but there each call that waits would hold a connection, which
// the calls about other servers need, and which is lost if its caller gives up.
type turns struct {
	mu    sync.Mutex // guards taken
	taken map[int64]*queue
}

// queue is who waits for the turn of a server.
type queue struct {
	urgent, others []chan struct{}
}

func newTurns() *turns { return &turns{taken: map[int64]*queue{}} }

// take waits for the turn, which release gives back. Who is urgent goes first.
func (t *turns) take(ctx context.Context, key int64, urgent bool) error {
	t.mu.Lock()
	q := t.taken[key]
	if q == nil {
		t.taken[key] = &queue{}
		t.mu.Unlock()
		return nil
	}
	granted := make(chan struct{})
	if urgent {
		q.urgent = append(q.urgent, granted)
	} else {
		q.others = append(q.others, granted)
	}
	t.mu.Unlock()
	select {
	case <-granted:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !remove(&q.urgent, granted) && !remove(&q.others, granted) { // it was granted at the same moment
		t.next(key)
	}
	return fmt.Errorf("wait for other signals on the same server: %w", context.Cause(ctx))
}

func (t *turns) release(key int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next(key)
}

// next grants the turn to the first who waits. The caller holds the lock.
func (t *turns) next(key int64) {
	q := t.taken[key]
	for _, line := range []*[]chan struct{}{&q.urgent, &q.others} {
		if len(*line) > 0 {
			close((*line)[0])
			*line = (*line)[1:]
			return
		}
	}
	delete(t.taken, key)
}

func remove(line *[]chan struct{}, granted chan struct{}) bool {
	i := slices.Index(*line, granted)
	if i >= 0 {
		*line = slices.Delete(*line, i, i+1)
	}
	return i >= 0
}

// writeAbout writes about a server, when it has the turn and the lock. An urgent one
// goes before others of this process: it ends what has begun.
func (s *Store) writeAbout(ctx context.Context, server string, urgent bool, queue func(*pgx.Batch)) error {
	key := lockOf(server)
	if err := s.turns.take(ctx, key, urgent); err != nil {
		return notSent{err}
	}
	defer s.turns.release(key)
	b := underLock(server)
	queue(b)
	return s.write(ctx, b)
}
