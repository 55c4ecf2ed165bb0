package proctest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// Eventually tries until there is no error. The test fails with the last error
// when Patience is over, or at once when the error is Final.
func Eventually(t testing.TB, what string, try func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	if err := Poll(ctx, 20*time.Millisecond, try); err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}

// Until waits until the condition is true. The test fails when Patience is over.
func Until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	Eventually(t, what, func() error {
		if !condition() {
			return errors.New("not yet")
		}
		return nil
	})
}

// Deadline is a context that ends when Patience is over, or with the test.
func Deadline(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	t.Cleanup(cancel)
	return ctx
}

// Poll tries at once and then at each interval until there is no error. It
// returns an error that is Final at once, and the last error when ctx has
// ended.
func Poll(ctx context.Context, interval time.Duration, try func() error) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var last error
	for {
		err := try()
		if err == nil {
			return nil
		}
		if final, is := errors.AsType[finalError](err); is {
			return final.error
		}
		if ctx.Err() == nil || last == nil { // else it may be about ctx only
			last = err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), last)
		}
	}
}

// Final marks an error that another try would only repeat.
func Final(err error) error { return finalError{err} }

type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }
