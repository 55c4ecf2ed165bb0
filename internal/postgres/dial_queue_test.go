package postgres

import (
	"context"
	"errors"
	"slices"
	"sync"
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
				if err := d.acquire(ctx, dialQueue(i%int(dialQueues))); err != nil {
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
		if err := d.acquire(t.Context(), queueScrape); err != nil {
			t.Fatal(err)
		}
		var order []string
		wait := func(who string, p purpose, failed bool) {
			go func() {
				if err := d.acquire(t.Context(), queueFor(p, failed)); err != nil {
					t.Error(err)
				}
				order = append(order, who)
				d.release()
			}()
			synctest.Wait()
		}
		wait("scraping a server that failed", forScrape, true)
		wait("acting on a server that failed", forAction, true)
		wait("scraping", forScrape, false)
		wait("acting, first", forAction, false)
		wait("acting, second", forAction, false)
		d.release()
		synctest.Wait()
		want := []string{"acting, first", "acting, second", "scraping", "acting on a server that failed", "scraping a server that failed"}
		if !slices.Equal(order, want) {
			t.Errorf("%q", order)
		}
	})
}

func TestDialsAfterACallerHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDials(1)
		if err := d.acquire(t.Context(), queueAction); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		left := make(chan error, 1)
		go func() { left <- d.acquire(ctx, queueAction) }()
		synctest.Wait()
		cause := errors.New("the caller went away")
		cancel(cause)
		if err := <-left; !errors.Is(err, cause) {
			t.Error(err)
		}
		d.release()
		if err := d.acquire(t.Context(), queueScrape); err != nil {
			t.Error(err)
		}
	})
}

func TestTheZeroDialsLetsNoAttemptThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := new(Dials).acquire(ctx, queueAction); err == nil {
			t.Error("it did")
		}
	})
}
