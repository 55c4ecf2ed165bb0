package pgledger

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync/atomic"
	"time"

	"github.com/go-kit/log/level"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// callTimeout bounds what the caller does not bound.
const callTimeout = 10 * time.Second

// notSent is an error from before anything was sent.
type notSent struct{ error }

func (e notSent) Unwrap() error { return e.error }

// use runs f, which writes nothing, with a connection.
func (s *Store) use(ctx context.Context, f func(context.Context, *pgx.Conn) error) error {
	return s.run(ctx, &s.health.cannotRead, f)
}

// run runs f with a connection, and remembers whether that went well.
func (s *Store) run(ctx context.Context, fails *atomic.Bool, f func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := s.pool.Acquire(ctx)
	if err == nil {
		defer conn.Release()
		err = f(ctx, conn.Conn())
	} else {
		err = notSent{err}
	}
	if err == nil || !errors.Is(context.Cause(ctx), context.Canceled) { // else the caller has gone away
		fails.Store(err != nil)
		s.health.show(s.options.Metrics.Up)
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == readOnly {
		s.pool.Reset() // after a failover the primary is elsewhere
	}
	return err
}

// readOnly is the SQLSTATE read_only_sql_transaction.
const readOnly = "25006"

func ping(ctx context.Context, conn *pgx.Conn) error { return conn.Ping(ctx) }

// send is what sends a batch: one round trip, one transaction.
func send(b *pgx.Batch) func(context.Context, *pgx.Conn) error {
	return func(ctx context.Context, conn *pgx.Conn) error { return conn.SendBatch(ctx, b).Close() }
}

// read sends a batch that writes nothing.
func (s *Store) read(ctx context.Context, b *pgx.Batch) error { return s.use(ctx, send(b)) }

// change sends a batch that mostly finds nothing to change. That it goes well does not
// say that lines can be written.
func (s *Store) change(ctx context.Context, b *pgx.Batch) error {
	return s.run(ctx, &s.health.cannotChange, send(b))
}

// write sends a batch that makes lines durable.
func (s *Store) write(ctx context.Context, b *pgx.Batch) error {
	began := time.Now()
	err := s.run(ctx, &s.health.cannotWrite, send(b))
	if err == nil {
		s.mirror.wrote()
		s.options.Metrics.Writes.Observe(time.Since(began).Seconds())
	}
	return err
}

// underLock is a batch that has the server for itself.
func underLock(server string) *pgx.Batch {
	b := &pgx.Batch{}
	b.Queue(lockSQL, pgx.NamedArgs{"lock": lockOf(server)})
	return b
}

// lockOf is the advisory lock of a server; that of the empty name is for the
// schema. Two servers may share one.
func lockOf(server string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte("pgbailiff ledger " + server))
	return int64(h.Sum64())
}

// perhapsDone reports whether what was sent may have been done in spite of the
// error. Only the server's own word that it was not is certain.
func perhapsDone(err error) bool {
	if err == nil || errors.As(err, new(notSent)) {
		return false
	}
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return !ok || refused.SeverityUnlocalized != "ERROR"
}

// failed counts and logs the error of a write, with the fields of the line, and
// says what was being done.
func (s *Store) failed(err error, e ledger.Entry) error {
	if err == nil {
		return nil
	}
	s.options.Metrics.Errors.Inc()
	_ = level.Error(s.options.Logger).Log("msg", "Ledger write failed", "event", e.Event, "server", e.Server,
		"pid", e.PID, "outcome", e.Outcome, "reason", e.Reason, "err", err)
	return fmt.Errorf("write the ledger: %w", err)
}
