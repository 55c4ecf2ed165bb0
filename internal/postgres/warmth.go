package postgres

import (
	"context"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
)

// warmth keeps the action connection warm: it says when the connection is used, or
// opened, without a caller. The zero warmth never does.
type warmth struct {
	logger  log.Logger
	timer   *time.Timer
	backoff *backoff
	down    bool // as the log has been told; only the owner of the connection touches it
}

// start makes the connection due at once. It comes before the owner's start.
func (w *warmth) start(logger log.Logger) {
	w.logger, w.timer = logger, time.NewTimer(0)
}

func (w *warmth) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
}

// due receives when it is time.
func (w *warmth) due() <-chan time.Time {
	if w.timer == nil {
		return nil
	}
	return w.timer.C
}

// hurry makes the connection due at once: the server has just been reached.
func (w *warmth) hurry() {
	if w.timer != nil {
		w.backoff.reset()
		w.timer.Reset(0)
	}
}

// note sets when the connection is due next. It says in the log when the server
// becomes unreachable or reachable again, once each.
func (w *warmth) note(err error) {
	if w.timer == nil {
		return
	}
	before := w.down
	w.down = err != nil
	if w.down {
		w.timer.Reset(w.backoff.failed("", time.Now()))
	} else {
		w.backoff.reset()
		w.timer.Reset(keepWarmEvery)
	}
	if w.down != before {
		logged := make(chan struct{})
		go func() { // the stack that this needs would stay with the owner's goroutine
			defer close(logged)
			w.log(err)
		}()
		<-logged
	}
}

func (w *warmth) log(err error) {
	if err != nil {
		level.Warn(w.logger).Log("msg", "Server unreachable; nothing can be cancelled or terminated there", "err", err)
	} else {
		level.Info(w.logger).Log("msg", "Server reachable again")
	}
}

// warmUp is the job that warmth asks for.
func (a *actionConn) warmUp() *job {
	return &job{
		run: func(ctx context.Context, c *openConn) error { return c.refreshNames(ctx) },
		done: func(err error) {
			if a.lifetime.Err() == nil {
				a.warmth.note(err)
			}
		},
	}
}
