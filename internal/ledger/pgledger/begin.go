package pgledger

import (
	"context"
	"errors"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

var errNotYet = errors.New("pgledger: to be written")

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

// Resume is ledger.Ledger's.
func (s *Store) Resume(ctx context.Context, server, by string, now time.Time) error { return errNotYet }
