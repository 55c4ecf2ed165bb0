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
		"many orders by hand under way, then done": {func(yield func(Entry) bool) {
			for _, event := range []Event{EventIntent, EventOutcome} {
				for i := range n {
					e := line(event, i)
					e.Source, e.Signalled = SourceManual, event == EventOutcome
					yield(e)
				}
			}
		}, 0},
		"many questions, then their answers, then what came of them": {func(yield func(Entry) bool) {
			for _, event := range []Event{EventAsked, EventApproved, EventOutcome} {
				for i := range n {
					e := line(event, i)
					e.PID, e.Decision = int32(i), e.ID
					if event == EventOutcome {
						e.ID = ""
					}
					yield(e)
				}
			}
		}, 0},
		"many questions about the same, all denied": {func(yield func(Entry) bool) {
			for _, event := range []Event{EventAsked, EventDenied} {
				for i := range n {
					yield(line(event, i))
				}
			}
		}, 0},
		"answers without a question": {func(yield func(Entry) bool) {
			for i := range n {
				yield(line([]Event{EventApproved, EventDenied, EventExpired}[i%3], i))
			}
		}, 0},
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
