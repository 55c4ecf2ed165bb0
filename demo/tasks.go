package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// tasks owns the demo's goroutines. The first that fails or panics cancels the context of all, with
// its error as the cause. Everything that waits then returns that cause, and the stack is stopped.
type tasks struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	group  sync.WaitGroup
}

func newTasks(parent context.Context) *tasks {
	ctx, cancel := context.WithCancelCause(parent)
	return &tasks{ctx: ctx, cancel: cancel}
}

// start runs work until it returns; work must return soon after its context has ended.
func (t *tasks) start(work func(context.Context) error) {
	t.group.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				t.cancel(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			}
		}()
		if err := work(t.ctx); err != nil && t.ctx.Err() == nil {
			t.cancel(err)
		}
	})
}

// stop ends all tasks and waits for them.
func (t *tasks) stop() {
	t.cancel(context.Canceled)
	t.group.Wait()
}

// every calls work at once and then at each interval, until the context ends.
func every(interval time.Duration, work func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			if err := work(ctx); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
			}
		}
	}
}

// waitFor calls ready until it returns nil. At the limit, or when ctx ends, it returns an error that
// says what it waited for, and the last error of ready.
func waitFor(ctx context.Context, limit time.Duration, what string, ready func(context.Context) error) error {
	deadline, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		last := ready(deadline)
		if last == nil {
			return nil
		}
		select {
		case <-deadline.Done():
			if ctx.Err() != nil {
				return fmt.Errorf("waiting for %s: %w", what, context.Cause(ctx))
			}
			return fmt.Errorf("waited %s for %s: %w", limit, what, last)
		case <-ticker.C:
		}
	}
}

var errNotYet = errors.New("not yet")
