package ledger_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// limits: three signals a minute, suspended at five in ten minutes.
var limits = ledger.Limits{Actions: 3, Window: model.Minute, SuspendAfter: 5, SuspendWindow: 10 * model.Minute}

// step is one change of a budget, at a time after noon. Spend and begin give the
// ID of a new signal and want the answer; spend sends it at once. Sent and
// release give the ID of a signal that was begun before.
type step struct {
	after         time.Duration
	spend, begin  string
	want          ledger.Allowance
	sent, release string
	resume        bool
}

func TestTheBudgetAllowsAndRefuses(t *testing.T) {
	allowed, over, suspended := ledger.Allowed, ledger.OverBudget, ledger.Suspended
	for name, steps := range map[string][]step{
		"over the budget": {
			{spend: "a", want: allowed}, {spend: "b", want: allowed}, {spend: "c", want: allowed}, {spend: "d", want: over}, {spend: "e", want: over},
		},
		"a released signal can be spent again": {
			{spend: "a", want: allowed},
			{begin: "b", want: allowed},
			{spend: "c", want: allowed},
			{spend: "d", want: over},
			{release: "b"},
			{spend: "e", want: allowed},
			{spend: "f", want: over},
		},
		"a refusal costs nothing": {
			{spend: "a", want: allowed},
			{spend: "b", want: allowed},
			{spend: "c", want: allowed},
			{after: 59 * time.Second, spend: "d", want: over},
			{after: 61 * time.Second, spend: "e", want: allowed},
			{after: 61 * time.Second, spend: "f", want: allowed},
		},
		"the window slides": {
			{spend: "a", want: allowed},
			{after: 20 * time.Second, spend: "b", want: allowed},
			{after: 40 * time.Second, spend: "c", want: allowed},
			{after: time.Minute - time.Microsecond, spend: "d", want: over},
			{after: time.Minute, spend: "e", want: allowed},
			{after: 79 * time.Second, spend: "f", want: over},
			{after: 80 * time.Second, spend: "g", want: allowed},
		},
		"a clock that goes back frees nothing": {
			{after: time.Hour, spend: "a", want: allowed},
			{after: time.Hour, spend: "b", want: allowed},
			{after: time.Hour, spend: "c", want: allowed},
			{after: 0, spend: "d", want: over},
		},
		"suspended at the fifth in ten minutes": {
			{spend: "a", want: allowed},
			{after: time.Minute, spend: "b", want: allowed},
			{after: 2 * time.Minute, spend: "c", want: allowed},
			{after: 3 * time.Minute, spend: "d", want: allowed},
			{after: 4 * time.Minute, spend: "e", want: allowed},
			{after: 5 * time.Minute, spend: "f", want: suspended},
			{after: 24 * time.Hour, spend: "g", want: suspended},
		},
		"suspended goes before over the budget": {
			{spend: "a", want: allowed},
			{after: 9 * time.Minute, spend: "b", want: allowed},
			{after: 9 * time.Minute, spend: "c", want: allowed},
			{after: 9 * time.Minute, spend: "d", want: allowed},
			{after: 9 * time.Minute, spend: "x", want: over},
			{after: 599 * time.Second, spend: "y", want: over},
			{after: 10*time.Minute + time.Second, spend: "e", want: allowed},
			{after: 10*time.Minute + time.Second, spend: "f", want: allowed},
			{after: 10*time.Minute + time.Second, spend: "g", want: suspended},
		},
		"not suspended at a slow pace": {
			{spend: "a", want: allowed},
			{after: 3 * time.Minute, spend: "b", want: allowed},
			{after: 6 * time.Minute, spend: "c", want: allowed},
			{after: 9 * time.Minute, spend: "d", want: allowed},
			{after: 10 * time.Minute, spend: "e", want: allowed},
			{after: 13 * time.Minute, spend: "f", want: allowed},
			{after: 16 * time.Minute, spend: "g", want: allowed},
		},
		"signals under way never exceed suspend_after, and only those that were sent suspend": {
			{spend: "a", want: allowed},
			{after: time.Minute, spend: "b", want: allowed},
			{after: 2 * time.Minute, spend: "c", want: allowed},
			{after: 3 * time.Minute, begin: "d", want: allowed},
			{after: 4 * time.Minute, begin: "e", want: allowed},
			{after: 5 * time.Minute, begin: "f", want: over},
			{after: 5 * time.Minute, release: "d"},
			{after: 5 * time.Minute, begin: "g", want: allowed},
			{after: 5 * time.Minute, begin: "h", want: over},
			{after: 5 * time.Minute, sent: "e"},
			{after: 5 * time.Minute, begin: "i", want: over},
			{after: 5 * time.Minute, sent: "g"},
			{after: 5 * time.Minute, begin: "j", want: suspended},
		},
		"a released signal does not count towards a suspension": {
			{spend: "a", want: allowed},
			{after: time.Minute, begin: "b", want: allowed},
			{after: 2 * time.Minute, spend: "c", want: allowed},
			{after: 3 * time.Minute, spend: "d", want: allowed},
			{after: 4 * time.Minute, spend: "e", want: allowed},
			{after: 4 * time.Minute, release: "b"},
			{after: 5 * time.Minute, begin: "f", want: allowed},
			{after: 5 * time.Minute, begin: "g", want: over},
			{after: 5 * time.Minute, sent: "f"},
			{after: 6 * time.Minute, begin: "h", want: suspended},
		},
		"a signal under way at a resumption does not count towards the next suspension": {
			{begin: "a", want: allowed},
			{after: time.Minute, spend: "b", want: allowed},
			{after: 2 * time.Minute, resume: true},
			{after: 2 * time.Minute, sent: "a"},
			{after: 3 * time.Minute, spend: "c", want: allowed},
			{after: 4 * time.Minute, spend: "d", want: allowed},
			{after: 5 * time.Minute, spend: "e", want: allowed},
			{after: 6 * time.Minute, spend: "f", want: allowed},
			{after: 7 * time.Minute, spend: "g", want: allowed},
			{after: 8 * time.Minute, spend: "h", want: suspended},
		},
		"a resumption resets the count towards a suspension, not the budget": {
			{spend: "a", want: allowed},
			{after: time.Minute, spend: "b", want: allowed},
			{after: 2 * time.Minute, spend: "c", want: allowed},
			{after: 179 * time.Second, spend: "d", want: allowed},
			{after: 179 * time.Second, spend: "e", want: allowed},
			{after: 179 * time.Second, spend: "f", want: suspended},
			{after: 179 * time.Second, resume: true},
			{after: 179 * time.Second, spend: "g", want: over},
			{after: 4 * time.Minute, spend: "h", want: allowed},
			{after: 4 * time.Minute, spend: "i", want: allowed},
			{after: 4 * time.Minute, spend: "j", want: allowed},
			{after: 4 * time.Minute, spend: "k", want: over},
			{after: 5 * time.Minute, spend: "l", want: allowed},
			{after: 5 * time.Minute, spend: "m", want: allowed},
			{after: 5 * time.Minute, spend: "n", want: suspended},
		},
		"resumed without a suspension": {
			{resume: true}, {spend: "a", want: allowed}, {spend: "b", want: allowed}, {spend: "c", want: allowed}, {spend: "d", want: over},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, _ := open(t, "")
			for i, s := range steps {
				now := noon.Add(s.after)
				switch {
				case s.resume:
					if err := l.Resume(t.Context(), "orders", "", now); err != nil {
						t.Fatal(err)
					}
				case s.sent != "":
					finish(t, l, s.sent, now, true)
				case s.release != "":
					finish(t, l, s.release, now, false)
				case s.begin != "":
					if got := begin(t, l, s.begin, now); got != s.want {
						t.Fatalf("step %d, begin %s at %s: %d, want %d", i, s.begin, s.after, got, s.want)
					}
				default:
					if got := spend(t, l, s.spend, now); got != s.want {
						t.Fatalf("step %d, spend %s at %s: %d, want %d", i, s.spend, s.after, got, s.want)
					}
				}
			}
		})
	}
}

