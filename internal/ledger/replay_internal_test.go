package ledger

import (
	"fmt"
	"testing"
	"time"

	"github.com/go-kit/log"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// replayed returns a ledger in memory that has read entries back.
func replayed(t *testing.T, lines func(yield func(Entry) bool)) *Ledger {
	t.Helper()
	l, err := Open(Config{}, log.NewNopLogger(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for e := range lines {
		l.replay(record{Entry: e})
	}
	return l
}

// An alert may name any server. A refusal makes no budget for it, and neither does
// reading one back.
func TestUnknownServersHaveNoBudget(t *testing.T) {
	l := replayed(t, func(yield func(Entry) bool) {
		for i := range 1000 {
			server := fmt.Sprint("nowhere", i)
			yield(Entry{Time: noon, Event: EventOutcome, Server: server, Outcome: Refused})
			yield(Entry{Time: noon, Event: EventOutcome, Server: server, ID: "x", Outcome: Gone})
			yield(Entry{Time: noon, Event: EventResumed, Server: server})
		}
	})
	for i := range 1000 {
		server := fmt.Sprint("nobody", i)
		if err := l.Append(t.Context(), Entry{Time: noon, Server: server, Outcome: Refused}); err != nil {
			t.Fatal(err)
		}
		if err := l.Finish(t.Context(), Entry{Time: noon, Server: server, ID: "x", Outcome: Gone}); err == nil {
			t.Fatal("an outcome of no intent")
		}
		if l.Suspended(server) || l.Spent(server, time.Hour, noon) != 0 {
			t.Error("spent or suspended")
		}
		if err := l.Resume(t.Context(), server, "", noon); err != nil {
			t.Fatal(err)
		}
		if got, err := beginEntry(t.Context(), l, Entry{Time: noon, Server: server, ID: "x"}, Limits{}); got == Allowed || err != nil {
			t.Fatal(got, err)
		}
	}
	if got := len(l.budgets); got != 0 {
		t.Errorf("%d servers have a budget", got)
	}
}
