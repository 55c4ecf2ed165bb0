package ledger_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// checkGrammar checks that every ID in the files has one intent and then one
// outcome, both of the same decision, and that every ID of a question has one
// asked line and at most one that ends it. Something comes of each approval.
func checkGrammar(t *testing.T, files ...string) {
	t.Helper()
	open, closed := map[any]any{}, map[any]bool{}
	asked, approved := map[any]string{}, map[any]bool{} // by ID: the last event; no line of the decision yet
	for _, file := range files {
		for _, line := range lines(t, file) {
			id, isSignal := line["id"]
			switch line["event"] {
			case "intent", "outcome":
				delete(approved, line["decision"])
			case "asked":
				if asked[id] != "" || line["decision"] != id || line["outcome"] != "pending" {
					t.Errorf("the question %v", line)
				}
				asked[id] = "asked"
			case "approved", "denied", "expired":
				if asked[id] != "asked" || line["decision"] != id || line["outcome"] != nil {
					t.Errorf("after %q the end of a question %v", asked[id], line)
				}
				asked[id] = "over"
				if line["event"] == "approved" {
					approved[id] = true
				}
			}
			switch {
			case line["event"] == "intent":
				if _, twice := open[id]; twice || closed[id] || !isSignal || line["decision"] == nil || line["outcome"] != nil {
					t.Errorf("the intent %v", line)
				}
				open[id] = line["decision"]
			case line["event"] == "outcome" && isSignal:
				if decision, known := open[id]; !known || decision != line["decision"] || line["outcome"] == nil {
					t.Errorf("the outcome %v", line)
				}
				delete(open, id)
				closed[id] = true
			}
		}
	}
	if len(open) > 0 || len(approved) > 0 {
		t.Errorf("intents without an outcome: %v; nothing came of the approvals %v", open, approved)
	}
}

