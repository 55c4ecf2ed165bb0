package postgres

import (
	"context"
	"time"
)

// SetAnswerTimeout sets how long a statement of the action connection may take before
// it counts as not answered. It must be called before Start.
func (s *Server) SetAnswerTimeout(d time.Duration) { s.action.answerTimeout = d }

// SetScrapeIdleTime sets after which time without a scrape the scrape connection is
// closed. It must be called before the first scrape.
func (s *Server) SetScrapeIdleTime(d time.Duration) { s.scrape.idleTime = d }

// SetRetryPauses sets how long no attempt for an action, or for a scrape, begins
// that nobody waits for, after one that failed. It must be called before Start.
func (s *Server) SetRetryPauses(action, scrape time.Duration) {
	s.action.warmth.backoff.least, s.action.warmth.backoff.most = action, action
	s.scrape.backoff.least, s.scrape.backoff.most = scrape, scrape
}

// TakeBackgroundPlaces takes all places that an attempt may have for which nobody
// waits.
func (d *Dials) TakeBackgroundPlaces(ctx context.Context) error {
	d.mu.Lock()
	n := d.free - d.reserved
	d.mu.Unlock()
	for range n {
		if err := d.acquire(ctx, queueAction, nil); err != nil {
			return err
		}
	}
	return nil
}
