package postgres

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// The pause after a connection attempt that nobody waits for has failed doubles
// from the first bound to the second.
const (
	minRetryPause = 500 * time.Millisecond
	maxRetryPause = 30 * time.Second
)

// backoff spreads the attempts to connect to a server that is down. A new one lets
// the first attempt begin at once.
type backoff struct {
	least, most time.Duration // the bounds of the pause: the constants, but in tests

	mu    sync.Mutex // guards the rest
	pause time.Duration
	until time.Time
	last  error
}

func newBackoff() *backoff { return &backoff{least: minRetryPause, most: maxRetryPause} }

// failed records a failure and returns the pause after it: between half of the
// bound and all of it, so that servers that failed together do not try again
// together.
func (b *backoff) failed(err error, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pause = min(max(2*b.pause, b.least), b.most)
	pause := b.pause - rand.N(b.pause/2)
	b.until, b.last = now.Add(pause), err
	return pause
}

// reset lets the next attempt begin at once.
func (b *backoff) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pause, b.until, b.last = 0, time.Time{}, nil
}

// wait is the last error while the pause after it lasts, or nil.
func (b *backoff) wait(now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if left := b.until.Sub(now); b.last != nil && left > 0 {
		return fmt.Errorf("%w (the next attempt is in %s at the earliest)", b.last, left.Round(100*time.Millisecond))
	}
	return nil
}
