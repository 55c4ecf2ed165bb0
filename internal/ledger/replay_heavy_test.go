//go:build heavy

package ledger

import (
	"fmt"
	"testing"
	"time"
)

// These are the patterns of lines for which reading back was quadratic once. It
// then takes minutes instead of a second.
func TestReadingBackIsLinear(t *testing.T) {
	const n = 200_000
	line := func(event Event, i int) Entry {
		return Entry{Time: noon, Event: event, ID: fmt.Sprint(i), Server: "orders", Decision: "d"}
	}
	for name, tt := range map[string]struct {
		lines func(yield func(Entry) bool)
		spent int
	}{
		"many under way, then released in the same order": {func(yield func(Entry) bool) {
			for i := range n {
				yield(line(EventIntent, i))
			}
			for i := range n {
				yield(line(EventOutcome, i))
			}
		}, 0},
		"outcomes without an intent": {func(yield func(Entry) bool) {
			for i := range n {
				yield(line(EventIntent, i))
			}
			for i := range n {
				yield(line(EventOutcome, n+i))
			}
		}, n},
		"lines without an ID": {func(yield func(Entry) bool) {
			for range n {
				e := line(EventIntent, 0)
				e.ID, e.Decision = "", ""
				yield(e)
			}
		}, n},
		"refusals": {func(yield func(Entry) bool) {
			yield(line(EventIntent, 0))
			for range n {
				e := line(EventOutcome, 0)
				e.ID = ""
				yield(e)
			}
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			done := make(chan *Ledger, 1)
			go func() { done <- replayed(t, tt.lines) }()
			select {
			case l := <-done:
				if got := l.Spent("orders", time.Hour, noon.Add(time.Second)); got != tt.spent {
					t.Errorf("%d are spent, want %d", got, tt.spent)
				}
			case <-time.After(time.Minute):
				t.Fatal("not finished after a minute")
			}
		})
	}
}
