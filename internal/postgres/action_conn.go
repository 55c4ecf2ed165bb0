package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// errClosed is what a caller gets whose server has left the configuration.
var errClosed = fmt.Errorf("%w: it is no longer configured", session.ErrUnreachable)

// actionConn is the one connection that finds, signals and looks. It is opened at
// start and kept, because when max_connections is exhausted an open connection
// is the only way to act.
//
// One goroutine, run, owns the connection and takes one job after the other. A
// caller hands its job over and waits for the result or for its context. The
// context bounds only the waiting: it never reaches the connection, because pgx
// closes a connection whose context ends. A statement has the server's
// statement_timeout and, a second later, a deadline here. After that deadline
//
//   - the callers that wait for the statement get an error, but the connection is
//     kept: it may answer again, and while all slots are taken there is no other;
//   - the next job opens another connection. Only when that has succeeded, the
//     silent one is closed. (pgx then sends a cancel request for it.)
//
// When a connection cannot be opened, all callers that wait get the error at
// once. A later caller makes a new attempt.
type actionConn struct {
	connect       func(context.Context) (*pgx.Conn, whoami, error)
	lifetime      context.Context // ends at Close
	answerTimeout time.Duration   // of one statement

	urgent chan *job // looks at what was signalled
	normal chan *job
	finds  chan *findRequest
	demand demand
	warmth warmth

	open *openConn // only run touches it; nil before the first one
}

func newActionConn(lifetime context.Context, connect func(context.Context) (*pgx.Conn, whoami, error)) *actionConn {
	return &actionConn{
		connect: connect, lifetime: lifetime, answerTimeout: answerTimeout,
		urgent: make(chan *job), normal: make(chan *job), finds: make(chan *findRequest),
		warmth: warmth{backoff: newBackoff()},
	}
}

// run serves jobs until the server is closed. Every job that it takes is finished.
func (a *actionConn) run() {
	for j := a.next(); j != nil; j = a.next() {
		a.serve(j)
	}
	if c := a.open; c != nil {
		if c.running != nil {
			c.endLate(<-c.running.ended) // it ends now: its context has ended
		}
		_ = closeConn(c.conn)
	}
}

// next waits for a job; nil means that the server was closed. An urgent job goes
// first, so that it waits for at most one running statement. Find requests that
// wait together become one job.
func (a *actionConn) next() *job {
	select {
	case j := <-a.urgent:
		return j
	default:
	}
	select {
	case <-a.lifetime.Done():
		return nil
	case j := <-a.urgent:
		return j
	case j := <-a.normal:
		return j
	case request := <-a.finds:
		return a.batchFinds(request)
	case <-a.warmth.due():
		return a.warmUp()
	}
}

// serve runs a job until it is finished. If the connection turns out to be broken,
// or does not answer, the job is tried once more on a new one.
func (a *actionConn) serve(j *job) {
	for lastTry := false; !j.finished; lastTry = true {
		wasOpen := a.usable()
		if err := a.ensureOpen(); err != nil {
			j.finish(err)
			a.failAllWaiting(err)
			return
		}
		if j.finished || !j.start() { // its answer came late, or its caller has left
			return
		}
		ended, err := a.execute(j)
		switch {
		case !ended && (j.atMostOnce || lastTry):
			j.finish(a.orClosed(fmt.Errorf("%w: no answer within %s", session.ErrUnreachable, a.answerTimeout)))
		case !ended:
		case a.usable() || lastTry || !wasOpen || a.lifetime.Err() != nil || j.atMostOnce && !pgconn.SafeToRetry(err):
			j.finish(a.orClosed(err))
		default:
			j.unstart()
		}
	}
}

// usable reports whether there is a connection on which nothing runs.
func (a *actionConn) usable() bool {
	return a.open != nil && a.open.running == nil && !a.open.conn.IsClosed()
}

// execute runs the job's statement. If the deadline comes before its end, the
// statement goes on as the connection's running job.
func (a *actionConn) execute(j *job) (ended bool, err error) {
	c := a.open
	ctx, abort := context.WithCancel(a.lifetime)
	end := make(chan error, 1)
	c.running = &runningJob{job: j, ended: end, abort: abort}
	go func() { end <- classify(j.run(ctx, c)) }()
	timer := time.NewTimer(a.answerTimeout)
	defer timer.Stop()
	select {
	case err := <-end:
		c.clearRunning()
		return true, err
	case <-timer.C:
		return false, nil
	}
}

// ensureOpen returns when there is a usable connection. It opens one if need be,
// and prefers the old one if that answers in the meantime. An error means that
// nothing was sent.
func (a *actionConn) ensureOpen() error {
	if a.usable() {
		return nil
	}
	ctx, stop := context.WithCancel(a.lifetime)
	defer stop()
	attempt := make(chan openResult, 1)
	go func() {
		c, err := a.openNew(ctx)
		attempt <- openResult{c, err}
	}()
	var oldEnded chan error // of the statement that was not answered in time
	if a.open != nil && a.open.running != nil {
		oldEnded = a.open.running.ended
	}
	for {
		select {
		case err := <-oldEnded:
			oldEnded = nil
			a.open.endLate(err)
			if a.usable() {
				stop()
				if other := <-attempt; other.err == nil {
					_ = closeConn(other.conn.conn)
				}
				return nil
			}
		case result := <-attempt:
			if result.err != nil {
				if oldEnded != nil {
					result.err = fmt.Errorf("%w (the connection that is open does not answer)", result.err)
				}
				return notSent{a.orClosed(result.err)}
			}
			a.replace(result.conn)
			a.warmth.note(nil)
			return nil
		}
	}
}

// openResult is how an attempt to open a connection has ended.
type openResult struct {
	conn *openConn
	err  error
}

// replace ends what runs on the old connection and takes the new one instead,
// unless the old one has answered at the last moment.
func (a *actionConn) replace(fresh *openConn) {
	if a.open != nil && a.open.running != nil {
		a.open.running.abort()
		a.open.endLate(<-a.open.running.ended)
	}
	if a.usable() {
		_ = closeConn(fresh.conn)
		return
	}
	a.open = fresh
}

// failAllWaiting finishes all that wait now.
func (a *actionConn) failAllWaiting(err error) {
	for {
		select {
		case j := <-a.urgent:
			j.finish(err)
		case j := <-a.normal:
			j.finish(err)
		case request := <-a.finds:
			request.result <- findResult{err: err}
		default:
			return
		}
	}
}

// orClosed returns the error, or errClosed if that is the reason for it.
func (a *actionConn) orClosed(err error) error {
	if err != nil && a.lifetime.Err() != nil {
		return errClosed
	}
	return err
}
