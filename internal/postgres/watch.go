package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// How often the watcher looks: soon after a signal, then more and more seldom.
const (
	firstLook = 5 * time.Millisecond
	lastLook  = 200 * time.Millisecond
	// lastWord is how long a watch whose context has ended waits for the look
	// that tells what was seen last.
	lastWord = time.Second
)

// watcher looks at all sessions of one server that were signalled, in one
// statement for all of them, for as long as somebody waits for one.
//
// Only its goroutine touches the pending watches; others hand theirs over.
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

	mu    sync.Mutex // guards ended, which the caller may not expect after Watch
	ended func(session.Observation) bool
}

// judge reports whether the watch ends with what is seen now.
func (w *watch) judge(now session.Observation) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended(now)
}

// abandon has the watcher ask the caller nothing more.
func (w *watch) abandon() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = func(session.Observation) bool { return true }
}

func newWatcher(look func(context.Context, []int32) (map[int32]session.Observation, error)) *watcher {
	return &watcher{look: look, add: make(chan *watch)}
}

// Watch looks at one session until ended is true of what it sees, or the
// context ends; it returns what it saw last. While the server cannot be asked
// it goes on trying until then. When the server is closed, it ends at once.
func (s *Server) Watch(ctx context.Context, id session.ID, ended func(session.Observation) bool) (session.Observation, error) {
	w := &watch{ctx: ctx, id: id, ended: ended, result: make(chan session.Observation, 1)}
	select {
	case s.watcher.add <- w:
	case <-ctx.Done():
		return session.Observation{}, s.failed("watch "+id.String(), context.Cause(ctx))
	case <-s.life.Done():
		return session.Observation{}, s.failed("watch "+id.String(), errClosed)
	}
	seen, ok, err := w.wait()
	switch {
	case ok:
		return seen, nil
	case s.life.Err() != nil:
		err = errClosed
	case err == nil:
		err = session.ErrUnreachable
	}
	return session.Observation{}, s.failed("watch "+id.String(), err)
}

// wait returns the watch's end. The watcher sees that a context has ended at its
// next look; a look that hangs is not waited for.
func (w *watch) wait() (seen session.Observation, ok bool, err error) {
	select {
	case seen, ok = <-w.result:
		return seen, ok, nil
	case <-w.ctx.Done():
	}
	timer := time.NewTimer(lastWord)
	defer timer.Stop()
	select {
	case seen, ok = <-w.result:
		return seen, ok, nil
	case <-timer.C:
		w.abandon()
		return session.Observation{}, false, fmt.Errorf("%w: %w", session.ErrUnreachable, context.Cause(w.ctx))
	}
}

// run serves watches until the context ends; it does nothing while nobody
// waits. Watches that arrive between two looks share the next one.
func (w *watcher) run(ctx context.Context) {
	var pending []*watch
	for {
		select {
		case <-ctx.Done():
			return
		case first := <-w.add:
			pending = append(pending, first)
		}
		for pause := firstLook; len(pending) > 0; pause = min(2*pause, lastLook) {
			var stopped bool
			if pending, stopped = w.gather(ctx, pending, pause); stopped {
				return
			}
			pending = w.runOnce(ctx, pending)
		}
	}
}

// gather takes in new watches for the length of the pause, which starts anew,
// short, when one arrives. Stopped, it lets go of every watch.
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
			if pause > firstLook {
				pause = firstLook
				timer.Reset(firstLook)
			}
		case <-timer.C:
			return pending, false
		}
	}
}

// runOnce looks once and returns the watches that go on.
func (w *watcher) runOnce(ctx context.Context, pending []*watch) []*watch {
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
		case err == nil && !hidden && p.judge(now):
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
