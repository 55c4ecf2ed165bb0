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

// maxBatch is how many requests share one fsync.
const maxBatch = 256

// writer is the queue before the file. One goroutine has the file; lines that
// arrive while others are being written share the next fsync.
//
// The mutex guards queue and closed. No I/O under it.
type writer struct {
	wake chan struct{} // buffered: there is something in the queue, or it is closed
	done chan struct{} // closed when the goroutine has returned

	mu     sync.Mutex
	queue  []*request
	closed bool

	err error // of closing; for who has seen done
}

// request is text to write, or, with a path, a file to go on with. Its caller
// waits for result, unless its context ends first.
type request struct {
	text []byte
	// keep says that the text must come into the file, even if its caller has
	// stopped waiting or its first write failed.
	keep bool
	// settled is called once: with nil when the text is durable, with an error
	// when it is certain not to be in the file, or nobody can know. Not waited:
	// the caller was told before that it failed. What settled returns is written
	// next. It may be nil.
	settled func(err error, waited bool) *request

	path   string
	header func() []byte // first lines of another file

	result chan error // buffered, so the writer never blocks on a caller that has stopped waiting
	state  atomic.Int32
}

// The states of a request.
const (
	queued    = iota
	taken     // the writer is at it
	answered  // the caller gets the writer's answer
	abandoned // the caller has stopped waiting
)

// answer gives the caller its answer, if it still waits.
func (r *request) answer(err error) {
	if r.state.CompareAndSwap(taken, answered) {
		r.result <- err
	}
}

// settle ends a request, its caller's waiting too.
func (r *request) settle(err error) (next *request) {
	waited := r.state.CompareAndSwap(taken, answered)
	if r.settled != nil {
		next = r.settled(err, waited)
	}
	if waited {
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

// ask hands a request over and waits. The context bounds the waiting: a request
// that the writer has not begun with is withdrawn then, unless it must be kept.
func (w *writer) ask(ctx context.Context, r *request) error {
	r.result = make(chan error, 1)
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		r.settle(ErrClosed)
		return ErrClosed
	}
	w.queue = append(w.queue, r)
	w.mu.Unlock()
	w.rouse()
	select {
	case err := <-r.result:
		return err
	case <-ctx.Done():
		return w.giveUp(r, context.Cause(ctx))
	}
}

// giveUp ends the waiting for a request, unless it has been answered meanwhile.
func (w *writer) giveUp(r *request, cause error) error {
	w.mu.Lock()
	waiting := r.state.CompareAndSwap(queued, abandoned)
	if waiting && !r.keep {
		w.queue = slices.DeleteFunc(w.queue, func(q *request) bool { return q == r })
	}
	w.mu.Unlock()
	switch {
	case waiting && !r.keep:
		r.settle(cause)
	case !waiting && !r.state.CompareAndSwap(taken, abandoned):
		return <-r.result
	}
	return cause
}

func (w *writer) rouse() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// close lets the writer finish what is in the queue and waits for it.
func (w *writer) close(ctx context.Context) error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.rouse()
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (w *writer) run(a *appender) {
	for {
		batch, ok := w.take()
		if !ok {
			w.err = a.close()
			return
		}
		lines, last := batch, batch[len(batch)-1]
		if last.path != "" {
			lines = batch[:len(batch)-1]
		}
		if len(lines) > 0 {
			w.push(a.append(lines))
		}
		if last.path != "" {
			last.settle(a.reopen(last.path, last.header(), func() bool { return last.state.Load() == taken }))
		}
	}
}

// push is the writer's own requests, for which nobody waits.
func (w *writer) push(own []*request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range own {
		r.state.Store(abandoned)
	}
	w.queue = append(w.queue, own...)
}

// take waits for requests. Only the last one of a batch has a path. False: the
// writer was closed, and nothing is left.
func (w *writer) take() ([]*request, bool) {
	for {
		w.mu.Lock()
		n := 0
		for n < min(len(w.queue), maxBatch) {
			w.queue[n].state.CompareAndSwap(queued, taken)
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