func TestNoLimitsAllowNothing(t *testing.T) {
	l, _ := open(t, "")
	none := limits
	none.Actions = 0
	never := limits
	never.SuspendAfter = 0
	for _, limits := range []ledger.Limits{{}, none, never} {
		got, err := beginEntry(t.Context(), l, intent("orders", "a", noon), limits)
		if err != nil || got != ledger.OverBudget || l.Suspended("orders") {
			t.Errorf("%+v: %d, %v, suspended %t", limits, got, err, l.Suspended("orders"))
		}
	}
	var zero ledger.Allowance
	if zero == ledger.Allowed {
		t.Error("the zero Allowance allows")
	}
}

func TestEachServerHasABudgetOfItsOwn(t *testing.T) {
	l, _ := open(t, "")
	for i := range 5 {
		spend(t, l, fmt.Sprint(i), noon.Add(time.Duration(i)*time.Minute))
	}
	if !l.Suspended("orders") || l.Suspended("stock") || !slices.Equal(l.AllSuspended(), []string{"orders"}) {
		t.Errorf("suspended: orders %t, stock %t, all of them %v", l.Suspended("orders"), l.Suspended("stock"), l.AllSuspended())
	}
	if got, err := beginEntry(t.Context(), l, intent("stock", "x", noon), limits); got != ledger.Allowed || err != nil {
		t.Errorf("stock: %d, %v", got, err)
	}
	if a, b := l.Spent("orders", time.Hour, noon.Add(5*time.Minute)), l.Spent("stock", time.Hour, noon.Add(5*time.Minute)); a != 5 || b != 1 {
		t.Errorf("spent: orders %d, stock %d", a, b)
	}
}

