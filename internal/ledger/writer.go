package ledger

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// ErrClosed is returned after Close.
var ErrClosed = errors.New("the ledger is closed")

// maxBatch is how many requests share one fsync at most.
const maxBatch = 256

// writer is the queue in front of the file. One goroutine owns the file;
// requests that arrive while it writes share the next fsync.
//
// The mutex guards queue and closed. No I/O happens under it.
type writer struct {
	wake chan struct{} // buffered: the queue has requests, or the writer is closed
	done chan struct{} // closed when the goroutine has returned

	mu     sync.Mutex
	queue  []*request
	closed bool

	err error // of closing; read it only after done is closed
}

// request is text to write, or, with a path, the file to write to from now on.
type request struct {
	text []byte
	// mustWrite says that the text must get into the file, even if the caller
	// has stopped waiting or the first write failed.
	mustWrite bool
	// done is called once: with nil when the text is durable, and with an error
	// when it is not in the file or nobody can know. Waiting is false when the
	// caller has been told before that the request failed. The request that done
	// returns is written next; it may be nil, and so may done.
	done func(err error, waiting bool) *request

	path   string
	header func() []byte // first lines of the new file

	result chan error // buffered, so the writer never blocks on a caller that has stopped waiting
	state  atomic.Int32
}

// The states of a request.
const (
	queued    = iota
	writing   // the goroutine has it
	answered  // the caller gets the goroutine's answer
	abandoned // the caller has stopped waiting
)

// answer sends the result to the caller, if it still waits.
func (r *request) answer(err error) {
	if r.state.CompareAndSwap(writing, answered) {
		r.result <- err
	}
}

// finish calls done and then answers the caller.
func (r *request) finish(err error) (next *request) {
	waiting := r.state.CompareAndSwap(writing, answered)
	if r.done != nil {
		next = r.done(err, waiting)
	}
	if waiting {
		r.result <- err
	}
	return next
}

func newWriter(a *appender) *writer {
	w := &writer{wake: make(chan struct{}, 1), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		w.run(a)
	}()
	return w
}

// do queues a request and waits for its result, until the context ends. A
// request that is still queued then is removed, unless it must be written.
func (w *writer) do(ctx context.Context, r *request) error {
	r.result = make(chan error, 1)
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		r.finish(ErrClosed)
		return ErrClosed
	}
	w.queue = append(w.queue, r)
	w.mu.Unlock()
	w.notify()
	select {
	case err := <-r.result:
		return err
	case <-ctx.Done():
		return w.abandon(r, context.Cause(ctx))
	}
}

// abandon ends the wait for a request and returns the cause, or the result if
// the request has been answered meanwhile.
func (w *writer) abandon(r *request, cause error) error {
	w.mu.Lock()
	wasQueued := r.state.CompareAndSwap(queued, abandoned)
	if wasQueued && !r.mustWrite {
		w.queue = slices.DeleteFunc(w.queue, func(q *request) bool { return q == r })
	}
	w.mu.Unlock()
	switch {
	case wasQueued && !r.mustWrite:
		r.finish(cause)
	case !wasQueued && !r.state.CompareAndSwap(writing, abandoned):
		return <-r.result
	}
	return cause
}

// notify wakes the goroutine.
func (w *writer) notify() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// close lets the goroutine empty the queue and waits until it has returned.
func (w *writer) close(ctx context.Context) error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.notify()
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (w *writer) run(a *appender) {
	for {
		batch, ok := w.nextBatch()
		if !ok {
			w.err = a.close()
			return
		}
		lines, last := batch, batch[len(batch)-1]
		if last.path != "" {
			lines = batch[:len(batch)-1]
		}
		if len(lines) > 0 {
			w.enqueue(a.append(lines))
		}
		if last.path != "" {
			last.finish(a.reopen(last.path, last.header(), func() bool { return last.state.Load() == writing }))
		}
	}
}

// enqueue adds requests that no caller waits for.
func (w *writer) enqueue(own []*request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range own {
		r.state.Store(abandoned)
	}
	w.queue = append(w.queue, own...)
}

// nextBatch waits for requests. Only the last one of a batch may have a path.
// False means that the writer is closed and the queue is empty.
func (w *writer) nextBatch() ([]*request, bool) {
	for {
		w.mu.Lock()
		n := 0
		for n < min(len(w.queue), maxBatch) {
			w.queue[n].state.CompareAndSwap(queued, writing)
			n++
			if w.queue[n-1].path != "" {
				break
			}
		}
		batch := slices.Clone(w.queue[:n])
		w.queue = slices.Delete(w.queue, 0, n)
		closed := w.closed
		w.mu.Unlock()
		if n > 0 || closed {
			return batch, n > 0
		}
		<-w.wake
	}
}
