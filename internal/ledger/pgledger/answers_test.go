package pgledger_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// The parts of TestQuestions that are about answers, and about what comes of them.

func answerNeedsQuestion(t *testing.T, o *office) {
	for _, id := range []string{"approved", "denied", "late"} {
		o.ask(o, newQuestion(id, id, o.now()), ledger.Waiting)
	}
	o.answer(o, "approved", ledger.EventApproved)
	o.answer(o, "denied", ledger.EventDenied)
	o.pass(30 * time.Minute)
	for range 2 {
		for id, want := range map[string]error{
			"approved": ledger.ErrAnswered, "denied": ledger.ErrAnswered, "late": ledger.ErrAnswered,
			"": ledger.ErrNoApproval, "unknown": ledger.ErrNoApproval, "a\x00b": ledger.ErrNoApproval,
		} {
			for _, event := range []ledger.Event{ledger.EventApproved, ledger.EventDenied} {
				if _, err := o.Answer(t.Context(), id, event, "eve", "", o.now()); !errors.Is(err, want) {
					t.Errorf("%s %s: %v, want %v", event, id, err, want)
				}
			}
		}
		o.desk = o.other()
	}
	o.ask(o, newQuestion("orders", "another", o.now()), ledger.Waiting)
	for _, event := range []ledger.Event{"", ledger.EventExpired, ledger.EventAsked, ledger.EventOutcome, ledger.EventIntent} {
		if _, err := o.Answer(t.Context(), "another", event, "eve", "", o.now()); err == nil {
			t.Errorf("a person has answered %q", event)
		}
	}
	o.waits(o, "another")
}

func linesOfAnAnswer(t *testing.T, o *office) {
	for _, event := range []ledger.Event{ledger.EventApproved, ledger.EventDenied} {
		id := string(event)
		o.ask(o, newQuestion(id, id, o.now()), ledger.Waiting)
		if _, err := o.Answer(t.Context(), id, event, strings.Repeat("a", 300), "\"<b>\r\n"+strings.Repeat("€", 3000), o.now()); err != nil {
			t.Fatal(err)
		}
		o.says(o, id+" "+id, "asked "+id+" pending")
		got := o.Recent(1)[0]
		if len(got.By) != 256 || !strings.HasPrefix(got.Comment, "\"<b>\r\n€") || len(got.Comment) > 4000 || len(got.Comment) < 3990 {
			t.Errorf("by %q: %q", got.By, got.Comment)
		}
		want := newQuestion(id, id, got.Time)
		want.Event, want.Decision, want.Question, want.By, want.Comment, want.Replica = event, id, ledger.Question{}, got.By, got.Comment, got.Replica
		if event == ledger.EventDenied {
			want.Reason = "denied"
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b ledger.Time) bool { return a.Equal(b.Time) })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", event, diff)
		}
		if asked := o.Recent(2)[1]; asked.Event != ledger.EventAsked || asked.Labels != nil || asked.Until.IsZero() {
			t.Errorf("the asked line is %v", asked)
		}
	}
}

func oneOfManyAnswers(t *testing.T, o *office) {
	const questions, people = 5, 20
	other := o.other()
	desks := []desk{o.desk, other}
	var all sync.WaitGroup
	answered := make([][]string, questions)
	for i := range questions {
		id := fmt.Sprint(i)
		o.ask(desks[0], newQuestion(id, id, o.now()), ledger.Waiting)
		var mu sync.Mutex // guards answered[i]
		for p := range people {
			all.Go(func() {
				event := []ledger.Event{ledger.EventApproved, ledger.EventDenied}[p/2%2]
				by := fmt.Sprint("person ", p)
				got, err := desks[p%2].Answer(t.Context(), id, event, by, "", o.now())
				switch {
				case err == nil && got.ID == id:
					mu.Lock()
					defer mu.Unlock()
					answered[i] = append(answered[i], string(event)+" "+by)
				case !errors.Is(err, ledger.ErrAnswered):
					t.Errorf("%s: %v, %v", id, got, err)
				}
			})
		}
	}
	all.Wait()
	proctest.Until(t, "every question has an answer", func() bool { return len(desks[0].Recent(100)) >= 2*questions })
	lines := make([][]string, questions)
	for _, e := range desks[0].Recent(100) {
		var i int
		if _, err := fmt.Sscan(e.ID, &i); err == nil && e.Event != ledger.EventAsked {
			lines[i] = append(lines[i], string(e.Event)+" "+e.By)
		}
	}
	for i := range questions {
		if len(answered[i]) != 1 || !cmp.Equal(answered[i], lines[i]) {
			t.Errorf("question %d: answered %v, in the ledger %v", i, answered[i], lines[i])
		}
	}
}

func unacted(t *testing.T, o *office) {
	o.ask(o, newQuestion("orders", "A", o.now()), ledger.Waiting)
	o.answer(o, "A", ledger.EventApproved)
	if err := o.Expire(t.Context(), o.now()); err != nil {
		t.Fatal(err)
	}
	o.says(o, "approved A", "asked A pending")
	at := o.crash()
	o.says(at, "outcome A failed", "approved A", "asked A pending")
	if got := at.Recent(1)[0]; got.ID != "" || got.Signalled || got.By != "ann" || !strings.Contains(got.Detail, "nothing was signalled") {
		t.Errorf("the outcome is %v", got)
	}
	if err := at.Expire(t.Context(), o.now()); err != nil {
		t.Fatal(err)
	}
	o.says(at, "outcome A failed", "approved A")
	if again := o.ask(at, newQuestion("orders", "B", o.now()), ledger.Waiting); again.ID != "B" {
		t.Errorf("asked again is %s", again.ID)
	}
}

func acted(t *testing.T, o *office) {
	o.ask(o, newQuestion("orders", "A", o.now()), ledger.Waiting)
	o.answer(o, "A", ledger.EventApproved)
	e := newQuestion("orders", "", o.now())
	e.Decision, e.Outcome, e.Question = "A", ledger.Gone, ledger.Question{}
	if err := o.Append(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if again := o.ask(o, newQuestion("orders", "B", o.now()), ledger.Waiting); again.ID != "B" {
		t.Errorf("asked again is %s", again.ID)
	}
	at := o.crash()
	o.says(at, "asked B pending", "outcome A gone", "approved A")
}
