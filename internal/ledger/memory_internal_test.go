package ledger

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Nobody could answer it.
func TestAnAskedLineWithoutAnIDIsNoQuestion(t *testing.T) {
	l := replayed(t, func(yield func(Entry) bool) {
		e := asking("")
		e.Event = EventAsked
		yield(e)
	})
	if got := l.Approvals(noon); len(got) != 0 {
		t.Errorf("%v wait", got)
	}
}

// An order by hand takes no room once both its lines are in the file.
func TestOrdersByHandAreForgotten(t *testing.T) {
	e := Entry{Time: noon, Server: "orders", ID: "x", Decision: "x", Origin: Origin{Source: SourceManual}, Signalled: true}
	l := replayed(t, func(yield func(Entry) bool) {
		for _, e.Event = range []Event{EventIntent, EventOutcome} {
			yield(e)
		}
	})
	e.ID = "y"
	if got, err := beginEntry(t.Context(), l, e, plenty); got != Allowed || err != nil {
		t.Fatal(got, err)
	}
	if err := l.Finish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if got := l.budgets["orders"].signals; len(got) != 0 {
		t.Errorf("%d are remembered", len(got))
	}
}

func TestTheOldestIsForgotten(t *testing.T) {
	m := newMemory[int, string]()
	for i := range maxRemembered + 5 {
		m.put(i, fmt.Sprint(i))
		m.put(i, fmt.Sprint(i, " again"))
	}
	all := slices.Collect(m.all())
	if len(all) != maxRemembered || len(m.values) != maxRemembered || len(m.keys) != maxRemembered || all[0] != "5 again" || all[maxRemembered-1] != "10004 again" {
		t.Errorf("%d values from %s to %s", len(all), all[0], all[len(all)-1])
	}
	if value, known := m.get(5); !known || value != "5 again" || !m.has(5) || m.has(4) {
		t.Errorf("5 is %q", value)
	}
	for range m.all() {
		break
	}
}

// Denials and IDs are remembered within bounds, and without the texts of the
// statements.
func TestWhatIsRememberedOfAnswersIsBounded(t *testing.T) {
	l := replayed(t, func(yield func(Entry) bool) {
		for i := range maxRemembered + 1 {
			e := asking(fmt.Sprint(i))
			e.Event, e.PID, e.Query = EventAsked, int32(i), strings.Repeat("q", 100)
			yield(e)
			e.Event, e.Labels = EventDenied, nil
			yield(e)
		}
	})
	if all, denied, answered := len(l.questions.all), len(l.questions.denied.values), len(l.questions.answered.values); all != 0 || denied != maxRemembered || answered != maxRemembered {
		t.Errorf("%d questions, %d denials, %d IDs", all, denied, answered)
	}
	if len(l.questions.open) != 0 {
		t.Errorf("%d are open", len(l.questions.open))
	}
	for e := range l.questions.denied.all() {
		if e.Query != "" {
			t.Fatal("the statement is remembered")
		}
	}
	// A denial that is forgotten is asked about anew, and one that is not is not.
	for pid, want := range map[int32]Standing{0: Waiting, 1: Denied, maxRemembered: Denied} {
		e := asking(fmt.Sprint("new ", pid))
		e.PID = pid
		if got, _, err := l.Ask(t.Context(), e); got != want || err != nil {
			t.Errorf("pid %d: %d, %v", pid, got, err)
		}
	}
	// Whatever is over is forgotten in every other way.
	if err := l.Expire(t.Context(), noon.AddDate(1, 0, 0)); err != nil || len(l.questions.all) != 0 {
		t.Errorf("%d questions, %v", len(l.questions.all), err)
	}
}
