//go:build heavy

package pgledger_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/ledger/pgledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
)

// Three replicas begin the same 100 steps, each again and again until it knows what
// became of it, while the database hangs for five seconds, is killed and stopped, and
// one of the replicas comes and goes without its outcomes. In the end each step has
// one intent and one outcome, and the budget of no window was exceeded.
func TestChaosOfTheDatabase(t *testing.T) {
	const steps, most = 100, 40
	s := database(t)
	limits := ledger.Limits{
		Actions: most, Window: model.Duration(5 * time.Second), SuspendAfter: 1 << 30, SuspendWindow: model.Duration(time.Hour),
	}
	impatient := func(o *pgledger.Options) { o.Patience = func() time.Duration { return 3 * time.Second } }
	replicas := []replica{opened(t, s, "a", impatient), opened(t, s, "b", impatient), opened(t, s, "c", impatient)}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()

	var all sync.WaitGroup
	work := func(r replica, name string, crashes bool) {
		for i := range steps {
			all.Go(func() {
				for attempt := 0; ; attempt++ {
					try, stop := context.WithTimeout(ctx, 4*time.Second)
					e := about(i, fmt.Sprint(name, "-", i, "-", attempt), policy.Cancel)
					begun, err := r.Begin(try, e, limits)
					if err == nil && begun.Allowance == ledger.Allowed {
						if crashes && attempt == 0 && i%3 == 0 { // it is killed before the signal
							stop()
							continue
						}
						e.ID = begun.ID
						err = r.Finish(try, became(e, ledger.Cancelled, true))
					}
					stop()
					if err == nil && (begun.Allowance == ledger.Allowed || begun.Allowance == ledger.Taken) {
						return
					}
					if ctx.Err() != nil {
						t.Errorf("step %d at %s, attempt %d: %d %s %s, %v", i, name, attempt, begun.Allowance, begun.ID, begun.Became.Outcome, err)
						return
					}
					select {
					case <-ctx.Done():
					case <-time.After(rand.N(300 * time.Millisecond)):
					}
				}
			})
		}
	}
	for i, r := range replicas {
		work(r, fmt.Sprint(i), i == 2)
	}
	for _, trouble := range []string{"hangs", "killed", "stopped", "hangs"} {
		pause(ctx, time.Second)
		end := troubles[trouble](t, s)
		pause(ctx, map[bool]time.Duration{true: 5 * time.Second, false: time.Second}[trouble == "hangs"])
		end()
	}
	all.Wait()
	s.WaitFor(t, "select not exists (select from pgbailiff.signals where outcome is null)")

	// Intents of which nobody knew are ended as failed, and begun anew.
	if got := pgtest.Value[int](t, s, `select count(*)::int from (
		select from pgbailiff.entries where event = 'outcome' and entry ->> 'signalled' = 'true' group by entry -> 'pid' having count(*) > 1) as twice`); got != 0 {
		t.Errorf("%d steps have two signals", got)
	}
	if got := pgtest.Value[int](t, s, `select count(*)::int from (
		select from pgbailiff.entries group by id having count(*) filter (where event = 'intent') <> 1 or count(*) filter (where event = 'outcome') <> 1) as wrong`); got != 0 {
		t.Errorf("%d intents have not one outcome", got)
	}
	if got := pgtest.Value[int](t, s, `select count(distinct entry -> 'pid')::int from pgbailiff.entries where event = 'outcome' and entry ->> 'signalled' = 'true'`); got != steps {
		t.Errorf("%d of %d steps were signalled", got, steps)
	}
	if got := pgtest.Value[int](t, s, `select max(n)::int from (
		select count(*) over (order by begun_at range between '5 s' preceding and current row exclude ties) as n
		from pgbailiff.signals where spent) as windows`); got > most {
		t.Errorf("%d signals in one window", got)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
