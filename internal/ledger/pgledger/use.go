package pgledger

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
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

// use runs f with a connection. It tells in the metric whether that went well.
func (s *Store) use(ctx context.Context, f func(context.Context, *pgx.Conn) error) error {
	err := s.with(ctx, f)
	if err == nil {
		s.options.Metrics.Up.Set(1)
	}
	return err
}

// with is use for what may go well where nothing can be written: the metric tells only
// its failures.
func (s *Store) with(ctx context.Context, f func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := s.pool.Acquire(ctx)
	if err == nil {
		defer conn.Release()
		err = f(ctx, conn.Conn())
	} else {
		err = notSent{err}
	}
	switch {
	case err == nil:
	case errors.Is(context.Cause(ctx), context.Canceled): // the caller has gone away
	default:
		s.options.Metrics.Up.Set(0)
		if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == readOnly {
			s.pool.Reset() // after a failover the primary is elsewhere
		}
	}
	return err
}

// readOnly is the SQLSTATE read_only_sql_transaction.
const readOnly = "25006"

func ping(ctx context.Context, conn *pgx.Conn) error { return conn.Ping(ctx) }

// send sends a batch: one round trip, one transaction.
func send(b *pgx.Batch) func(context.Context, *pgx.Conn) error {
	return func(ctx context.Context, conn *pgx.Conn) error { return conn.SendBatch(ctx, b).Close() }
}

// write sends a batch that makes lines durable.
func (s *Store) write(ctx context.Context, b *pgx.Batch) error {
	began := time.Now()
	err := s.use(ctx, send(b))
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
