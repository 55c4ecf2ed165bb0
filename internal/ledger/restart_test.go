package ledger_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

func TestARestartKeepsBudgetAndSuspension(t *testing.T) {
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	t.Run("an intent without an outcome is spent", func(t *testing.T) {
		file := newFile(t)
		l, _ := open(t, file)
		for _, id := range []string{"a", "b", "c"} {
			begin(t, l, id, noon)
		}
		finish(t, l, "a", noon, true)
		l = reopened(t, l, file)
		if got := spend(t, l, "d", noon.Add(59*time.Second)); got != ledger.OverBudget {
			t.Errorf("the fourth: %d", got)
		}
		if got := spend(t, l, "e", at(1)); got != ledger.Allowed {
			t.Errorf("when the window has slid on: %d", got)
		}
	})
	t.Run("an intent without a signal is not spent", func(t *testing.T) {
		file := newFile(t)
		l, _ := open(t, file)
		spend(t, l, "a", noon)
		begin(t, l, "b", noon)
		spend(t, l, "c", noon)
		finish(t, l, "b", noon, false)
		refuse(t, l, "no intent")
		l = reopened(t, l, file)
		if got := l.Spent("orders", time.Hour, at(1)); got != 2 {
			t.Errorf("%d are spent", got)
		}
	})
	t.Run("a refusal releases nothing", func(t *testing.T) {
		file := newFile(t)
		checkpoint := `{"time":"2026-11-22T12:00:00Z","event":"checkpoint","server":"orders","spent":["2026-11-22T12:00:00Z"]}` + "\n"
		if err := os.WriteFile(file, []byte(checkpoint), 0o600); err != nil {
			t.Fatal(err)
		}
		l, _ := open(t, file)
		refuse(t, l, "no intent")
		if got := reopened(t, l, file).Spent("orders", time.Hour, at(1)); got != 1 {
			t.Errorf("%d are spent", got)
		}
	})
	t.Run("a suspension stays", func(t *testing.T) {
		file := newFile(t)
		l, _ := open(t, file)
		for i := range 5 {
			spend(t, l, fmt.Sprint(i), at(i))
		}
		for range 3 {
			l = reopened(t, l, file)
			if !l.Suspended("orders") || l.Suspended("stock") {
				t.Fatalf("suspended: orders %t, stock %t", l.Suspended("orders"), l.Suspended("stock"))
			}
			if got := spend(t, l, "late", at(60*24)); got != ledger.Suspended {
				t.Fatalf("a day later: %d", got)
			}
		}
		if err := l.Resume(t.Context(), "orders", "", at(5)); err != nil {
			t.Fatal(err)
		}
		l = reopened(t, l, file)
		if l.Suspended("orders") {
			t.Error("suspended again after a restart")
		}
		if got := spend(t, l, "resumed", at(6)); got != ledger.Allowed {
			t.Errorf("after the resumption: %d", got)
		}
	})
	t.Run("tighter limits suspend at the next signal", func(t *testing.T) {
		file := newFile(t)
		l, _ := open(t, file)
		spend(t, l, "a", noon)
		spend(t, l, "b", noon)
		l = reopened(t, l, file)
		tight := limits
		tight.SuspendAfter = 2
		got, err := beginEntry(t.Context(), l, intent("orders", "c", at(1)), tight)
		if got != ledger.Suspended || err != nil || !l.Suspended("orders") {
			t.Errorf("the third: %d, %v", got, err)
		}
		if !reopened(t, l, file).Suspended("orders") {
			t.Error("the suspension was not written down")
		}
	})
	t.Run("a file that is gone is an empty one", func(t *testing.T) {
		file := newFile(t)
		l, _ := open(t, file)
		spend(t, l, "a", noon)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if got := reopened(t, l, file).Spent("orders", time.Hour, noon); got != 0 {
			t.Errorf("%d are spent", got)
		}
	})
}

// After random steps and restarts, the new process has the budget and the
// suspension that the old one had.
func TestRandomStepsAndRestartsKeepTheBudget(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	d := rand.New(rand.NewPCG(seed, 0))
	for range 10 {
		file := newFile(t)
		l, _ := open(t, file)
		now, rotations := noon, 0
		var waiting []string // intents without an outcome
		for i := range 60 {
			now = now.Add(time.Duration(d.IntN(40)) * time.Second)
			id := fmt.Sprint("id", i)
			switch d.IntN(10) {
			case 0:
				if err := l.Resume(t.Context(), "orders", "", now); err != nil {
					t.Fatal(err)
				}
			case 1:
				refuse(t, l, id)
			case 2: // on another server
				if _, err := beginEntry(t.Context(), l, intent("stock", id, now), plenty); err != nil {
					t.Fatal(err)
				}
			case 3:
				rotations++
				rotate(t, l, file, fmt.Sprint(file, ".", rotations))
			case 4:
				for _, id := range waiting {
					finish(t, l, id, now, d.IntN(2) == 0)
				}
				waiting = nil
			default:
				if begin(t, l, id, now) == ledger.Allowed {
					waiting = append(waiting, id)
				}
				if n := len(waiting); n > 0 && d.IntN(4) > 0 {
					finish(t, l, waiting[n-1], now, d.IntN(2) == 0)
					waiting = waiting[:n-1]
				}
			}
			if d.IntN(6) > 0 {
				continue
			}
			before := l
			l = reopened(t, l, file)
			waiting = nil // the restart has written their outcomes
			for _, window := range []time.Duration{time.Duration(limits.Window), time.Duration(limits.SuspendWindow)} {
				if got, want := l.Spent("orders", window, now), before.Spent("orders", window, now); got != want {
					t.Fatalf("step %d: %d spent in %s after the restart, %d before it", i, got, window, want)
				}
			}
			if got, want := l.Suspended("orders"), before.Suspended("orders"); got != want {
				t.Fatalf("step %d: suspended %t after the restart, %t before it", i, got, want)
			}
		}
	}
}
