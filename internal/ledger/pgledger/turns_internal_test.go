package pgledger

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns()
		if err := turns.take(t.Context(), 1, false); err != nil {
			t.Fatal(err)
		}
		if err := turns.take(t.Context(), 2, false); err != nil { // that of another server
			t.Fatal(err)
		}
		turns.release(2)
		var mu sync.Mutex
		var order []string
		for _, who := range []string{"first", "second", "urgent"} {
			go func() {
				if err := turns.take(t.Context(), 1, who == "urgent"); err != nil {
					t.Error(err)
				}
				mu.Lock()
				order = append(order, who)
				mu.Unlock()
				turns.release(1)
			}()
			synctest.Wait()
		}
		for _, urgent := range []bool{true, false} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := turns.take(ctx, 1, urgent); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
			cancel()
		}
		turns.release(1)
		synctest.Wait()
		if len(order) != 3 || order[0] != "urgent" || order[1] != "first" || order[2] != "second" {
			t.Errorf("%q", order)
		}
		if len(turns.taken) != 0 {
			t.Errorf("%d turns are left", len(turns.taken))
		}
	})
}

// One that gives up when it is granted the turn passes it on.
func TestATurnIsNeverLost(t *testing.T) {
	turns := newTurns()
	var all sync.WaitGroup
	busy, most := 0, 0
	for i := range 200 {
		all.Go(func() {
			for range 50 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*time.Microsecond)
				if turns.take(ctx, 1, i%2 == 0) == nil {
					busy++ // the turn guards it
					most = max(most, busy)
					busy--
					turns.release(1)
				}
				cancel()
			}
		})
	}
	all.Wait()
	if err := turns.take(t.Context(), 1, false); err != nil || most != 1 {
		t.Errorf("%v, %d at a time", err, most)
	}
}
