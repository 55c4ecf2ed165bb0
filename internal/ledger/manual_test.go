package ledger_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// byHand is the intent of an order by hand.
func byHand(server, id string, at time.Time) ledger.Entry {
	e := intent(server, id, at)
	e.Origin = ledger.Origin{Source: ledger.SourceManual, By: "ann", Comment: "at 3 a.m."}
	return e
}

// order writes the intent of an order by hand, which the limits would not allow.
func order(t *testing.T, l *ledger.Ledger, id string, now time.Time) {
	t.Helper()
	if got, err := beginEntry(t.Context(), l, byHand("orders", id, now), ledger.Limits{}); got != ledger.Allowed || err != nil {
		t.Fatalf("%s: %d, %v", id, got, err)
	}
}

// carriedOut writes the outcome of an order by hand.
func carriedOut(t *testing.T, l *ledger.Ledger, id string, now time.Time) {
	t.Helper()
	e := outcome("orders", id, now, true)
	e.Origin = byHand("orders", id, now).Origin
	if err := l.Finish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

// Orders by hand fill no budget and bring no suspension, and neither stops them:
// now, after a restart, and after a rotation.
func TestOrdersByHandDoNotCount(t *testing.T) {
	for _, step := range []string{"", "restart", "rotation", "rotation, restart"} {
		t.Run(step, func(t *testing.T) {
			file := newFile(t)
			l, _ := open(t, file)
			files := []string{file}
			for i := range 100 {
				order(t, l, fmt.Sprint("hand", i), noon)
				if i%2 == 0 {
					carriedOut(t, l, fmt.Sprint("hand", i), noon)
				}
			}
			if step != "" && step != "restart" {
				rotate(t, l, file, file+".1")
				files = []string{file + ".1", file}
			}
			for i := range 100 {
				if i%2 == 1 && i < 50 {
					carriedOut(t, l, fmt.Sprint("hand", i), noon)
				}
			}
			if step != "" && step != "rotation" {
				l = reopened(t, l, file)
			} else {
				for i := 51; i < 100; i += 2 {
					carriedOut(t, l, fmt.Sprint("hand", i), noon)
				}
			}
			for _, window := range []time.Duration{time.Minute, time.Hour, 24 * time.Hour} {
				if got := l.Spent("orders", window, noon.Add(time.Second)); got != 0 || l.Suspended("orders") {
					t.Errorf("%d are spent in %s, suspended %t", got, window, l.Suspended("orders"))
				}
			}
			// The alerts have their whole budget.
			for i := range limits.Actions {
				if got := spend(t, l, fmt.Sprint(i), noon.Add(time.Second)); got != ledger.Allowed {
					t.Errorf("alert %d: %d", i, got)
				}
			}
			if got := spend(t, l, "over", noon.Add(time.Second)); got != ledger.OverBudget {
				t.Errorf("one more alert: %d", got)
			}
			order(t, l, "over budget", noon.Add(time.Second))
			carriedOut(t, l, "over budget", noon.Add(time.Second))
			tight := limits
			tight.SuspendAfter = 1
			if got, err := beginEntry(t.Context(), l, intent("orders", "suspends", noon), tight); got != ledger.Suspended || err != nil {
				t.Errorf("an alert under tighter limits: %d, %v", got, err)
			}
			order(t, l, "suspended", noon)
			carriedOut(t, l, "suspended", noon)
			if got := l.Spent("orders", time.Hour, noon.Add(time.Minute)); got != limits.Actions || !l.Suspended("orders") {
				t.Errorf("%d are spent at last, suspended %t", got, l.Suspended("orders"))
			}
			l = reopened(t, l, file)
			if got := l.Spent("orders", time.Hour, noon.Add(time.Minute)); got != limits.Actions || !l.Suspended("orders") {
				t.Errorf("%d are spent after a restart, suspended %t", got, l.Suspended("orders"))
			}
			checkGrammar(t, files...)
		})
	}
}

// What holds for the lines of an alert holds for those of a person.
func TestOrdersByHandHaveOneIntentAndOneOutcome(t *testing.T) {
	for _, rotated := range []bool{false, true} {
		file := newFile(t)
		l, _ := open(t, file)
		files := []string{file}
		order(t, l, "done", noon)
		order(t, l, "interrupted", noon)
		order(t, l, "not sent", noon)
		if rotated {
			rotate(t, l, file, file+".1")
			files = []string{file + ".1", file}
			for _, line := range lines(t, file) {
				if line["spent"] != nil || line["server"] == "orders" && line["open"] == nil {
					t.Errorf("the checkpoint is %v", line)
				}
			}
		}
		for _, id := range []string{"done", "interrupted", "not sent", ""} {
			if got, err := beginEntry(t.Context(), l, byHand("orders", id, noon), plenty); got == ledger.Allowed || err == nil {
				t.Errorf("another intent %q: %d, %v", id, got, err)
			}
		}
		carriedOut(t, l, "done", noon)
		finish(t, l, "not sent", noon, false)
		for _, id := range []string{"done", "not sent", "unknown"} {
			if err := l.Finish(t.Context(), outcome("orders", id, noon, true)); !errors.Is(err, ledger.ErrNoIntent) {
				t.Errorf("another outcome of %s: %v", id, err)
			}
		}
		l = reopened(t, l, file)
		for range 2 {
			checkGrammar(t, files...)
			got := l.Recent(1)[0]
			if got.ID != "interrupted" || got.Outcome != ledger.Failed || !got.Signalled || got.By != "ann" || got.Comment != "at 3 a.m." {
				t.Errorf("the last line is %v", got)
			}
			l = reopened(t, l, file)
		}
	}
}

// The lines say who did it.
func TestAResumptionAndAReloadSayByWhom(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	suspendServer(t, l, "orders")
	if err := l.Resume(t.Context(), "orders", "ann", noon); err != nil {
		t.Fatal(err)
	}
	if err := l.Reloaded(t.Context(), "bob", noon.In(time.FixedZone("", 3600))); err != nil {
		t.Fatal(err)
	}
	all := lines(t, file)
	if got := all[len(all)-2]; got["event"] != "resumed" || got["by"] != "ann" || got["server"] != "orders" {
		t.Errorf("the resumption is %v", got)
	}
	if got := all[len(all)-1]; got["event"] != "reloaded" || got["by"] != "bob" || got["time"] != "2026-11-22T12:00:00Z" {
		t.Errorf("the reload is %v", got)
	}
	for range 2 {
		if got := l.Recent(1)[0]; got.Event != ledger.EventReloaded || got.By != "bob" || l.Suspended("orders") {
			t.Errorf("the last line is %v, suspended %t", got, l.Suspended("orders"))
		}
		l = reopened(t, l, file)
	}
}
