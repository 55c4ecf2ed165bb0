package ledger_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// limits: three signals a minute, suspended at five in ten minutes.
var limits = ledger.Limits{Actions: 3, Window: time.Minute, SuspendAfter: 5, SuspendWindow: 10 * time.Minute}

// step is one event in the life of a budget: at a time after noon somebody
// takes, gives back, or resumes.
type step struct {
	after    time.Duration
	take     string
	want     ledger.Allowance
	giveBack string
	resume   bool
}

func TestTheBudgetAllowsAndRefuses(t *testing.T) {
	allowed, over, suspended := ledger.Allowed, ledger.OverBudget, ledger.Suspended
	for name, steps := range map[string][]step{
		"over the budget": {
			{take: "a", want: allowed}, {take: "b", want: allowed}, {take: "c", want: allowed}, {take: "d", want: over}, {take: "e", want: over},
		},
		"what is given back is there again": {
			{take: "a", want: allowed},
			{take: "b", want: allowed},
			{take: "c", want: allowed},
			{take: "d", want: over},
			{giveBack: "b"},
			{take: "e", want: allowed},
			{take: "f", want: over},
		},
		"what was not taken cannot be given back": {
			{take: "a", want: allowed}, {giveBack: "z"}, {giveBack: ""}, {take: "b", want: allowed}, {take: "c", want: allowed}, {take: "d", want: over},
		},
		"nothing is given back twice": {
			{take: "a", want: allowed},
			{take: "b", want: allowed},
			{take: "c", want: allowed},
			{giveBack: "a"},
			{giveBack: "a"},
			{take: "d", want: allowed},
			{take: "e", want: over},
		},
		"a refusal costs nothing": {
			{take: "a", want: allowed},
			{take: "b", want: allowed},
			{take: "c", want: allowed},
			{after: 59 * time.Second, take: "d", want: over},
			{after: 61 * time.Second, take: "e", want: allowed},
			{after: 61 * time.Second, take: "f", want: allowed},
		},
		"the window slides": {
			{take: "a", want: allowed},
			{after: 20 * time.Second, take: "b", want: allowed},
			{after: 40 * time.Second, take: "c", want: allowed},
			{after: time.Minute - time.Microsecond, take: "d", want: over},
			{after: time.Minute, take: "e", want: allowed},
			{after: 79 * time.Second, take: "f", want: over},
			{after: 80 * time.Second, take: "g", want: allowed},
		},
		"a clock that goes back forgives nothing": {
			{after: time.Hour, take: "a", want: allowed},
			{after: time.Hour, take: "b", want: allowed},
			{after: time.Hour, take: "c", want: allowed},
			{after: 0, take: "d", want: over},
		},
		"suspended at the fifth in ten minutes": {
			{take: "a", want: allowed},
			{after: time.Minute, take: "b", want: allowed},
			{after: 2 * time.Minute, take: "c", want: allowed},
			{after: 3 * time.Minute, take: "d", want: allowed},
			{after: 4 * time.Minute, take: "e", want: allowed},
			{after: 5 * time.Minute, take: "f", want: suspended},
			{after: 24 * time.Hour, take: "g", want: suspended},
		},
		"suspended goes before over the budget": {
			{take: "a", want: allowed},
			{after: 9 * time.Minute, take: "b", want: allowed},
			{after: 9 * time.Minute, take: "c", want: allowed},
			{after: 9 * time.Minute, take: "d", want: allowed},
			{after: 9 * time.Minute, take: "x", want: over},
			{after: 599 * time.Second, take: "y", want: over},
			{after: 10*time.Minute + time.Second, take: "e", want: allowed},
			{after: 10*time.Minute + time.Second, take: "f", want: allowed},
			{after: 10*time.Minute + time.Second, take: "g", want: suspended},
		},
		"not suspended at a slow pace": {
			{take: "a", want: allowed},
			{after: 3 * time.Minute, take: "b", want: allowed},
			{after: 6 * time.Minute, take: "c", want: allowed},
			{after: 9 * time.Minute, take: "d", want: allowed},
			{after: 10 * time.Minute, take: "e", want: allowed},
			{after: 13 * time.Minute, take: "f", want: allowed},
			{after: 16 * time.Minute, take: "g", want: allowed},
		},
		"a suspension outlasts what is given back": {
			{take: "a", want: allowed},
			{after: time.Minute, take: "b", want: allowed},
			{after: 2 * time.Minute, take: "c", want: allowed},
			{after: 3 * time.Minute, take: "d", want: allowed},
			{after: 4 * time.Minute, take: "e", want: allowed},
			{giveBack: "e"},
			{after: 5 * time.Minute, take: "f", want: suspended},
		},
		"resumed, the suspension begins to count anew, the budget does not": {
			{take: "a", want: allowed},
			{after: time.Minute, take: "b", want: allowed},
			{after: 2 * time.Minute, take: "c", want: allowed},
			{after: 179 * time.Second, take: "d", want: allowed},
			{after: 179 * time.Second, take: "e", want: allowed},
			{after: 179 * time.Second, take: "f", want: suspended},
			{after: 179 * time.Second, resume: true},
			{after: 179 * time.Second, take: "g", want: over},
			{after: 4 * time.Minute, take: "h", want: allowed},
			{after: 4 * time.Minute, take: "i", want: allowed},
			{after: 4 * time.Minute, take: "j", want: allowed},
			{after: 4 * time.Minute, take: "k", want: over},
			{after: 5 * time.Minute, take: "l", want: allowed},
			{after: 5 * time.Minute, take: "m", want: allowed},
			{after: 5 * time.Minute, take: "n", want: suspended},
		},
		"resumed without a suspension": {
			{resume: true}, {take: "a", want: allowed}, {take: "b", want: allowed}, {take: "c", want: allowed}, {take: "d", want: over},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, _ := open(t, "")
			for i, s := range steps {
				now := noon.Add(s.after)
				switch {
				case s.resume:
					if err := l.Resume(t.Context(), "orders", now); err != nil {
						t.Fatal(err)
					}
				case s.take == "":
					l.GiveBack("orders", s.giveBack)
				default:
					if got := l.Take(t.Context(), "orders", s.take, limits, now); got != s.want {
						t.Fatalf("step %d, take %s at %s: %d, want %d", i, s.take, s.after, got, s.want)
					}
				}
			}
		})
	}
}

