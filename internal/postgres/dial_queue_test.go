package postgres

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestDialsBoundsConcurrentAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const allowed, attempts = 16, 1000
		d := NewDials(allowed)
		var mu sync.Mutex
		now, most, done := 0, 0, 0
		count := func(by int) {
			mu.Lock()
			defer mu.Unlock()
			now += by
			most = max(most, now)
		}
		var all sync.WaitGroup
		for i := range attempts {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+i%90)*time.Second)
				defer cancel()
				if err := d.acquire(ctx, dialQueue(i%int(dialQueues)), nil); err != nil {
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Error(err)
					}
					return
				}
				defer d.release()
				count(1)
				<-time.After(time.Second) // a caller may leave just when it gets a place
				count(-1)
				mu.Lock()
				done++
				mu.Unlock()
			})
		}
		all.Wait()
		if most != allowed || done < attempts/2 {
			t.Errorf("%d at a time, %d of %d had their turn", most, done, attempts)
		}
		if d.free != allowed {
			t.Errorf("%d places are left", d.free)
		}
	})
}

func TestDialsServesActionsBeforeScrapes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDials(1)
		if err := d.acquire(t.Context(), queueScrape, nil); err != nil {
			t.Fatal(err)
		}
		awaited, later := make(chan struct{}), make(chan struct{})
		close(awaited)
		var order []string
		wait := func(who string, p purpose, failed bool, awaited <-chan struct{}) {
			go func() {
				if err := d.acquire(t.Context(), queueFor(p, failed), awaited); err != nil {
					t.Error(err)
				}
				order = append(order, who)
				d.release()
			}()
			synctest.Wait()
		}
		wait("scraping a server that failed", forScrape, true, nil)
		wait("acting on a server that failed", forAction, true, nil)
		wait("scraping", forScrape, false, nil)
		wait("acting, first", forAction, false, nil)
		wait("acting, second", forAction, false, nil)
		wait("awaited later, on a server that failed", forAction, true, later)
		wait("awaited, on a server that failed", forAction, true, awaited)
		wait("awaited", forAction, false, awaited)
		close(later)
		synctest.Wait()
		d.release()
		synctest.Wait()
		want := []string{
			"awaited", "awaited, on a server that failed", "awaited later, on a server that failed",
			"acting, first", "acting, second", "scraping", "acting on a server that failed", "scraping a server that failed",
		}
		if !slices.Equal(order, want) {
			t.Errorf("%q", order)
		}
	})
}

// Attempts that nobody waits for leave places for those that somebody waits for,
// even if none of them ever ends.
func TestDialsKeepsPlacesForWhatIsAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDials(16)
		var running atomic.Int32
		attempt := func(q dialQueue, awaited <-chan struct{}) {
			go func() {
				if d.acquire(t.Context(), q, awaited) == nil {
					running.Add(1)
				}
			}()
		}
		expect := func(what string, want int32) {
			t.Helper()
			synctest.Wait()
			if got := running.Load(); got != want {
				t.Errorf("%s: %d attempts run, want %d", what, got, want)
			}
		}
		later := make(chan struct{})
		for range 100 {
			attempt(queueAction, nil)
			attempt(queueScrapeAfterFailure, nil)
		}
		expect("in the background", 12)
		attempt(queueActionAfterFailure, later)
		expect("one more in the background", 12)
		close(later)
		expect("one of them is awaited now", 13)
		awaited := make(chan struct{})
		close(awaited)
		for range 10 {
			attempt(queueAction, awaited)
		}
		expect("more that are awaited", 16)
		d.release()
		d.release()
		expect("two have ended", 18)
		for range 6 {
			d.release()
		}
		expect("all that are awaited have begun", 23)
		d.release()
		expect("the places that are kept", 23)
	})
}

func TestDialsAfterACallerHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDials(1)
		if err := d.acquire(t.Context(), queueAction, nil); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		left := make(chan error, 1)
		go func() { left <- d.acquire(ctx, queueAction, nil) }()
		synctest.Wait()
		cause := errors.New("the caller went away")
		cancel(cause)
		if err := <-left; !errors.Is(err, cause) {
			t.Error(err)
		}
		d.release()
		if err := d.acquire(t.Context(), queueScrape, nil); err != nil {
			t.Error(err)
		}
	})
}

func TestTheZeroDialsLetsNoAttemptThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := new(Dials).acquire(ctx, queueAction, nil); err == nil {
			t.Error("it did")
		}
	})
}
