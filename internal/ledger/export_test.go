package ledger

import (
	"context"
	"time"
)

// Take is for the tests of the budget.
func (l *Ledger) Take(ctx context.Context, server, id string, limits Limits, now time.Time) Allowance {
	return l.take(ctx, server, id, limits, now)
}

// GiveBack is for the tests of the budget.
func (l *Ledger) GiveBack(server, id string) { l.giveBack(server, id) }

// Record is for the tests of the file.
func (l *Ledger) Record(ctx context.Context, e Entry) error { return l.record(ctx, e) }
