package postgres

import (
	"container/list"
	"context"
	"fmt"
	"sync"
)

// Dials bounds the connection attempts of a process that run at the same time.
// Hundreds at once would slow each other down beyond their deadline, fail, and
// start again together. One value is shared by all servers; the zero value lets
// no attempt through.
//
// A quarter of the places is kept for attempts that an alert or a person waits
// for. Otherwise a few servers in a network that drops every packet would hold all
// places until their deadlines, and nobody could act on any other server.
type Dials struct {
	mu       sync.Mutex // guards the rest; no I/O under it
	free     int
	reserved int                   // of the free places, for those that somebody waits for
	waiting  [dialQueues]list.List // of *ticket

	shapes *shapes // of the connections; it has a mutex of its own
}

// NewDials returns a Dials that lets n attempts run at a time.
func NewDials(n int) *Dials { return &Dials{free: n, reserved: n / 4, shapes: newShapes()} }

// dialQueue is where an attempt waits. A queue is served only while those before
// it are empty: actions come before scrapes, and servers that failed at the last
// attempt come after others, because each of their attempts may last until its
// deadline.
type dialQueue int

const (
	queueAwaited dialQueue = iota // an alert or a person waits for it
	queueAwaitedAfterFailure
	queueAction
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

// awaited is the queue to change to when somebody waits for an action.
func (q dialQueue) awaited() dialQueue {
	if q == queueActionAfterFailure {
		return queueAwaitedAfterFailure
	}
	return queueAwaited
}

func (q dialQueue) mayUseReserved() bool { return q == queueAwaited || q == queueAwaitedAfterFailure }

// ticket is an attempt's place in a queue. The mutex of the Dials guards it.
type ticket struct {
	granted chan struct{} // closed when the attempt may run
	queue   dialQueue
	element *list.Element // nil once it is granted
}

// acquire waits for a place, which release gives back. As soon as awaited is
// closed, the attempt goes on to wait in the queue of those that somebody waits
// for; nil: it never does. It leaves the queue when the context ends.
func (d *Dials) acquire(ctx context.Context, q dialQueue, awaited <-chan struct{}) error {
	if isClosed(awaited) {
		q, awaited = q.awaited(), nil
	}
	t := d.enqueue(q)
	for {
		select {
		case <-t.granted:
			return nil
		case <-awaited:
			awaited = nil
			d.move(t, q.awaited())
			continue
		case <-ctx.Done():
		}
		d.leave(t)
		return fmt.Errorf("wait for other connection attempts: %w", context.Cause(ctx))
	}
}

// isClosed reports whether a channel that nobody sends on is closed. A nil channel
// is not.
func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// enqueue enters a queue, and leaves it at once if there is a place.
func (d *Dials) enqueue(q dialQueue) *ticket {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := &ticket{granted: make(chan struct{}), queue: q}
	t.element = d.waiting[q].PushBack(t)
	d.grant()
	return t
}

// move changes the queue of a ticket that waits.
func (d *Dials) move(t *ticket, to dialQueue) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t.element == nil {
		return
	}
	d.waiting[t.queue].Remove(t.element)
	t.queue, t.element = to, d.waiting[to].PushBack(t)
	d.grant()
}

// leave gives a ticket up, and its place if it was granted at the same moment.
func (d *Dials) leave(t *ticket) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t.element != nil {
		d.waiting[t.queue].Remove(t.element)
		return
	}
	d.free++
	d.grant()
}

// release gives back the place that acquire has taken.
func (d *Dials) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.free++
	d.grant()
}

// grant gives the free places to the first attempts that wait and may have one. It
// needs d.mu.
func (d *Dials) grant() {
	for q := range dialQueues {
		for d.free > 0 && (d.free > d.reserved || q.mayUseReserved()) && d.waiting[q].Len() > 0 {
			t := d.waiting[q].Remove(d.waiting[q].Front()).(*ticket)
			t.element = nil
			d.free--
			close(t.granted)
		}
	}
}