func TestNoLimitsAllowNothing(t *testing.T) {
	l, _ := open(t, "")
	if got := l.Take(t.Context(), "orders", "a", ledger.Limits{}, noon); got == ledger.Allowed {
		t.Error("the zero Limits allow a signal")
	}
	none := limits
	none.Actions = 0
	if got := l.Take(t.Context(), "stock", "a", none, noon); got != ledger.OverBudget {
		t.Errorf("no actions: %d", got)
	}
	var zero ledger.Allowance
	if zero == ledger.Allowed {
		t.Error("the zero Allowance allows")
	}
}

func TestEachServerHasABudgetOfItsOwn(t *testing.T) {
	l, _ := open(t, "")
	for i := range 5 {
		l.Take(t.Context(), "orders", fmt.Sprint(i), limits, noon.Add(time.Duration(i)*time.Minute))
	}
	if !l.Suspended("orders") || l.Suspended("stock") {
		t.Errorf("suspended: orders %t, stock %t", l.Suspended("orders"), l.Suspended("stock"))
	}
	if got := l.Take(t.Context(), "stock", "x", limits, noon); got != ledger.Allowed {
		t.Errorf("stock: %d", got)
	}
	if a, b := l.Spent("orders", time.Hour, noon.Add(5*time.Minute)), l.Spent("stock", time.Hour, noon.Add(5*time.Minute)); a != 5 || b != 1 {
		t.Errorf("spent: orders %d, stock %d", a, b)
	}
}

// A bad rule orders 500 at once: as many get through as the limits allow, and
// the suspension is told once.
func TestFiveHundredAtOnceGetWhatTheLimitsAllow(t *testing.T) {
	file := newFile(t)
	l, out := open(t, file)
	for burst, want := range []struct{ allowed, over, suspended int32 }{{3, 497, 0}, {2, 0, 498}} {
		now := noon.Add(time.Duration(burst) * 2 * time.Minute)
		var counts [3]atomic.Int32
		var all sync.WaitGroup
		for i := range 500 {
			all.Go(func() {
				counts[l.Take(t.Context(), "orders", fmt.Sprint(burst, i), limits, now)].Add(1)
			})
		}
		all.Wait()
		if a, o, s := counts[ledger.Allowed].Load(), counts[ledger.OverBudget].Load(), counts[ledger.Suspended].Load(); a != want.allowed || o != want.over || s != want.suspended {
			t.Errorf("burst %d: %d allowed, %d over the budget, %d suspended; want %+v", burst, a, o, s, want)
		}
	}
	if got := len(ids(t, file, ledger.EventSuspended)); got != 1 {
		t.Errorf("%d lines say suspended", got)
	}
	if got := strings.Count(out.String(), "suspended until an operator resumes"); got != 1 || !strings.Contains(out.String(), "level=error") {
		t.Errorf("the log says it %d times: %s", got, out)
	}
}
