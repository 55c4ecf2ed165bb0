package pgledger_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/ledger/pgledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
)

// One server under two names has two budgets and two locks, and its claims meet. No
// call fails for that, and each backend has one step under way at a time. Owners that
// are gone at once bring in everything that a claim does to another one.
func TestOneServerUnderTwoNames(t *testing.T) {
	s := database(t)
	hasty := func(o *pgledger.Options) { o.Patience = func() time.Duration { return time.Millisecond } }
	replicas := []replica{opened(t, s, "a", nil), opened(t, s, "b", hasty)}
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for n := range 12 {
				e := about(rand.IntN(3), fmt.Sprint(i, "-", n), []policy.Action{policy.Cancel, policy.Terminate}[rand.IntN(2)])
				e.Server = []string{"orders", "orders-vip"}[rand.IntN(2)]
				if rand.IntN(3) == 0 {
					e.Source = ledger.SourceManual
				}
				r := replicas[rand.IntN(2)]
				begun, err := r.Begin(t.Context(), e, plenty)
				if err != nil {
					t.Error(err)
					return
				}
				if begun.Allowance != ledger.Allowed || rand.IntN(4) == 0 && r == replicas[1] {
					continue // what the hasty one leaves is taken over, or ended
				}
				e.ID = begun.ID
				outcome := []ledger.Outcome{ledger.Ignored, ledger.Refused, ledger.Failed}[rand.IntN(3)]
				_ = r.Finish(t.Context(), became(e, outcome, outcome != ledger.Refused)) // it may have been taken over
			}
		})
	}
	all.Wait()
	twice := pgtest.Value[int](t, s, `select count(*)::int from (
		select id from pgbailiff.entries where id is not null group by id, event having count(*) > 1) as twice`)
	orphaned := pgtest.Value[int](t, s, `select count(*)::int from pgbailiff.entries as o
		where event = 'outcome' and not exists (select from pgbailiff.entries as i where i.id = o.id and i.event = 'intent')`)
	if twice != 0 || orphaned != 0 {
		t.Errorf("%d lines are there twice, and %d outcomes have no intent", twice, orphaned)
	}
	if deadlocks := pgtest.Value[int](t, s, "select deadlocks::int from pg_stat_database where datname = 'postgres'"); deadlocks != 0 {
		t.Errorf("%d deadlocks", deadlocks)
	}
}
