package ledger_test

import (
	"fmt"
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

// step is one event in the life of a budget: at a time after noon somebody
// sends a signal, is about to send one, sends that one or does not, or resumes.
type step struct {
	after          time.Duration
	take, begin    string
	want           ledger.Allowance
	sent, giveBack string
	resume         bool
}

func TestTheBudgetAllowsAndRefuses(t *testing.T) {
	allowed, over, suspended := ledger.Allowed, ledger.OverBudget, ledger.Suspended
	for name, steps := range map[string][]step{
		"over the budget": {
			{take: "a", want: allowed}, {take: "b", want: allowed}, {take: "c", want: allowed}, {take: "d", want: over}, {take: "e", want: over},
		},
		"what is given back is there again": {
			{take: "a", want: allowed},
			{begin: "b", want: allowed},
			{take: "c", want: allowed},
			{take: "d", want: over},
			{giveBack: "b"},
			{take: "e", want: allowed},
			{take: "f", want: over},
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
		"no more are under way than would suspend, and only what is sent does": {
			{take: "a", want: allowed},
			{after: time.Minute, take: "b", want: allowed},
			{after: 2 * time.Minute, take: "c", want: allowed},
			{after: 3 * time.Minute, begin: "d", want: allowed},
			{after: 4 * time.Minute, begin: "e", want: allowed},
			{after: 5 * time.Minute, begin: "f", want: over},
			{after: 5 * time.Minute, giveBack: "d"},
			{after: 5 * time.Minute, begin: "g", want: allowed},
			{after: 5 * time.Minute, begin: "h", want: over},
			{after: 5 * time.Minute, sent: "e"},
			{after: 5 * time.Minute, begin: "i", want: over},
			{after: 5 * time.Minute, sent: "g"},
			{after: 5 * time.Minute, begin: "j", want: suspended},
		},
		"a suspension outlasts what is given back": {
			{take: "a", want: allowed},
			{after: time.Minute, begin: "b", want: allowed},
			{after: 2 * time.Minute, take: "c", want: allowed},
			{after: 3 * time.Minute, take: "d", want: allowed},
			{after: 4 * time.Minute, take: "e", want: allowed},
			{after: 4 * time.Minute, giveBack: "b"},
			{after: 5 * time.Minute, begin: "f", want: allowed},
			{after: 5 * time.Minute, begin: "g", want: over},
			{after: 5 * time.Minute, sent: "f"},
			{after: 6 * time.Minute, begin: "h", want: suspended},
		},
		"what a resumption finds under way does not count towards the next suspension": {
			{begin: "a", want: allowed},
			{after: time.Minute, take: "b", want: allowed},
			{after: 2 * time.Minute, resume: true},
			{after: 2 * time.Minute, sent: "a"},
			{after: 3 * time.Minute, take: "c", want: allowed},
			{after: 4 * time.Minute, take: "d", want: allowed},
			{after: 5 * time.Minute, take: "e", want: allowed},
			{after: 6 * time.Minute, take: "f", want: allowed},
			{after: 7 * time.Minute, take: "g", want: allowed},
			{after: 8 * time.Minute, take: "h", want: suspended},
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
				case s.sent != "":
					finish(t, l, s.sent, now, true)
				case s.giveBack != "":
					finish(t, l, s.giveBack, now, false)
				case s.begin != "":
					if got := begin(t, l, s.begin, now); got != s.want {
						t.Fatalf("step %d, begin %s at %s: %d, want %d", i, s.begin, s.after, got, s.want)
					}
				default:
					if got := spend(t, l, s.take, now); got != s.want {
						t.Fatalf("step %d, take %s at %s: %d, want %d", i, s.take, s.after, got, s.want)
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
		got, err := l.Begin(t.Context(), intent("orders", "a", noon), limits)
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
	if !l.Suspended("orders") || l.Suspended("stock") {
		t.Errorf("suspended: orders %t, stock %t", l.Suspended("orders"), l.Suspended("stock"))
	}
	if got, err := l.Begin(t.Context(), intent("stock", "x", noon), limits); got != ledger.Allowed || err != nil {
		t.Errorf("stock: %d, %v", got, err)
	}
	if a, b := l.Spent("orders", time.Hour, noon.Add(5*time.Minute)), l.Spent("stock", time.Hour, noon.Add(5*time.Minute)); a != 5 || b != 1 {
		t.Errorf("spent: orders %d, stock %d", a, b)
	}
}

// A bad rule orders 500 at once: as many get through as the limits allow, and
// the suspension is told once, when the last of them was sent.
func TestFiveHundredAtOnceGetWhatTheLimitsAllow(t *testing.T) {
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
				switch got, err := l.Begin(t.Context(), intent("orders", id, now), limits); {
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
