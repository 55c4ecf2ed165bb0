package ledger_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

func TestAQuestionThatCannotBeKeptIsNotAsked(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	ask(t, l, question("orders", "waits", noon), ledger.Waiting)
	ask(t, l, question("stock", "denied", noon), ledger.Waiting)
	answer(t, l, "denied", ledger.EventDenied, noon)
	long := strings.Repeat("x", 16<<10)
	for name, change := range map[string]func(*ledger.Entry){
		"no ID":                       func(e *ledger.Entry) { e.ID = "" },
		"no time":                     func(e *ledger.Entry) { e.Time = time.Time{} },
		"no end":                      func(e *ledger.Entry) { e.Until = time.Time{} },
		"the ID of one that waits":    func(e *ledger.Entry) { e.ID = "waits" },
		"the ID of one that is over":  func(e *ledger.Entry) { e.ID = "denied" },
		"labels that are too long":    func(e *ledger.Entry) { e.Labels = map[string]string{"a": long, "b": long} },
		"a label's name that is long": func(e *ledger.Entry) { e.Labels = map[string]string{long + long + "x": ""} },
	} {
		e := question("billing", "new", noon)
		change(&e)
		if standing, _, err := l.Ask(t.Context(), e); err == nil || standing != 0 {
			t.Errorf("%s: %d, %v", name, standing, err)
		}
	}
	e := question("billing", "new", noon)
	e.Labels = map[string]string{"a": long[1:], "b": long[1:]}
	if got := ask(t, l, e, ledger.Waiting); len(got.Labels["b"]) != len(long)-1 {
		t.Error("labels that fit are cut")
	}
	if got := ids(t, file, ledger.EventAsked); !slices.Equal(got, []string{"waits", "denied", "new"}) {
		t.Errorf("%v are asked", got)
	}
}

func TestAThousandQuestionsWait(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	numbered := func(i int, at time.Time) ledger.Entry {
		e := question("orders", fmt.Sprint(i), at)
		e.PID = int32(i)
		return e
	}
	var all sync.WaitGroup
	for i := range 1000 {
		all.Go(func() {
			if standing, _, err := l.Ask(t.Context(), numbered(i, noon.Add(time.Duration(i)))); err != nil || standing != ledger.Waiting {
				t.Errorf("%d: %d, %v", i, standing, err)
			}
		})
	}
	all.Wait()
	for _, before := range []string{"", "rotation", "restart"} {
		switch before {
		case "rotation":
			rotate(t, l, file, file+".1")
		case "restart":
			l = reopened(t, l, file)
		}
		ask(t, l, numbered(1000, noon), ledger.TooMany)
		if got := ask(t, l, numbered(7, noon), ledger.Waiting); got.ID != "7" {
			t.Errorf("%s: the same question again is %s", before, got.ID)
		}
		if got := l.Approvals(noon); len(got) != 1000 || got[0].ID != "0" || got[999].ID != "999" {
			t.Errorf("%s: %d wait", before, len(got))
		}
	}
	answer(t, l, "7", ledger.EventApproved, noon)
	ask(t, l, numbered(1000, noon), ledger.Waiting)
	ask(t, l, numbered(1001, noon), ledger.TooMany)
	// The time of all but those asked in the last nanosecond is over.
	late := noon.Add(30*time.Minute + 998)
	ask(t, l, numbered(1001, late), ledger.Waiting)
	if got := waiting(l, late); got != "999 1001" {
		t.Errorf("%s wait", got)
	}
}

// What decides anew is what was asked, whatever the caller does later and whether
// or not there was a restart in between.
func TestAQuestionIsKeptAsItWasAsked(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	now := time.Now() // with a monotonic clock, which stops while the machine sleeps
	e := question("orders", "A", now)
	e.StartsAt = now.Add(-time.Hour).In(time.FixedZone("", 3600))
	starts, until := e.StartsAt.UTC().Round(0), e.Until.UTC().Round(0)
	ask(t, l, e, ledger.Waiting)
	e.Labels["alertname"] = "changed"
	for range 2 {
		got := l.Approvals(now)[0]
		if got.StartsAt != starts || got.Until != until || got.Labels["alertname"] != "Slow" {
			t.Errorf("the question is %v, want %s until %s", got, starts, until)
		}
		l = reopened(t, l, file)
	}
}
