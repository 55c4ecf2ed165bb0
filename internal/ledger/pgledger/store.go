package pgledger

import (
	"context"
	"errors"
	"time"

	"github.com/go-kit/log"

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
}

// Store is the shared ledger. It is safe for concurrent use.
type Store struct{}

var errNotYet = errors.New("pgledger: to be written")

// Open connects and checks the schema's version. A database that cannot be reached
// is no error: every call fails until it can be, and then the version is checked.
func Open(ctx context.Context, o Options) (*Store, error) { return nil, errNotYet }

// Begin is ledger.Ledger's.
func (s *Store) Begin(ctx context.Context, intent ledger.Entry, limits ledger.Limits) (ledger.Begun, error) {
	return ledger.Begun{}, errNotYet
}

// Repin is ledger.Ledger's.
func (s *Store) Repin(ctx context.Context, intent ledger.Entry) (ledger.Begun, error) {
	return ledger.Begun{}, errNotYet
}

// Finish is ledger.Ledger's.
func (s *Store) Finish(ctx context.Context, outcome ledger.Entry) error { return errNotYet }

// Append is ledger.Ledger's.
func (s *Store) Append(ctx context.Context, e ledger.Entry) error { return errNotYet }

// Resume is ledger.Ledger's.
func (s *Store) Resume(ctx context.Context, server, by string, now time.Time) error { return errNotYet }

// Reloaded is ledger.Ledger's.
func (s *Store) Reloaded(ctx context.Context, by string, now time.Time) error { return errNotYet }

// Close is ledger.Ledger's.
func (s *Store) Close() error { return errNotYet }
