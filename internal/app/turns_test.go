package app

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Those who ask while a reading runs share the next one, and get nothing that was
// read before they asked.
func TestThoseWhoAskWhileAReadingRunsShareTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var read [][]int
		number := 0
		turns := newTurns(func(_ context.Context, keys []int, tell func(int, int)) {
			number++
			slices.Sort(keys)
			read = append(read, keys)
			<-time.After(time.Second)
			for _, key := range keys {
				tell(key, 100*number+key)
			}
		})
		answers := map[string]int{}
		var mu sync.Mutex
		var all sync.WaitGroup
		ask := func(name string, key int) {
			all.Go(func() {
				got, err := turns.ask(t.Context(), key)
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				mu.Lock()
				defer mu.Unlock()
				answers[name] = got
			})
		}
		ask("first", 1)
		synctest.Wait()
		ask("second", 1)
		ask("third", 2)
		ask("fourth", 2)
		all.Wait()
		ask("fifth", 1)
		all.Wait()
		want := map[string]int{"first": 101, "second": 201, "third": 202, "fourth": 202, "fifth": 301}
		for name, n := range want {
			if answers[name] != n {
				t.Errorf("%s got %d, want %d", name, answers[name], n)
			}
		}
		if len(read) != 3 || !slices.Equal(read[1], []int{1, 2}) {
			t.Errorf("read %v", read)
		}
	})
}

// A client that hangs up does not end the reading that others wait for, and who
// waits too long is told.
func TestAReadingOutlivesWhoeverBeganIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(func(ctx context.Context, keys []int, tell func(int, error)) {
			select {
			case <-time.After(2 * time.Second):
			case <-ctx.Done():
			}
			for _, key := range keys {
				tell(key, ctx.Err())
			}
		})
		var all sync.WaitGroup
		impatient := func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			all.Go(func() {
				if got, err := turns.ask(ctx, 1); err != nil || got != nil { // it has carried the reading out
					t.Errorf("the first got %v, %v", got, err)
				}
			})
			synctest.Wait()
			all.Go(func() {
				if got, err := turns.ask(t.Context(), 1); err != nil || got != nil {
					t.Errorf("the patient one got %v, %v", got, err)
				}
			})
			if _, err := turns.ask(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the impatient one got %v", err)
			}
		}
		impatient()
		all.Wait()
	})
}

// A reading that hangs ends in time, for those who wait for it and for those after.
func TestAReadingThatHangsEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(func(ctx context.Context, keys []int, tell func(int, error)) {
			<-ctx.Done()
			for _, key := range keys {
				tell(key, ctx.Err())
			}
		})
		begun := time.Now()
		for range 2 {
			if got, err := turns.ask(t.Context(), 1); err != nil || !errors.Is(got, context.DeadlineExceeded) {
				t.Errorf("got %v, %v", got, err)
			}
		}
		if took := time.Since(begun); took != 2*turnTimeout {
			t.Errorf("took %s", took)
		}
	})
}

// Some servers are read at a time. Those that hang hold up the others for a moment.
func TestServersThatHangHoldUpTheOthersForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		var mu sync.Mutex
		most, now, last := 0, 0, time.Duration(0)
		eachServer(3*serversAtATime, func(i int) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			if i < serversAtATime {
				<-time.After(snapshotTimeout)
			} else {
				<-time.After(10 * time.Millisecond)
			}
			mu.Lock()
			defer mu.Unlock()
			now--
			if i >= serversAtATime {
				last = time.Since(begun)
			}
		})
		if last != slowServer+20*time.Millisecond || most != 2*serversAtATime {
			t.Errorf("the others were read within %s, %d at a time", last, most)
		}
		most = 0
		eachServer(100, func(int) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			<-time.After(10 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			now--
		})
		if most != serversAtATime {
			t.Errorf("%d servers were read at a time", most)
		}
	})
}

// One request at a time thinks, unless it takes long; who gives up goes on at once.
func TestOneRequestAtATimeThinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		places, begun := make(thinking, placesToThink), time.Now()
		leave := places.enter(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), longThought/2)
		defer cancel()
		places.enter(ctx)()
		if took := time.Since(begun); took != longThought/2 {
			t.Errorf("the one who gave up waited %s", took)
		}
		second := places.enter(t.Context())
		if took := time.Since(begun); took != longThought {
			t.Errorf("the second waited %s", took)
		}
		leave() // late: it must not give the second one's place away
		third := make(chan func())
		go func() { third <- places.enter(t.Context()) }()
		synctest.Wait()
		select {
		case <-third:
			t.Error("two think at a time")
		default:
		}
		second()
		(<-third)()
		if took := time.Since(begun); took != longThought {
			t.Errorf("the third waited %s", took)
		}
	})
}
