package pgledger

import (
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// Approvals is ledger.Ledger's.
func (s *Store) Approvals(now time.Time) []ledger.Entry { return nil }

// Recent is ledger.Ledger's.
func (s *Store) Recent(n int) []ledger.Entry { return nil }

// Suspended is ledger.Ledger's.
func (s *Store) Suspended(server string) bool { return false }

// Spent is ledger.Ledger's.
func (s *Store) Spent(server string, window time.Duration, now time.Time) int { return 0 }
