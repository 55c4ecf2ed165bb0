package postgres

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/session"
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
	last  string // the error's text; the error would keep the whole configuration in memory
}

func newBackoff() *backoff { return &backoff{least: minRetryPause, most: maxRetryPause} }

// failed records a failure, with the error's text, and returns the pause after it: between three quarters
// of the bound and all of it, so that servers that failed together do not try again
// together.
func (b *backoff) failed(text string, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pause = min(max(2*b.pause, b.least), b.most)
	pause := b.pause - rand.N(b.pause/4)
	b.until, b.last = now.Add(pause), text
	return pause
}

// reset lets the next attempt begin at once.
func (b *backoff) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pause, b.until, b.last = 0, time.Time{}, ""
}

// wait is session.ErrUnreachable with the text of the last error while the pause
// after it lasts, or nil.
func (b *backoff) wait(now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if left := b.until.Sub(now); left > 0 {
		return fmt.Errorf("%w: %s (the next attempt is in %s at the earliest)", session.ErrUnreachable, b.last, left.Round(100*time.Millisecond))
	}
	return nil
}
