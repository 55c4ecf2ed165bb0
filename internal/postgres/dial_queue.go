package postgres

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// Dials bounds the connection attempts of a process that run at the same time.
// Hundreds at once would slow each other down beyond their deadline, fail, and
// start again together. One value is shared by all servers; the zero value lets
// no attempt through.
type Dials struct {
	mu      sync.Mutex // guards the rest; no I/O under it
	free    int
	waiting [dialQueues][]chan struct{} // empty while a place is free
}

// NewDials returns a Dials that lets n attempts run at a time.
func NewDials(n int) *Dials { return &Dials{free: n} }

// dialQueue is where an attempt waits. A queue is served only while those before
// it are empty: actions come before scrapes, and servers that failed at the last
// attempt come after all others, because each of their attempts may last until
// its deadline.
type dialQueue int

const (
	queueAction dialQueue = iota
	queueScrape
	queueActionAfterFailure
	queueScrapeAfterFailure

	dialQueues // how many there are
)

func queueFor(p purpose, lastFailed bool) dialQueue {
	switch {
	case p == forAction && !lastFailed:
		return queueAction
	case !lastFailed:
		return queueScrape
	case p == forAction:
		return queueActionAfterFailure
	default:
		return queueScrapeAfterFailure
	}
}

// acquire waits for a place, which release gives back. It leaves the queue when
// the context ends.
func (d *Dials) acquire(ctx context.Context, q dialQueue) error {
	granted, immediately := d.takeOrEnqueue(q)
	if immediately {
		return nil
	}
	select {
	case <-granted:
		return nil
	case <-ctx.Done():
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := slices.Index(d.waiting[q], granted); i >= 0 {
		d.waiting[q] = slices.Delete(d.waiting[q], i, i+1)
	} else { // the place was granted at the same moment
		d.grantNext()
	}
	return fmt.Errorf("wait for other connection attempts: %w", context.Cause(ctx))
}

// takeOrEnqueue takes a free place, or enters the queue.
func (d *Dials) takeOrEnqueue(q dialQueue) (granted chan struct{}, immediately bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.free > 0 {
		d.free--
		return nil, true
	}
	granted = make(chan struct{})
	d.waiting[q] = append(d.waiting[q], granted)
	return granted, false
}

// release gives back the place that acquire has taken.
func (d *Dials) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.grantNext()
}

// grantNext gives a place to the first attempt that waits. It needs d.mu.
func (d *Dials) grantNext() {
	for q := range d.waiting {
		if len(d.waiting[q]) > 0 {
			close(d.waiting[q][0])
			d.waiting[q] = slices.Delete(d.waiting[q], 0, 1)
			return
		}
	}
	d.free++
}
