package app

import (
	"context"
	"time"
)

const (
	// expiryInterval is how late the end of an order that waits may be recorded.
	// It is never carried out late.
	expiryInterval = time.Second
	// expiryTimeout is how long that may take on a disk that hangs.
	expiryTimeout = 5 * time.Second
)

// startExpiring lets the orders expire that have waited for a person too long, and
// keeps the metrics of a ledger up to date that other replicas write too. The function that it returns ends that, and waits for the end.
func (a *app) startExpiring() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(expiryInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-ticker.C:
				a.expire(ctx, now)
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// expire does it once. What could not be written, the ledger has logged, and
// writes with its next line.
func (a *app) expire(ctx context.Context, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, expiryTimeout)
	defer cancel()
	_ = a.shared.ExpireApprovals(ctx, now)
}