// A bad rule asks for 500 signals at once. The limits hold, and the suspension is
// logged once, after the last signal was sent.
func TestTheLimitsHoldForConcurrentSignals(t *testing.T) {
	file := newFile(t)
	l, out := open(t, file)
	for burst, want := range []int{3, 2} {
		now := noon.Add(time.Duration(burst) * 2 * time.Minute)
		allowed := make(chan string, 500)
		var over atomic.Int32
		var all sync.WaitGroup
		for i := range 500 {
			all.Go(func() {
				id := fmt.Sprint(burst, i)
				switch got, err := beginEntry(t.Context(), l, intent("orders", id, now), limits); {
				case err != nil:
					t.Error(err)
				case got == ledger.Allowed:
					allowed <- id
				case got == ledger.OverBudget:
					over.Add(1)
				}
			})
		}
		all.Wait()
		close(allowed)
		if got := len(allowed); got != want || int(over.Load()) != 500-want {
			t.Errorf("burst %d: %d allowed, %d over the budget; want %d and the rest", burst, got, over.Load(), want)
		}
		if l.Suspended("orders") {
			t.Errorf("burst %d: suspended before the signals were sent", burst)
		}
		for id := range allowed {
			all.Go(func() {
				if err := l.Finish(t.Context(), outcome("orders", id, now, true)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	if got := begin(t, l, "late", noon.Add(3*time.Minute)); got != ledger.Suspended || !l.Suspended("orders") {
		t.Errorf("afterwards: %d", got)
	}
	if got := len(ids(t, file, ledger.EventSuspended)); got != 1 {
		t.Errorf("%d lines say suspended", got)
	}
	if got := strings.Count(out.String(), "suspended after too many signals"); got != 1 || !strings.Contains(out.String(), "level=error") {
		t.Errorf("the log says it %d times: %s", got, out)
	}
}
