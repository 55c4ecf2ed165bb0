package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// PostgreSQL refuses each of these signals, so none counts.
func TestReleasedSignalsBringNoSuspension(t *testing.T) {
	file := newFile(t)
	l, out := open(t, file)
	ten := ledger.Limits{Actions: 10, Window: model.Minute, SuspendAfter: 10, SuspendWindow: 10 * model.Minute}
	for round := range 3 {
		for i := range 12 {
			want := ledger.Allowed
			if i >= 10 {
				want = ledger.OverBudget
			}
			got, err := beginEntry(t.Context(), l, intent("orders", fmt.Sprint(round, "/", i), noon), ten)
			if got != want || err != nil {
				t.Fatalf("round %d, signal %d: %d, %v", round, i, got, err)
			}
		}
		for i := range 10 {
			finish(t, l, fmt.Sprint(round, "/", i), noon, false)
		}
	}
	for range 2 {
		if l.Suspended("orders") || l.Spent("orders", time.Hour, noon.Add(time.Second)) != 0 {
			t.Errorf("suspended %t, spent %d", l.Suspended("orders"), l.Spent("orders", time.Hour, noon.Add(time.Second)))
		}
		l = reopened(t, l, file)
	}
	if got := ids(t, file, ledger.EventSuspended); len(got) != 0 || out.String() != "" {
		t.Errorf("%d lines say suspended, and the log %q", len(got), out)
	}
}

// The disk is full when the suspension begins, and has room later. The suspension
// is written with the next line, or by Close.
func TestASuspensionIsWrittenAgainAfterAFailedWrite(t *testing.T) {
	for name, tt := range map[string]struct {
		suspend func(*testing.T, *ledger.Ledger)
		next    func(*testing.T, *ledger.Ledger)
		spent   int
	}{
		"with an outcome, then a refusal": {bySignal, func(t *testing.T, l *ledger.Ledger) { refuse(t, l, "next") }, 5},
		"with an outcome, then the end":   {bySignal, func(*testing.T, *ledger.Ledger) {}, 5},
		"with an outcome, then an intent of another server": {bySignal, func(t *testing.T, l *ledger.Ledger) {
			if got, err := beginEntry(t.Context(), l, intent("stock", "x", noon), limits); got != ledger.Allowed || err != nil {
				t.Error(got, err)
			}
		}, 5},
		"by tighter limits, then a refusal": {byLimits, func(t *testing.T, l *ledger.Ledger) { refuse(t, l, "next") }, 4},
		"by tighter limits, then the end":   {byLimits, func(*testing.T, *ledger.Ledger) {}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			file := newFile(t)
			l, _ := open(t, file)
			for i := range 4 {
				spend(t, l, fmt.Sprint(i), noon.Add(time.Duration(i)*time.Minute))
			}
			tt.suspend(t, l)
			tt.next(t, l)
			l = reopened(t, l, file)
			if !l.Suspended("orders") {
				t.Error("the suspension is lost")
			}
			if got := ids(t, file, ledger.EventSuspended); len(got) != 1 {
				t.Errorf("%d lines say suspended", len(got))
			}
			if got := l.Spent("orders", time.Hour, noon.Add(5*time.Minute)); got != tt.spent {
				t.Errorf("%d are spent", got)
			}
			if intents, outcomes := ids(t, file, ledger.EventIntent), decisions(t, file); len(outcomes) < len(intents)-1 {
				t.Errorf("intents %v, outcomes of %v", intents, outcomes)
			}
		})
	}
}

// bySignal sends the fifth signal, and cannot write its outcome.
func bySignal(t *testing.T, l *ledger.Ledger) {
	now := noon.Add(4 * time.Minute)
	if got := begin(t, l, "last", now); got != ledger.Allowed {
		t.Fatal(got)
	}
	restore := noRoom(t)
	defer restore()
	err := l.Finish(t.Context(), outcome("orders", "last", now, true))
	if err == nil || !l.Suspended("orders") {
		t.Errorf("Finish = %v, suspended %t", err, l.Suspended("orders"))
	}
}

// byLimits begins a signal under tighter limits, which are exceeded already.
func byLimits(t *testing.T, l *ledger.Ledger) {
	tight := limits
	tight.SuspendAfter = 4
	restore := noRoom(t)
	defer restore()
	got, err := beginEntry(t.Context(), l, intent("orders", "last", noon.Add(4*time.Minute)), tight)
	if got != ledger.Suspended || err != nil || !l.Suspended("orders") {
		t.Errorf("Begin = %d, %v", got, err)
	}
}

// When the disk has room again, a line whose write failed is not in the file.
func TestAFailedLineIsNotInTheFile(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	spend(t, l, "before", noon)
	long := intent("orders", "whole", noon)
	all := lines(t, file)
	restore := leave(t, file, 400) // one line and a half
	_, err := beginEntry(t.Context(), l, long, plenty)
	_, torn := beginEntry(t.Context(), l, intent("orders", "torn", noon), plenty)
	for i := 0; torn == nil && i < 10; i++ {
		_, torn = beginEntry(t.Context(), l, intent("orders", fmt.Sprint("torn", i), noon), plenty)
	}
	restore()
	if err != nil || torn == nil {
		t.Fatalf("one line: %v; the next: %v", err, torn)
	}
	after := lines(t, file)
	for _, line := range after[len(all):] {
		if line == nil {
			t.Error("half a line is in the file")
		}
	}
	want := l.Spent("orders", time.Hour, noon)
	if got := reopened(t, l, file).Spent("orders", time.Hour, noon); got != want {
		t.Errorf("%d are spent after the restart, %d before it", got, want)
	}
}