func TestEachSignalHasOneIntentAndOneOutcome(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	begin(t, l, "cancel", noon)
	finish(t, l, "cancel", noon, true)
	begin(t, l, "terminate", noon)
	for name, id := range map[string]string{"a second outcome": "cancel", "an outcome without an intent": "unknown", "an outcome without an ID": ""} {
		if err := l.Finish(t.Context(), outcome("orders", id, noon, false)); !errors.Is(err, ledger.ErrNoIntent) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := l.Finish(t.Context(), outcome("stock", "terminate", noon, false)); !errors.Is(err, ledger.ErrNoIntent) {
		t.Errorf("an outcome on another server: %v", err)
	}
	for name, id := range map[string]string{"the ID of a signal": "cancel", "of one under way": "terminate", "no ID": ""} {
		if got, err := beginEntry(t.Context(), l, intent("orders", id, noon), plenty); got == ledger.Allowed || err == nil {
			t.Errorf("an intent with %s: %d, %v", name, got, err)
		}
	}
	finish(t, l, "terminate", noon, false)
	if got := l.Spent("orders", time.Hour, noon.Add(time.Second)); got != 1 {
		t.Errorf("%d are spent", got)
	}
	// Begin, Finish and Append set the fields that the caller left out, or set
	// wrongly.
	if got, err := beginEntry(t.Context(), l, ledger.Entry{Time: noon, Server: "orders", ID: "plain", Outcome: ledger.Gone}, plenty); got != ledger.Allowed || err != nil {
		t.Error(got, err)
	}
	if err := l.Finish(t.Context(), ledger.Entry{Time: noon, Server: "orders", ID: "plain", Outcome: ledger.Ignored, Signalled: true}); err != nil {
		t.Error(err)
	}
	if err := l.Append(t.Context(), ledger.Entry{Time: noon, Event: ledger.EventIntent, Server: "orders", ID: "cancel", Outcome: ledger.Gone, Signalled: true}); err != nil {
		t.Error(err)
	}
	// A signal that takes longer than the windows.
	begin(t, l, "long", noon)
	spend(t, l, "later", noon.Add(time.Hour))
	finish(t, l, "long", noon.Add(time.Hour), true)
	checkGrammar(t, file)
	all := lines(t, file)
	if last := all[len(all)-5]; last["event"] != "outcome" || last["id"] != nil || last["signalled"] != nil {
		t.Errorf("a decision without a signal is %v", last)
	}
}

// An interrupted signal gets one outcome, and stays spent.
func TestTheNextStartRecordsInterruptedSignalsAsFailed(t *testing.T) {
	for name, crash := range map[string]func(t *testing.T, l *ledger.Ledger, file string) (files []string){
		"in the same file": func(_ *testing.T, _ *ledger.Ledger, file string) []string { return []string{file} },
		"after a rotation": func(t *testing.T, l *ledger.Ledger, file string) []string {
			rotate(t, l, file, file+".1")
			return []string{file + ".1", file}
		},
		"after two rotations": func(t *testing.T, l *ledger.Ledger, file string) []string {
			rotate(t, l, file, file+".2")
			spend(t, l, "between", noon)
			rotate(t, l, file, file+".1")
			return []string{file + ".2", file + ".1", file}
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := newFile(t)
			l, _ := open(t, file)
			spend(t, l, "done", noon)
			begin(t, l, "not sent", noon)
			e := intent("orders", "interrupted", noon)
			e.Alertname, e.Usename, e.Query = "Slow", "app", "select 1"
			if _, err := beginEntry(t.Context(), l, e, plenty); err != nil {
				t.Fatal(err)
			}
			files := crash(t, l, file)
			finish(t, l, "not sent", noon, false)
			spent := l.Spent("orders", time.Hour, noon.Add(time.Second))
			before := time.Now()
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l, out := open(t, file)
			for range 3 {
				checkGrammar(t, files...)
				if got := l.Spent("orders", time.Hour, noon.Add(time.Second)); got != spent {
					t.Errorf("%d are spent, %d were", got, spent)
				}
				if last := l.Recent(1); last[0].ID != "interrupted" || last[0].Outcome != ledger.Failed {
					t.Errorf("the last line is %v", last)
				}
				if strings.Count(out.String(), "Recorded an interrupted signal as failed") != 1 {
					t.Errorf("the log says %q", out)
				}
				l = reopened(t, l, file)
			}
			got := l.Recent(1)[0]
			if got.Time.Before(before) {
				t.Errorf("the outcome's time is %s", got.Time)
			}
			want := e
			want.Event, want.Time, want.Outcome, want.Signalled, want.Detail = ledger.EventOutcome, got.Time, ledger.Failed, true, got.Detail
			if diff := cmp.Diff(want, got); diff != "" || !strings.Contains(got.Detail, "stopped before it learned") {
				t.Errorf("the outcome, %q (-want +got):\n%s", got.Detail, diff)
			}
			// Interrupted signals count towards a suspension too.
			tight := plenty
			tight.SuspendAfter = spent
			if got, err := beginEntry(t.Context(), l, intent("orders", "next", noon.Add(time.Second)), tight); got != ledger.Suspended || err != nil {
				t.Errorf("a signal under the limit of what is spent: %d, %v", got, err)
			}
		})
	}
}

// An intent without a time would be older than every window.
func TestAnIntentNeedsATime(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	if got, err := beginEntry(t.Context(), l, intent("orders", "a", time.Time{}), plenty); got == ledger.Allowed || err == nil {
		t.Errorf("%d, %v", got, err)
	}
	if got := lines(t, file); len(got) != 0 {
		t.Errorf("the file has %v", got)
	}
}

// The budget uses the time of the line.
func TestBudgetAndLineHaveTheSameTime(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	at := noon.Add(123456789 * time.Nanosecond)
	spend(t, l, "a", at)
	for range 2 {
		for after, want := range map[time.Duration]int{time.Minute - 1: 1, time.Minute: 0} {
			if got := l.Spent("orders", time.Minute, at.Add(after)); got != want {
				t.Errorf("%s after the line's time %d are spent", after, got)
			}
		}
		l = reopened(t, l, file)
	}
	if got := l.Recent(2); len(got) != 2 || !got[1].Time.Equal(at) {
		t.Errorf("the lines are %v", got)
	}
}
