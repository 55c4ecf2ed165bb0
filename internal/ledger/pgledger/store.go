package pgledger

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// Options are what a Store is opened with.
type Options struct {
	Config ledger.Config
	// Replica names this host in the lines.
	Replica string
	// Patience is how long after its intent a signal's outcome may come: its owner
	// counts as gone then. It is asked at each Begin, because a reload may change it.
	Patience func() time.Duration
	Logger   log.Logger
	Metrics  *ledger.Metrics

	// pingAfter is how long a connection must have been idle to be asked whether it
	// is alive; 0: pingAfter.
	pingAfter time.Duration
}

// Store is the shared ledger. It is safe for concurrent use.
type Store struct {
	options Options
	owner   string // this process
	pool    *pgxpool.Pool

	// working ends with Close: the goroutines then come to their end.
	working context.Context
	stop    context.CancelFunc
	// connected ends last, and every connection with it.
	connected  context.Context
	disconnect context.CancelFunc
	goroutines sync.WaitGroup
	closing    sync.Once
	closed     error // of closing

	health      health
	turns       *turns
	waiters     *waiters
	again       *again
	mirror      *mirror
	withdrawn   withdrawals
	expiryFails atomic.Bool
}

// openTimeout is how long Open waits for a database that does not answer.
const openTimeout = 5 * time.Second

// Open connects and checks the schema's version. A database that cannot be reached
// is no error: every call fails until it can be, and then the version is checked.
func Open(ctx context.Context, o Options) (*Store, error) {
	config, err := poolConfig(o.Config.Postgres)
	if err != nil {
		return nil, fmt.Errorf("remediation.ledger.postgres.dsn: %w", err)
	}
	s := &Store{options: o, owner: o.Replica + "/" + rand.Text()}
	s.working, s.stop = context.WithCancel(context.Background())
	s.connected, s.disconnect = context.WithCancel(context.Background())
	s.turns, s.waiters, s.again = newTurns(), newWaiters(s.working.Done()), newAgain()
	config.ConnConfig.DialFunc = untilClosed(s.connected)
	idle := cmp.Or(o.pingAfter, pingAfter)
	config.ShouldPing = func(_ context.Context, p pgxpool.ShouldPingParams) bool { return p.IdleDuration > idle }
	if s.pool, err = pgxpool.NewWithConfig(s.working, config); err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	s.mirror = newMirror(s.read)
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	switch err := s.use(ctx, ping); {
	case errors.Is(err, ErrSchema):
		return nil, errors.Join(fmt.Errorf("open the ledger: %w", err), s.Close())
	case err != nil:
		_ = level.Error(o.Logger).Log("msg", "The ledger's database cannot be used; nothing is signalled until it can be", "err", err)
	default:
		s.mirror.refresh(ctx, openTimeout)
	}
	s.goroutines.Go(s.poll)
	s.goroutines.Go(s.writeAgain)
	s.goroutines.Go(s.keepHouse)
	s.goroutines.Go(s.probe)
	s.goroutines.Go(func() { s.mirror.run(s.working) })
	s.goroutines.Go(func() { s.cleanUp(s.working) })
	return s, nil
}

// line is an entry in the form in which it is written.
func (s *Store) line(e ledger.Entry, event ledger.Event) ledger.Entry {
	e.Replica = s.options.Replica
	return e.Normalized(event)
}

// disconnectAfter is how long Close waits for connections to end properly.
const disconnectAfter = time.Second

// Up reports whether the database could be used the last time.
func (s *Store) Up() bool { return s.options.Metrics.IsUp() }

// Close writes once more what could not be written, and closes all connections. It
// waits some seconds at most, and its error says what is lost.
func (s *Store) Close() error {
	s.closing.Do(func() { s.closed = s.close() })
	return s.closed
}

func (s *Store) close() error {
	s.stop()
	s.goroutines.Wait()
	lost := s.writeLast()
	timer := time.AfterFunc(disconnectAfter, s.disconnect)
	s.pool.Close()
	timer.Stop()
	s.disconnect()
	if lost != nil {
		return fmt.Errorf("close the ledger: %w", lost)
	}
	return nil
}
