package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// The pause between two looks doubles from the first bound to the second.
const (
	minLookPause = 5 * time.Millisecond
	maxLookPause = 200 * time.Millisecond
)

// finalLookTimeout is how long a watch whose context has ended waits for one more
// look.
const finalLookTimeout = time.Second

// watcher looks at all sessions of one server that were signalled, in one
// statement for all of them, for as long as a caller waits for one.
//
// Only its goroutine touches the pending watches; callers hand theirs over.
type watcher struct {
	look func(context.Context, []int32) (map[int32]session.Observation, error)
	add  chan *watch
}

// watch is one wait for one session. result takes exactly one value and is
// buffered, so that the watcher never blocks on a caller that has left.
type watch struct {
	ctx    context.Context
	id     session.ID
	result chan session.Observation

	mu    sync.Mutex // guards ended, which must not be called after Watch has returned
	ended func(session.Observation) bool
}

// endsWith reports whether the watch ends with what is seen now.
func (w *watch) endsWith(now session.Observation) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended(now)
}

// abandon makes the watch end at the next look, without a call to the caller's
// function.
func (w *watch) abandon() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = func(session.Observation) bool { return true }
}

func newWatcher(look func(context.Context, []int32) (map[int32]session.Observation, error)) *watcher {
	return &watcher{look: look, add: make(chan *watch)}
}

// Watch looks at one session until ended is true of what it sees, or the
// context ends; it returns what it saw last. While the server cannot be asked,
// it goes on trying until then. When the server is closed, it ends at once.
func (s *Server) Watch(ctx context.Context, id session.ID, ended func(session.Observation) bool) (session.Observation, error) {
	w := &watch{ctx: ctx, id: id, ended: ended, result: make(chan session.Observation, 1)}
	s.startOnce(&s.watching, func() { s.watcher.run(s.lifetime) })
	select {
	case s.watcher.add <- w:
	case <-ctx.Done():
		return session.Observation{}, s.failed("watch "+id.String(), context.Cause(ctx))
	case <-s.lifetime.Done():
		return session.Observation{}, s.failed("watch "+id.String(), errClosed)
	}
	seen, ok, err := w.wait()
	switch {
	case ok:
		return seen, nil
	case s.lifetime.Err() != nil:
		err = errClosed
	case err == nil:
		err = session.ErrUnreachable
	}
	return session.Observation{}, s.failed("watch "+id.String(), err)
}

// wait returns the watch's result. The watcher notices at its next look that the
// context has ended. If that look hangs, wait returns without it.
func (w *watch) wait() (seen session.Observation, ok bool, err error) {
	select {
	case seen, ok = <-w.result:
		return seen, ok, nil
	case <-w.ctx.Done():
	}
	timer := time.NewTimer(finalLookTimeout)
	defer timer.Stop()
	select {
	case seen, ok = <-w.result:
		return seen, ok, nil
	case <-timer.C:
		w.abandon()
		return session.Observation{}, false, fmt.Errorf("%w: %w", session.ErrUnreachable, context.Cause(w.ctx))
	}
}

// run serves watches until the context ends; without a watch it does nothing.
// Watches that arrive between two looks share the next one.
func (w *watcher) run(ctx context.Context) {
	var pending []*watch
	for {
		select {
		case <-ctx.Done():
			return
		case first := <-w.add:
			pending = append(pending, first)
		}
		for pause := minLookPause; len(pending) > 0; pause = min(2*pause, maxLookPause) {
			var stopped bool
			if pending, stopped = w.gather(ctx, pending, pause); stopped {
				return
			}
			pending = w.lookOnce(ctx, pending)
		}
	}
}

// gather adds new watches to the pending ones for the length of the pause. A new
// watch shortens a longer pause to minLookPause. When the context ends, gather
// ends every watch without a result.
func (w *watcher) gather(ctx context.Context, pending []*watch, pause time.Duration) (_ []*watch, stopped bool) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			for _, p := range pending {
				close(p.result)
			}
			return nil, true
		case more := <-w.add:
			pending = append(pending, more)
			if pause > minLookPause {
				pause = minLookPause
				timer.Reset(minLookPause)
			}
		case <-timer.C:
			return pending, false
		}
	}
}

// lookOnce looks once and returns the watches that go on.
func (w *watcher) lookOnce(ctx context.Context, pending []*watch) []*watch {
	pids := make([]int32, 0, len(pending))
	for _, p := range pending {
		pids = append(pids, p.id.PID)
	}
	seen, err := w.look(ctx, pids)
	kept := pending[:0]
	for _, p := range pending {
		now := seen[p.id.PID]
		hidden := now.Present && now.BackendStart.IsZero() // our role may not see it, so it may still be there
		if !now.BackendStart.Equal(p.id.BackendStart) {
			now = session.Observation{}
		}
		switch {
		case err == nil && !hidden && p.endsWith(now):
			p.result <- now
		case p.ctx.Err() != nil && (err != nil || hidden):
			close(p.result)
		case p.ctx.Err() != nil:
			p.result <- now
		default:
			kept = append(kept, p)
		}
	}
	return kept
}
