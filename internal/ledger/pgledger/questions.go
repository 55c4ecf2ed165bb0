package pgledger

import (
	"context"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// Ask is ledger.Ledger's.
func (s *Store) Ask(ctx context.Context, asked ledger.Entry) (ledger.Standing, ledger.Entry, error) {
	return 0, ledger.Entry{}, errNotYet
}

// Answer is ledger.Ledger's.
func (s *Store) Answer(ctx context.Context, id string, answer ledger.Event, by, comment string, now time.Time) (ledger.Entry, error) {
	return ledger.Entry{}, errNotYet
}

// Expire is ledger.Ledger's.
func (s *Store) Expire(ctx context.Context, now time.Time) error { return errNotYet }
