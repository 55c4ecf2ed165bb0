package postgres

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// job is a statement, or a few, for the action connection.
type job struct {
	// run speaks to the server and stores its result in variables of the caller,
	// which may read them only after done was called without an error.
	run func(context.Context, *openConn) error
	// done takes the end of the job. It is called once and must not block.
	done func(error)
	// atMostOnce: run must not be tried again, unless the first try certainly never
	// reached the server.
	atMostOnce bool

	finished bool         // only actionConn.run touches it
	progress atomic.Int32 // see the constants
}

// How far a job has come. Its caller and the owner of the connection agree here
// on whether it was sent.
const (
	jobWaiting int32 = iota
	jobStarted
	jobWithdrawn
)

// start reports whether the job may be sent: its caller has not withdrawn it.
func (j *job) start() bool {
	return j.progress.CompareAndSwap(jobWaiting, jobStarted) || j.progress.Load() == jobStarted
}

// unstart makes a job whose statement was not sent one that waits again.
func (j *job) unstart() { j.progress.Store(jobWaiting) }

// withdraw reports whether the job has not been sent, and makes sure that it
// never will be.
func (j *job) withdraw() bool { return j.progress.CompareAndSwap(jobWaiting, jobWithdrawn) }

// finish calls done, the first time.
func (j *job) finish(err error) {
	if !j.finished {
		j.finished = true
		j.done(err)
	}
}

// demand counts the callers that wait for the action connection, for an alert or a
// person.
type demand struct {
	mu      sync.Mutex // guards the rest
	callers int
	begun   chan struct{} // closed while callers is not 0; nil: nobody has asked for it
}

// enter is called by a caller, which calls leave when it waits no longer.
func (d *demand) enter() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.callers++; d.callers > 1 {
		return
	}
	if d.begun == nil {
		d.begun = make(chan struct{})
	}
	close(d.begun)
}

func (d *demand) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.callers--; d.callers == 0 {
		d.begun = nil
	}
}

// exists returns a channel that is closed as soon as a caller waits.
func (d *demand) exists() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.begun == nil {
		d.begun = make(chan struct{})
	}
	return d.begun
}

// ask is do for an alert or a person.
func (a *actionConn) ask(ctx context.Context, queue chan<- *job, j *job) error {
	a.demand.enter()
	defer a.demand.leave()
	return a.do(ctx, queue, j)
}

// do has the job run and waits for its end, or for the context's. If the context
// ends first, the job may still be running.
func (a *actionConn) do(ctx context.Context, queue chan<- *job, j *job) error {
	end := make(chan error, 1) // buffered, so that the owner never blocks on a caller that has left
	j.done = func(err error) { end <- err }
	if err := enqueue(ctx, a, queue, j); err != nil {
		return err
	}
	err, ok := await(ctx, end)
	if !ok {
		err = waitError(ctx)
		if j.withdraw() {
			err = notSent{err}
		}
	}
	return err
}

// enqueue waits until the owner of the connection takes the item.
func enqueue[T any](ctx context.Context, a *actionConn, queue chan<- T, item T) error {
	if ctx.Err() != nil { // select would choose at random
		return notSent{waitError(ctx)}
	}
	select {
	case queue <- item:
		return nil
	case <-ctx.Done():
		return notSent{waitError(ctx)}
	case <-a.lifetime.Done():
		return notSent{errClosed}
	}
}

// await waits for the result or for the end of the context, and prefers the
// result.
func await[T any](ctx context.Context, result <-chan T) (_ T, ok bool) {
	select {
	case v := <-result:
		return v, true
	case <-ctx.Done():
	}
	select {
	case v := <-result:
		return v, true
	default:
		var none T
		return none, false
	}
}

func waitError(ctx context.Context) error {
	return fmt.Errorf("%w: wait for the action connection: %w", session.ErrUnreachable, context.Cause(ctx))
}

// ping uses the connection, or opens it.
func (a *actionConn) ping(ctx context.Context) error {
	return a.do(ctx, a.normal, &job{run: func(ctx context.Context, c *openConn) error { return c.refreshNames(ctx) }})
}
