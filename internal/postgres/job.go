package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

//go:embed sql/patience.sql
var patienceSQL string

// catalogPatience is how long a statement of the acting connection waits for a
// lock. Only the one that reads names takes any.
const catalogPatience = 200 * time.Millisecond

// job is a statement, or a few, for the acting connection.
type job struct {
	// run speaks to the server. It leaves its result where tell's receiver finds
	// it; what it has left counts only if the job was told of no error.
	run func(context.Context, *link) error
	// tell takes the one end of the job, and must not block.
	tell func(error)
	// once: run must not be tried again, unless the first try certainly never
	// reached the server.
	once bool

	told bool // only acting.run touches it
	turn atomic.Int32
}

// The turns of a job, so that its caller and the owner of the connection agree
// on whether it was sent.
const (
	turnWaiting int32 = iota
	turnBegun
	turnWithdrawn
)

// begin reports whether the job may be sent: its caller still waits for it.
func (j *job) begin() bool {
	return j.turn.CompareAndSwap(turnWaiting, turnBegun) || j.turn.Load() == turnBegun
}

// again takes back that the job was begun, because nothing was sent.
func (j *job) again() { j.turn.Store(turnWaiting) }

// withdraw reports whether the job has not been sent, and will not be.
func (j *job) withdraw() bool { return j.turn.CompareAndSwap(turnWaiting, turnWithdrawn) }

// finish tells the job's end, once.
func (j *job) finish(err error) {
	if !j.told {
		j.told = true
		j.tell(err)
	}
}

// do has the job run and waits for its end, or for the context's. Where that
// comes first, the job may still be under way.
func (a *acting) do(ctx context.Context, line chan<- *job, j *job) error {
	end := make(chan error, 1) // buffered, so that the owner never waits for a caller that has left
	j.tell = func(err error) { end <- err }
	if err := enqueue(ctx, a, line, j); err != nil {
		return err
	}
	err, ok := await(ctx, end)
	if !ok {
		err = waited(ctx)
		if j.withdraw() {
			err = unsent{err}
		}
	}
	return err
}

// enqueue waits until the owner of the connection takes the item.
func enqueue[T any](ctx context.Context, a *acting, line chan<- T, item T) error {
	if ctx.Err() != nil { // select would choose at random
		return unsent{waited(ctx)}
	}
	select {
	case line <- item:
		return nil
	case <-ctx.Done():
		return unsent{waited(ctx)}
	case <-a.life.Done():
		return unsent{errClosed}
	}
}

// await prefers the result to the end of the context.
func await[T any](ctx context.Context, result <-chan T) (_ T, ok bool) {
	select {
	case v := <-result:
		return v, true
	case <-ctx.Done():
	}
	select {
	case v := <-result:
		return v, true
	default:
		var none T
		return none, false
	}
}

func waited(ctx context.Context) error {
	return fmt.Errorf("%w: wait for the acting connection: %w", session.ErrUnreachable, context.Cause(ctx))
}

// open connects, prepares every statement of the acting connection, so that each
// costs one round trip from then on, and reads the names that there are.
func (a *acting) open(ctx context.Context) (*link, error) {
	conn, who, err := a.connect(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	l := &link{conn: conn, self: who, named: withNames()}
	for _, sql := range []string{findSQL, l.named, namesSQL, rolesSQL, signalSQL, lookSQL} {
		if err == nil {
			_, err = conn.Prepare(ctx, sql, sql)
		}
	}
	if err == nil {
		_, err = conn.Exec(ctx, patienceSQL, milliseconds(catalogPatience))
	}
	if err == nil {
		err = l.refresh(ctx)
	}
	if err != nil {
		return nil, connectError(errors.Join(err, closeConn(conn)))
	}
	return l, nil
}

// ping keeps the connection warm, or opens it.
func (a *acting) ping(ctx context.Context) error {
	return a.do(ctx, a.normal, &job{run: func(ctx context.Context, l *link) error { return l.refresh(ctx) }})
}

func closeConn(conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return conn.Close(ctx)
}
