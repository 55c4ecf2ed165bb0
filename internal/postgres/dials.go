package postgres

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// Dials bounds the connection attempts of a process. Hundreds at the same time
// keep each other from ending within their deadline, and would start again
// together. One value is shared by all servers; the zero value lets nobody
// through.
type Dials struct {
	mu      sync.Mutex // guards the rest; no I/O under it
	free    int
	waiting [lines][]chan struct{} // somebody waits only while none is free
}

// NewDials returns a Dials that lets n attempts run at a time.
func NewDials(n int) *Dials { return &Dials{free: n} }

// line is where an attempt waits. Lines are served in their order, each from
// its front: acting before scraping, and servers that failed at the last
// attempt behind all others, for each of those may hold its place until its
// deadline.
type line int

const (
	lineActing line = iota
	lineScraping
	lineActingAgain
	lineScrapingAgain

	lines // how many there are
)

func lineOf(u use, failed bool) line {
	switch {
	case u == forActing && !failed:
		return lineActing
	case !failed:
		return lineScraping
	case u == forActing:
		return lineActingAgain
	default:
		return lineScrapingAgain
	}
}

// take waits for a place, which give returns. It leaves the line when the
// context ends.
func (d *Dials) take(ctx context.Context, l line) error {
	turn, mine := d.stand(l)
	if mine {
		return nil
	}
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := slices.Index(d.waiting[l], turn); i >= 0 {
		d.waiting[l] = slices.Delete(d.waiting[l], i, i+1)
	} else { // our turn came at the same moment
		d.pass()
	}
	return fmt.Errorf("wait for other connection attempts: %w", context.Cause(ctx))
}

// stand takes a free place, or a position in the line.
func (d *Dials) stand(l line) (turn chan struct{}, mine bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.free > 0 {
		d.free--
		return nil, true
	}
	turn = make(chan struct{})
	d.waiting[l] = append(d.waiting[l], turn)
	return turn, false
}

// give returns the place that take has taken.
func (d *Dials) give() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pass()
}

// pass needs d.mu.
func (d *Dials) pass() {
	for l := range d.waiting {
		if len(d.waiting[l]) > 0 {
			close(d.waiting[l][0])
			d.waiting[l] = slices.Delete(d.waiting[l], 0, 1)
			return
		}
	}
	d.free++
}
