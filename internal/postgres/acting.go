package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// errClosed: the server left the configuration while somebody still used it.
var errClosed = fmt.Errorf("%w: it is no longer configured", session.ErrUnreachable)

// acting is the one connection that finds, signals and verifies. It is opened
// at start and kept, because when max_connections is exhausted an open
// connection is the only way to act.
//
// The semaphore guards the rest: only the one who has taken its token may
// touch it. It is a channel, so that waiting for it ends with the context.
// Those who are not urgent stand in line before it, one at a time, so that who
// is urgent waits for one statement at most.
type acting struct {
	connect func(context.Context) (*pgx.Conn, self, error)

	line chan struct{}
	sem  chan struct{}
	conn *pgx.Conn
	self self

	closed bool
}

func newActing(connect func(context.Context) (*pgx.Conn, self, error)) *acting {
	return &acting{connect: connect, line: make(chan struct{}, 1), sem: make(chan struct{}, 1)}
}

// job is a statement, or a few, on the acting connection.
type job struct {
	run func(context.Context, *pgx.Conn, self) error
	// once: run must not be tried again on a new connection, unless the first
	// try certainly never reached the server.
	once bool
	// urgent goes before everything that waits.
	urgent bool
	// done, where set, is closed when the job has become needless while it
	// waited.
	done <-chan struct{}
}

// do runs the job on the warm connection, within the statement's deadline. If
// the connection turns out to be broken, it is tried once more on a new one.
func (a *acting) do(ctx context.Context, j job) error {
	if !j.urgent {
		select {
		case a.line <- struct{}{}:
			defer func() { <-a.line }()
		case <-j.done:
			return nil
		case <-ctx.Done():
			return notReached(ctx)
		}
	}
	select {
	case a.sem <- struct{}{}:
		defer func() { <-a.sem }()
	case <-j.done:
		return nil
	case <-ctx.Done():
		return notReached(ctx)
	}
	warm := a.conn != nil && !a.conn.IsClosed()
	err := a.try(ctx, j.run)
	if err == nil || !warm || !a.conn.IsClosed() || ctx.Err() != nil {
		return err
	}
	if j.once && !pgconn.SafeToRetry(err) {
		return err
	}
	return a.try(ctx, j.run)
}

func notReached(ctx context.Context) error {
	return unsent{fmt.Errorf("%w: wait for the acting connection: %w", session.ErrUnreachable, context.Cause(ctx))}
}

func (a *acting) try(ctx context.Context, fn func(context.Context, *pgx.Conn, self) error) error {
	if a.conn == nil || a.conn.IsClosed() {
		if err := a.open(ctx); err != nil {
			return unsent{err}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, statementTimeout+time.Second)
	defer cancel()
	return classify(fn(ctx, a.conn, a.self))
}

// open connects and prepares every statement of the acting connection, so that
// each costs one round trip from then on.
func (a *acting) open(ctx context.Context) error {
	if a.closed {
		return errClosed
	}
	conn, who, err := a.connect(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	for _, sql := range []string{findSQL, signalSQL, lookSQL} {
		if err == nil {
			_, err = conn.Prepare(ctx, sql, sql)
		}
	}
	if err != nil {
		return connectError(errors.Join(err, closeConn(conn)))
	}
	a.conn, a.self = conn, who
	return nil
}

// ping keeps the connection warm, or opens it.
func (a *acting) ping(ctx context.Context) error {
	return a.do(ctx, job{run: func(ctx context.Context, conn *pgx.Conn, _ self) error {
		return conn.Ping(ctx)
	}})
}

// close waits for the statement that is running and closes the connection.
func (a *acting) close() error {
	a.sem <- struct{}{}
	defer func() { <-a.sem }()
	a.closed = true
	if a.conn == nil {
		return nil
	}
	return closeConn(a.conn)
}

func closeConn(conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return conn.Close(ctx)
}
