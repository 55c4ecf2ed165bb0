package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// errClosed: the server left the configuration while somebody still used it.
var errClosed = fmt.Errorf("%w: it is no longer configured", session.ErrUnreachable)

// acting is the one connection that finds, signals and looks. It is opened at
// start and kept, because when max_connections is exhausted an open connection
// is the only way to act.
//
// One goroutine, run, owns the connection and takes one job after the other. A
// caller hands its job over and waits for the result or for its context, which
// bounds only the waiting: it never reaches the connection, because pgx closes
// a connection whose context ends. A statement has the server's
// statement_timeout and, a second later, a deadline here. After that
//
//   - who waits for the statement is told, but the connection is kept: it may
//     answer again, and while all slots are taken there is no other;
//   - the next job opens another connection, and only when that has succeeded
//     the silent one is closed. (pgx then sends a cancel request for it.)
//
// When a connection cannot be opened, everybody who waits is told at once. Who
// comes later makes a new attempt.
type acting struct {
	connect  func(context.Context) (*pgx.Conn, self, error)
	life     context.Context // ends at Close
	patience time.Duration   // with a statement

	urgent    chan *job // looks at what was signalled
	normal    chan *job
	questions chan *question

	link *link // only run touches it; nil before the first
}

// link is an open connection.
type link struct {
	conn   *pgx.Conn
	self   self
	names  names
	named  string // see withNames
	logins logins

	// While a statement runs: whose it is, where its end is reported, and what
	// ends it, and the connection with it.
	job   *job
	ended chan error
	drop  context.CancelFunc
}

func newActing(life context.Context, connect func(context.Context) (*pgx.Conn, self, error)) *acting {
	return &acting{
		connect: connect, life: life, patience: statementTimeout + time.Second,
		urgent: make(chan *job), normal: make(chan *job), questions: make(chan *question),
	}
}

// run serves jobs until the server is closed. It tells the end of every job that
// it has taken.
func (a *acting) run() {
	for j := a.next(); j != nil; j = a.next() {
		a.serve(j)
	}
	if l := a.link; l != nil {
		if l.job != nil {
			l.settle(<-l.ended) // its context has ended
		}
		_ = closeConn(l.conn)
	}
}

// next waits for a job. An urgent one goes first, so that it waits for one
// statement at most. Questions that wait together become one job.
func (a *acting) next() *job {
	select {
	case j := <-a.urgent:
		return j
	default:
	}
	select {
	case <-a.life.Done():
		return nil
	case j := <-a.urgent:
		return j
	case j := <-a.normal:
		return j
	case q := <-a.questions:
		return a.together(q)
	}
}

// serve sees a job to its end. If the connection turns out to be broken, or does
// not answer, the job is tried once more on a new one.
func (a *acting) serve(j *job) {
	for last := false; !j.told; last = true {
		warm := a.usable()
		if err := a.ready(); err != nil {
			j.finish(err)
			a.turnAway(err)
			return
		}
		if j.told || !j.begin() { // it was answered late, or nobody waits any more
			return
		}
		ended, err := a.execute(j)
		switch {
		case !ended && (j.once || last):
			j.finish(a.unlessClosed(fmt.Errorf("%w: no answer within %s", session.ErrUnreachable, a.patience)))
		case !ended:
		case a.usable() || last || !warm || a.life.Err() != nil || j.once && !pgconn.SafeToRetry(err):
			j.finish(a.unlessClosed(err))
		default:
			j.again()
		}
	}
}

// usable reports whether there is a connection on which nothing runs.
func (a *acting) usable() bool {
	return a.link != nil && a.link.job == nil && !a.link.conn.IsClosed()
}

// execute runs the job's statement. Where the deadline comes before its end, the
// link still has the job.
func (a *acting) execute(j *job) (ended bool, err error) {
	l := a.link
	ctx, drop := context.WithCancel(a.life)
	end := make(chan error, 1)
	l.job, l.ended, l.drop = j, end, drop
	go func() { end <- classify(j.run(ctx, l)) }()
	timer := time.NewTimer(a.patience)
	defer timer.Stop()
	select {
	case err := <-end:
		l.free()
		return true, err
	case <-timer.C:
		return false, nil
	}
}

// free is called when the statement has ended.
func (l *link) free() {
	l.drop()
	l.job, l.ended, l.drop = nil, nil, nil
}

// settle ends a statement that ended late. Its job may have been told already.
func (l *link) settle(err error) {
	if err == nil {
		l.job.finish(nil)
	}
	l.free()
}

// ready returns when there is a usable connection: the one that there is, if
// need be when it has ended the statement that it did not answer in time, or a
// new one. An error means that nothing was sent.
func (a *acting) ready() error {
	if a.usable() {
		return nil
	}
	ctx, stop := context.WithCancel(a.life)
	defer stop()
	opened := make(chan opening, 1)
	go func() {
		l, err := a.open(ctx)
		opened <- opening{l, err}
	}()
	var ended chan error
	if a.link != nil {
		ended = a.link.ended
	}
	for {
		select {
		case err := <-ended:
			ended = nil
			a.link.settle(err)
			if a.usable() {
				stop()
				if o := <-opened; o.err == nil {
					_ = closeConn(o.link.conn)
				}
				return nil
			}
		case o := <-opened:
			if o.err != nil && ended != nil {
				o.err = fmt.Errorf("%w (the connection that is open does not answer)", o.err)
			}
			if o.err != nil {
				return unsent{a.unlessClosed(o.err)}
			}
			if a.link != nil && a.link.job != nil {
				a.link.drop()
				a.link.settle(<-a.link.ended)
			}
			if a.usable() { // it had ended just before
				_ = closeConn(o.link.conn)
				return nil
			}
			a.link = o.link
			return nil
		}
	}
}

// opening is how an attempt to open a connection has ended.
type opening struct {
	link *link
	err  error
}

// turnAway tells everybody who waits now.
func (a *acting) turnAway(err error) {
	for {
		select {
		case j := <-a.urgent:
			j.finish(err)
		case j := <-a.normal:
			j.finish(err)
		case q := <-a.questions:
			q.answer <- answer{err: err}
		default:
			return
		}
	}
}

// unlessClosed is the error, or why there are only errors now.
func (a *acting) unlessClosed(err error) error {
	if err != nil && a.life.Err() != nil {
		return errClosed
	}
	return err
}
